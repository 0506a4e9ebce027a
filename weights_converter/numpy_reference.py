"""The forward pass in numpy: what a model file's self-test expects, computed without PyTorch.

In: a model's metadata and tensors (as ARCHITECTURE.md names them) and token ids. Out: states, vectors, logits.
Formulas: BERT (Devlin et al. 2019, post-norm), sentence-transformers' pooling, torch.nn.GRU, "Scoring" in
ARCHITECTURE.md. Written for clearness and double precision, not speed.
"""
import math

import numpy as np

from .gguf import read_gguf

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x):
    return _erf(x.astype(np.float64)).astype(x.dtype)


def sigmoid(x):
    return (0.5 * (1 + np.tanh(0.5 * x))).astype(x.dtype)  # this form does not overflow


ACTIVATIONS = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * (1 + erf(x * math.sqrt(0.5))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2,
}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + epsilon) * weight + bias


def attention(q, k, v, heads):
    """[length, dim] each -> [length, dim]; softmax(q k^T / sqrt(head size)) v in every head."""
    length, dim = q.shape
    q, k, v = (x.reshape(length, heads, dim // heads).transpose(1, 0, 2) for x in (q, k, v))
    weights = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(dim // heads))
    return (weights @ v).transpose(1, 0, 2).reshape(length, dim)


def pool(states, mode):
    """sentence-transformers' modes over all of a text's tokens: [length, dim] -> [dim]."""
    length = states.shape[0]
    if mode in ("cls", "last"):
        return states[0 if mode == "cls" else -1]
    if mode == "max":
        return states.max(0)
    if mode == "weighted_mean":
        weights = np.arange(1, length + 1, dtype=states.dtype)
        return weights @ states / weights.sum()
    return states.sum(0) / {"mean": length, "mean_sqrt_len": math.sqrt(length)}[mode]


def quantize_rows(x):
    """Rows of activations as 8-bit products see them: rounded to whole multiples of max|row| / 127."""
    scale = np.max(np.abs(x), axis=-1, keepdims=True) / x.dtype.type(127)
    return np.rint(x / np.where(scale == 0, 1, scale)) * scale


class Reference:
    """metadata: values by key. tensor(name, rows=None): float32 array of the tensor (of these rows), or None.

    kind: the type that everything is computed in.
    """

    def __init__(self, metadata, tensor, kind=np.float64):
        self.metadata, self.source, self.kind = metadata, tensor, kind

    @classmethod
    def of_file(cls, path, kind=np.float64):
        metadata, tensors = read_gguf(path)

        def tensor(name, rows=None):
            array = tensors.get(name)
            return array if array is None or rows is None else array[rows]

        return cls(metadata, tensor, kind)

    def tensor(self, name, rows=None):
        array = self.source(name, rows)
        return None if array is None else array.astype(self.kind)

    def linear(self, x, name):
        return self.map(f"{name}.weight", f"{name}.bias", name.startswith("blk."))(x)

    def map(self, weight, bias, in_8_bits):
        """x -> x W^T + b; where W is stored in 8 bits and the product runs in them, rows of x are rounded to 8 bits too."""
        rounded = in_8_bits and self.source(f"{weight}_scale") is not None
        weight, bias = self.tensor(weight).T, self.tensor(bias)

        def apply(x):
            y = (quantize_rows(x) if rounded else x) @ weight
            return y if bias is None else y + bias

        return apply

    # ---- encoder

    def token_states(self, texts, type_ids=None):
        """Token ids of several texts -> the last layer's states [length, dim] of each.

        type_ids: of each text its tokens' types (None: all 0); a model without token types has no use for them.
        """
        offset = self.metadata["ranklet.encoder.position_offset"]
        epsilon = self.kind(np.float32(self.metadata["bert.attention.layer_norm_epsilon"]))
        heads = self.metadata["bert.attention.head_count"]
        activation = ACTIVATIONS[self.metadata["ranklet.encoder.activation"]]
        of_tokens = np.zeros(1, np.int64) if type_ids is None else np.concatenate([np.asarray(t, np.int64) for t in type_ids])
        types = self.tensor("token_types.weight", of_tokens)
        bounds = np.cumsum([0] + [len(ids) for ids in texts])

        def norm(x, name):
            return layer_norm(x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"), epsilon)

        x = self.tensor("token_embd.weight", np.concatenate([np.asarray(ids, dtype=np.int64) for ids in texts]))
        x = x + self.tensor("position_embd.weight", np.concatenate([np.arange(len(ids)) for ids in texts]) + offset)
        x = norm(x if types is None else x + types, "token_embd_norm")
        for n in range(self.metadata["bert.block_count"]):
            block = f"blk.{n}."
            q, k, v = (self.linear(x, block + name) for name in ("attn_q", "attn_k", "attn_v"))
            context = np.concatenate([attention(q[a:b], k[a:b], v[a:b], heads) for a, b in zip(bounds, bounds[1:])])
            x = norm(x + self.linear(context, block + "attn_output"), block + "attn_output_norm")
            inner = activation(self.linear(x, block + "ffn_up"))
            x = norm(x + self.linear(inner, block + "ffn_down"), block + "layer_output_norm")
        return [x[a:b] for a, b in zip(bounds, bounds[1:])]

    def vector(self, states):
        """Token states of one text -> its vector after all modules."""
        for module in self.metadata["ranklet.encoder.modules"]:
            if module == "pooling":
                x = np.concatenate([pool(states, mode) for mode in self.metadata["ranklet.encoder.pooling"]])
            elif module == "normalize":
                x = x / max(math.sqrt(float(x @ x)), 1e-12)
            else:
                activation = self.metadata[f"ranklet.encoder.{module}.activation"]
                x = ACTIVATIONS[activation](self.linear(x, f"ranklet.{module}"))
            x = x.astype(self.kind)
        return x

    # ---- classifier

    def logits(self, states):
        """Token states of one text -> logits [labels] of the text, or [length, labels] of its tokens."""
        if self.metadata["ranklet.classifier.kind"] == "sequence":
            activation = ACTIVATIONS[self.metadata["ranklet.classifier.dense.activation"]]
            states = activation(self.linear(states[0], "ranklet.classifier.dense"))
        return self.linear(states, "ranklet.classifier.out").astype(self.kind)

    # ---- recommender

    def new_state(self):
        return np.zeros((self.metadata["ranklet.gru.layer_count"], self.metadata["ranklet.gru.hidden_size"]), self.kind)

    def gru(self, steps, state):
        """steps [n, input], state [layers, hidden] -> the state after them (torch.nn.GRU, gates r, z, n)."""
        state = state.copy()
        for n in range(len(state)):
            prefix = f"ranklet.gru.{n}."
            inputs = self.map(prefix + "weight_ih", prefix + "bias_ih", True)(steps)
            from_state = self.map(prefix + "weight_hh", prefix + "bias_hh", True)
            h, outputs = state[n], []
            for x in inputs:
                xr, xz, xn = np.split(x, 3)
                hr, hz, hn = np.split(from_state(h), 3)
                z = sigmoid(xz + hz)
                h = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h
                outputs.append(h)
            state[n], steps = h, np.stack(outputs)
        return state

    def rate(self, steps, rating):
        """The rating of an event put into what the GRU reads of it."""
        mode = self.metadata.get("ranklet.rating.mode", "none")
        if rating is None or mode == "none":
            return steps
        if mode == "weight":
            return steps * self.kind(rating * self.metadata["ranklet.rating.scale"])
        values = self.metadata["ranklet.rating.values"]
        nearest = min(range(len(values)), key=lambda i: (abs(values[i] - rating), i))
        return steps + self.tensor("ranklet.rating.weight", np.array([nearest]))[0]

    def scores(self, events, history, ratings=None):
        """Logits [candidates] after a history.

        events: of each candidate what the GRU reads of it, [steps, input]; history: indices into it; the vectors of
        dot_product are the items' (item_out, item_embd) or, for texts, the single step itself.
        """
        state = self.new_state()
        for index, rating in zip(history, ratings if ratings is not None else [None] * len(history)):
            state = self.gru(self.rate(events[index], rating), state)
        if self.metadata["ranklet.recommender.scoring"] != "dot_product":
            return np.array([self.linear(self.gru(steps, state)[-1], "ranklet.out")[0] for steps in events])
        user = state[-1]
        if self.tensor("ranklet.user_proj.weight") is not None:
            user = self.linear(user, "ranklet.user_proj")
        if self.metadata["ranklet.encoder.type"] != "items":
            return np.array([steps[0] @ user for steps in events])
        output = self.tensor("ranklet.item_out.weight")
        bias = self.tensor("ranklet.item_bias")
        scores = (self.tensor("ranklet.item_embd.weight") if output is None else output) @ user
        return scores if bias is None else scores + bias

    def item_events(self):
        """`items`: what the GRU reads of every item."""
        return self.tensor("ranklet.item_embd.weight")[:, None, :]

    def text_events(self, states):
        """What the GRU reads of texts whose token states these are: all of them (text_gru), else the vector."""
        if self.metadata["ranklet.recommender.scoring"] == "text_gru":
            return states
        return [self.vector(each)[None] for each in states]
