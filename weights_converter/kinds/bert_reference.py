"""The forward pass of BERT and its successors in numpy: what a model file's self-test expects.

In: a model's metadata and tensors (as docs/model-file.md names them) and token ids. Out: token states, vectors, logits.
Formulas: BERT (Devlin et al. 2019, post-norm), rotary positions (Su et al. 2021), what architectures.py names; sentence-transformers'
pooling.
"""
import math

import numpy as np

from ..numpy_reference import ACTIVATIONS, Reference, softmax


def layer_norm(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + epsilon) * weight + bias


def unit(x):
    return x / max(math.sqrt(float(x @ x)), 1e-12)


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


def rms_norm(x, weight, epsilon):
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + epsilon) * weight


def turned(x, frequencies, factor):
    """Rotary positions: x [length, heads, size], element i turned with element i + pairs, by position * frequency."""
    pairs = len(frequencies)
    angles = (np.arange(len(x), dtype=np.float32)[:, None] * frequencies.astype(np.float32)).astype(np.float64)
    cos, sin = (part.astype(np.float32).astype(x.dtype)[:, None] * x.dtype.type(factor) for part in (np.cos(angles), np.sin(angles)))
    a, b = x[..., :pairs], x[..., pairs:2 * pairs]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, x[..., 2 * pairs:]], -1)


