"""Sparse weights and a vector for each token beside a text's dense vector: what BGE-M3's folder has for them.

In: a folder with sparse_linear.pt, colbert_linear.pt (state dicts of a torch.nn.Linear; .safetensors too). Out: keys and tensors
`ranklet.sparse.*`, `ranklet.token_vectors.*`.
Source: FlagEmbedding's M3Embedder, which gives no weight to the tokens that its tokenizer names cls, eos, pad and unk.
"""
import os

import numpy as np

from .checkpoint import StateDict, optional_json
from .errors import ConversionError

SUFFIXES = (".safetensors", ".pt")
SKIPPED = ("cls_token", "eos_token", "pad_token", "unk_token")
# What transformers' classes take where no file says it
OF_CLASS = {"XLMRobertaTokenizer": dict(cls_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")}


def add_heads(model, folder, dim, tokenizer):
    """-> the line of the summary, None where the folder has neither."""
    said = []
    for name, ours, title in (("sparse_linear", "sparse", "sparse weights"), ("colbert_linear", "token_vectors", "token vectors")):
        path = next(filter(os.path.isfile, (os.path.join(folder, name + suffix) for suffix in SUFFIXES)), None)
        if path is None:
            continue
        state = StateDict(path)
        weight = state.take("weight", [1 if ours == "sparse" else None, dim])
        (model.exact if ours == "sparse" else model.matrix)(f"ranklet.{ours}.weight", weight)
        model.exact(f"ranklet.{ours}.bias", state.take("bias", [len(weight)]))
        if state.unused():
            raise ConversionError(f"{path}: what {', '.join(state.unused()[:5])} is for is not known")
        if ours == "sparse":
            model.key("ranklet.sparse.skipped_ids", _skipped(folder, tokenizer), "[i32]")
        else:
            model.key("ranklet.token_vectors.normalize", True, "bool")
            title += f" of {len(weight)}"
        said.append(title)
    return f"  beside it     {', '.join(said)} (HybridEncoder)" if said else None


def _skipped(folder, tokenizer):
    """Ids of the tokens that have no weight."""
    path = os.path.join(folder, "tokenizer_config.json")
    config = optional_json(folder, "tokenizer_config.json") or {}
    special = optional_json(folder, "special_tokens_map.json") or {}
    defaults = OF_CLASS.get(str(config.get("tokenizer_class")).removesuffix("Fast"), {})
    ids = {token: i for i, token in enumerate(tokenizer.tokens)}
    result = []
    for name in SKIPPED:
        token = next((each[name] for each in (config, special, defaults) if each.get(name) is not None), None)
        if token is None:
            continue
        content = token.get("content") if isinstance(token, dict) else token
        if content not in ids:
            raise ConversionError(f"{path}: {name} {content!r:.60} is no token of the vocabulary")
        result.append(ids[content])
    if not result:
        raise ConversionError(f"{path}: none of {', '.join(SKIPPED)} is stated, which sparse weights leave out")
    return sorted(set(result))


def weights_of(reference, states):
    """One text's token states [length, dim] -> its tokens' weights [length]."""
    return np.maximum(reference.linear(states, "ranklet.sparse"), 0)[:, 0]


def vectors_of(reference, states):
    """... -> a vector for each token but the first [length - 1, token_dim]."""
    rows = reference.linear(states[1:], "ranklet.token_vectors")
    return rows / np.maximum(np.sqrt((rows ** 2).sum(-1, keepdims=True)), 1e-12)
