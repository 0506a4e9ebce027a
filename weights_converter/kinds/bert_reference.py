"""BERT's forward pass in numpy: what a model file's self-test expects.

In: a model's metadata and tensors (as docs/model-file.md names them) and token ids. Out: token states, vectors, logits.
Formulas: BERT (Devlin et al. 2019, post-norm), sentence-transformers' pooling.
"""
import math

import numpy as np

from ..numpy_reference import ACTIVATIONS, Reference, attention


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


class BertReference(Reference):
    def norm(self, x, name):
        epsilon = self.kind(np.float32(self.metadata["bert.attention.layer_norm_epsilon"]))
        return layer_norm(x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"), epsilon)

    def embed(self, texts, type_ids=None):
        """Token ids (and types, as below) of several texts, one after the other -> the first block's inputs."""
        offset = self.metadata["ranklet.encoder.position_offset"]
        of_tokens = np.zeros(1, np.int64) if type_ids is None else np.concatenate([np.asarray(t, np.int64) for t in type_ids])
        types = self.tensor("token_types.weight", of_tokens)
        x = self.tensor("token_embd.weight", np.concatenate([np.asarray(ids, dtype=np.int64) for ids in texts]))
        x = x + self.tensor("position_embd.weight", np.concatenate([np.arange(len(ids)) for ids in texts]) + offset)
        return self.norm(x if types is None else x + types, "token_embd_norm")

    def token_states(self, texts, type_ids=None):
        """Token ids of several texts -> the last layer's states [length, dim] of each.

        type_ids: of each text its tokens' types (None: all 0); a model without token types has no use for them.
        """
        heads = self.metadata["bert.attention.head_count"]
        activation = ACTIVATIONS[self.metadata["ranklet.encoder.activation"]]
        bounds = np.cumsum([0] + [len(ids) for ids in texts])
        x = self.embed(texts, type_ids)
        for n in range(self.metadata["bert.block_count"]):
            block = f"blk.{n}."
            q, k, v = (self.linear(x, block + name, block + "attn_q") for name in ("attn_q", "attn_k", "attn_v"))
            context = np.concatenate([attention(q[a:b], k[a:b], v[a:b], heads) for a, b in zip(bounds, bounds[1:])])
            x = self.norm(x + self.linear(context, block + "attn_output"), block + "attn_output_norm")
            inner = activation(self.linear(x, block + "ffn_up"))
            x = self.norm(x + self.linear(inner, block + "ffn_down"), block + "layer_output_norm")
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
        if self.metadata["ranklet.classifier.kind"] == "sequence":
            activation = ACTIVATIONS[self.metadata["ranklet.classifier.dense.activation"]]
            states = activation(self.linear(states[0], "ranklet.classifier.dense"))
        return self.linear(states, "ranklet.classifier.out").astype(self.kind)