class BertReference(Reference):
    def of(self, name, otherwise=None):
        """A key under the architecture's name."""
        architecture = self.metadata["general.architecture"]
        return self.metadata.get(f"{'bert' if architecture == 'ranklet' else architecture}.{name}", otherwise)

    def norm(self, x, name):
        """x itself where there is no such norm."""
        weight = self.tensor(f"{name}.weight")
        if weight is None:
            return x
        rms = self.of("attention.layer_norm_rms_epsilon")
        epsilon = self.kind(np.float32(self.of("attention.layer_norm_epsilon") if rms is None else rms))
        if rms is not None:
            return rms_norm(x, weight, epsilon)
        bias = self.tensor(f"{name}.bias")
        return layer_norm(x, weight, self.kind(0) if bias is None else bias, epsilon)

    def embed(self, texts, type_ids=None):
        """Token ids (and types, as below) of several texts, one after the other -> the first block's inputs."""
        of_tokens = np.zeros(1, np.int64) if type_ids is None else np.concatenate([np.asarray(t, np.int64) for t in type_ids])
        types = self.tensor("token_types.weight", of_tokens)
        x = self.tensor("token_embd.weight", np.concatenate([np.asarray(ids, dtype=np.int64) for ids in texts]))
        x = x * self.kind(np.float32(self.metadata.get("ranklet.encoder.embedding_scale", 1.0)))
        places = np.concatenate([np.arange(len(ids)) for ids in texts]) + self.metadata.get("ranklet.encoder.position_offset", 0)
        positions = self.tensor("position_embd.weight", places)
        x = x if positions is None else x + positions
        x = self.norm(x if types is None else x + types, "token_embd_norm")
        return x if self.source("embd_projection.weight") is None else self.linear(x, "embd_projection")

    def bias(self, n, length):
        """What block n adds to scores: [heads or 1, length, length]; 0 where it adds nothing."""
        distances = np.arange(length)[None, :] - np.arange(length)[:, None]  # key - query
        bias = np.zeros((1, length, length), self.kind)
        table, slopes = self.tensor("attention_bias.weight"), self.tensor("attention_slopes.weight")
        if table is not None:
            reach = table.shape[1] // 2
            bias = table[:, np.clip(distances, -reach, reach) + reach]
        elif slopes is not None:
            bias = -slopes.reshape(-1, 1, 1) * np.abs(distances)
        hidden = distances > 0 if self.of("attention.causal") else np.zeros_like(distances, bool)
        windows = self.metadata.get("ranklet.encoder.window_layers")
        if windows is not None and windows[n]:
            hidden = hidden | (np.abs(distances) > self.metadata["ranklet.encoder.window_reach"])
        return np.where(hidden, -np.inf, bias).astype(self.kind)

    def position_scores(self, n, q, k):
        """What block n adds to scores by content and distance: [heads, length, length]; 0 where it has no tables of positions."""
        of_keys, of_queries = (self.tensor(f"blk.{n}.attn_position_{name}.weight") for name in "kq")
        if of_keys is None and of_queries is None:
            return self.kind(0)
        length, heads, size = q.shape
        distances = np.arange(length)[:, None] - np.arange(length)[None, :]  # query - key
        span = len(of_queries if of_keys is None else of_keys) // 2
        buckets = np.asarray(self.metadata["ranklet.encoder.position_buckets"])[np.abs(distances)] * np.sign(distances)
        rows = np.minimum(span + buckets, 2 * span - 1)
        scores = np.zeros((heads, length, length), self.kind)
        for table, given, by_key in ((of_keys, q, False), (of_queries, k, True)):
            if table is None:
                continue
            products = np.einsum("lhd,rhd->hlr", given, table.reshape(-1, heads, size))
            columns = rows.T if by_key else rows
            taken = np.take_along_axis(products, np.broadcast_to(columns, (heads, length, length)), 2)
            scores += taken.transpose(0, 2, 1) if by_key else taken
        return scores

    def attend(self, n, q, k, v):
        """One text's queries [length, heads * size], keys and values -> [length, heads * size]."""
        heads = self.of("attention.head_count")
        keys = self.of("attention.head_count_kv", heads)
        length, size = len(q), q.shape[1] // heads
        q, k, v = q.reshape(length, heads, size), k.reshape(length, keys, size), v.reshape(length, keys, size)
        q, k = self.norm(q, f"blk.{n}.attn_q_norm"), self.norm(k, f"blk.{n}.attn_k_norm")
        windows = self.metadata.get("ranklet.encoder.window_layers")
        turns = self.source("rope_frequencies_window.weight") if windows is not None and windows[n] else None
        turns = self.source("rope_frequencies.weight") if turns is None else turns
        if turns is not None:
            factor = np.float32(self.metadata.get("ranklet.encoder.rope_factor", 1.0))
            q, k = (turned(x, np.asarray(turns).reshape(-1), factor) for x in (q, k))
        scale = self.metadata.get("ranklet.encoder.attention_scale")
        scale = 1 / math.sqrt(size) if scale is None else self.kind(np.float32(scale))
        k, v = (np.repeat(x, heads // keys, axis=1) for x in (k, v))
        scores = q.transpose(1, 0, 2) @ k.transpose(1, 2, 0) + self.position_scores(n, q, k)
        weights = softmax(scores * scale + self.bias(n, length))
        return (weights @ v.transpose(1, 0, 2)).transpose(1, 0, 2).reshape(length, heads * size)

    def half(self, x, change, before, behind, summed):
        """x after a half of a block: `change` of what it reads, with the norms that there are."""
        y = self.norm(change(self.norm(x, before)), behind)
        return self.norm(x + y, summed)

    def token_states(self, texts, type_ids=None):
        """Token ids of several texts -> the last layer's states [length, dim] of each.

        type_ids: of each text its tokens' types (None: all 0); a model without token types has no use for them.
        """
        activation = ACTIVATIONS[self.metadata["ranklet.encoder.activation"]]
        bounds = np.cumsum([0] + [len(ids) for ids in texts])
        x = self.embed(texts, type_ids)
        for n in range(self.of("block_count")):
            block = f"blk.{n}."

            def attention(y, n=n, block=block):
                q, k, v = (self.linear(y, block + name, block + "attn_q") for name in ("attn_q", "attn_k", "attn_v"))
                context = np.concatenate([self.attend(n, q[a:b], k[a:b], v[a:b]) for a, b in zip(bounds, bounds[1:])])
                return self.linear(context, block + "attn_output")

            def widened(y, block=block):
                if self.source(block + "ffn_gate.weight") is None:
                    return self.linear(activation(self.linear(y, block + "ffn_up")), block + "ffn_down")
                gated = activation(self.linear(y, block + "ffn_gate")) * self.linear(y, block + "ffn_up")
                return self.linear(gated, block + "ffn_down")

            x = self.half(x, attention, block + "attn_norm", block + "post_attention_norm", block + "attn_output_norm")
            x = self.half(x, widened, block + "ffn_norm", block + "post_ffw_norm", block + "layer_output_norm")
        x = self.norm(x, "output_norm")
        return [x[a:b] for a, b in zip(bounds, bounds[1:])]

    def vector(self, states):
        """Token states of one text -> its vector after all modules."""
        x = states
        for module in self.metadata["ranklet.encoder.modules"]:
            if module in ("pooling", "pooling_without_prompt"):  # there is no prompt here
                x = np.concatenate([pool(x, mode) for mode in self.metadata["ranklet.encoder.pooling"]])
            elif module == "normalize":
                x = np.stack([unit(row) for row in x]) if x.ndim == 2 else unit(x)
            elif module == "truncate":
                x = x[..., :self.metadata["ranklet.encoder.truncate.size"]]
            elif module.startswith("layer_norm."):
                epsilon = self.kind(np.float32(self.metadata[f"ranklet.encoder.{module}.epsilon"]))
                x = layer_norm(x, *(self.tensor(f"ranklet.{module}.{name}") for name in ("weight", "bias")), epsilon)
            else:
                activation = self.metadata[f"ranklet.encoder.{module}.activation"]
                y = ACTIVATIONS[activation](self.linear(x, f"ranklet.{module}"))
                if module.startswith("residual_dense."):
                    projection = self.tensor(f"ranklet.{module}.residual.weight")
                    y = y + (x if projection is None else x @ projection.T)
                x = y
            x = x.astype(self.kind)
        return x

    def logits(self, states):
        """Token states of one text -> logits [labels] of the text, or [length, labels] of its tokens."""
        def head(x):
            name = "ranklet.classifier.dense"
            if self.source(f"{name}.weight") is not None:
                x = ACTIVATIONS[self.metadata[f"{name}.activation"]](self.linear(x, name))
            norm = self.tensor("ranklet.classifier.norm.weight")
            if norm is not None:
                bias = self.tensor("ranklet.classifier.norm.bias")
                epsilon = self.kind(np.float32(self.metadata["ranklet.classifier.norm.epsilon"]))
                x = layer_norm(x, norm, self.kind(0) if bias is None else bias, epsilon)
            return self.linear(x, "ranklet.classifier.out").astype(self.kind)

        if self.metadata["ranklet.classifier.kind"] == "token":
            return head(states)
        pooling = self.metadata.get("ranklet.classifier.pooling", "cls")
        return head(states).mean(0) if pooling == "late" else head(pool(states, pooling))
