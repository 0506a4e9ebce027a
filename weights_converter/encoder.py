"""BERT and DistilBERT: a checkpoint's configuration and weights become the model file's.

In: config.json and a StateDict. Out: keys `bert.*`, tensors `token_embd.weight`, `blk.N.*` ...; see ARCHITECTURE.md.
Names: Hugging Face's BertModel and DistilBertModel, with any prefix, LayerNorm's parameters also as gamma and beta.
"""
import math
from dataclasses import dataclass

from .checkpoint import is_count
from .errors import ConversionError

WORDS = "embeddings.word_embeddings.weight"

# transformers' names -> the model file's; gelu_fast, gelu_new and gelu_pytorch_tanh are one formula
ACTIVATIONS = {"gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh",
               "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu"}

# config.json's names; those of DistilBERT have no epsilon and no token types
BERT = dict(dim="hidden_size", layers="num_hidden_layers", heads="num_attention_heads", ff="intermediate_size",
            activation="hidden_act", positions="max_position_embeddings", vocabulary="vocab_size")
DISTILBERT = dict(dim="dim", layers="n_layers", heads="n_heads", ff="hidden_dim", activation="activation",
                  positions="max_position_embeddings", vocabulary="vocab_size")

# The model file's name, then each family's, of a layer's linear maps and norms; sizes [out, in] in terms of d and f
BERT_LAYER = "encoder.layer.{}."
DISTILBERT_LAYER = "transformer.layer.{}."
LAYER = (
    ("attn_q", "attention.self.query", "attention.q_lin", "dd"),
    ("attn_k", "attention.self.key", "attention.k_lin", "dd"),
    ("attn_v", "attention.self.value", "attention.v_lin", "dd"),
    ("attn_output", "attention.output.dense", "attention.out_lin", "dd"),
    ("attn_output_norm", "attention.output.LayerNorm", "sa_layer_norm", "d"),
    ("ffn_up", "intermediate.dense", "ffn.lin1", "fd"),
    ("ffn_down", "output.dense", "ffn.lin2", "df"),
    ("layer_output_norm", "output.LayerNorm", "output_layer_norm", "d"),
)


@dataclass
class EncoderInfo:
    family: str  # bert or distilbert
    dim: int
    layers: int
    heads: int
    ff: int
    activation: str
    positions: int
    rows: int  # of the word embeddings
    prefix: str  # of the encoder's tensors


def check_family(config, path, custom_model=False):
    """'bert' or 'distilbert'. custom_model: a recommender, whose class the configuration may name as it likes."""
    family = config.get("model_type")
    architectures = config.get("architectures") or []
    if not isinstance(architectures, list):
        raise ConversionError(f"{path}: architectures is {architectures!r}, expected a list")
    if family is None and any(str(name).startswith("DistilBert") for name in architectures):
        family = "distilbert"
    elif family is None and "hidden_size" in config:
        family = "bert"  # what the first BERT checkpoints had no key for
    if family not in ("bert", "distilbert"):
        raise ConversionError(f"{path}: model_type {family!r} is not supported, only bert and distilbert are")
    wanted = "Bert" if family == "bert" else "DistilBert"
    for name in architectures:
        if not custom_model and not str(name).startswith(wanted):
            raise ConversionError(f"{path}: architecture {name} is not supported, expected {wanted}Model or its heads")
    return family


def _number(config, path, name):
    value = config.get(name)
    if not is_count(value):
        raise ConversionError(f"{path}: {name} is {value!r}, expected a positive number")
    return value


def _check_unsupported(config, path):
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise ConversionError(f"{path}: position_embedding_type {kind!r} is not supported, only 'absolute' is")
    for name in ("is_decoder", "add_cross_attention", "is_encoder_decoder"):
        if config.get(name):
            raise ConversionError(f"{path}: {name} is true, only encoders are supported")
    if config.get("pruned_heads"):
        raise ConversionError(f"{path}: pruned_heads is not supported")
    if config.get("quantization_config"):
        raise ConversionError(f"{path}: quantised weights (quantization_config) are not supported")


def _norm_names(state, name):
    old = f"{name}.gamma" in state and f"{name}.weight" not in state
    return (f"{name}.gamma", f"{name}.beta") if old else (f"{name}.weight", f"{name}.bias")


def find_prefix(state):
    """What stands before 'embeddings.word_embeddings.weight'; None if there is no such tensor."""
    found = [name[:-len(WORDS)] for name in state.names() if name == WORDS or name.endswith("." + WORDS)]
    if len(found) > 1:
        raise ConversionError(f"{state.path}: holds several encoders: {', '.join(p + WORDS for p in found)}")
    return found[0] if found else None


def add_encoder(model, state, config, path, custom_model=False):
    """Puts keys and tensors into the model; every tensor's shape is checked against config.json at `path`."""
    family = check_family(config, path, custom_model)
    _check_unsupported(config, path)
    names = BERT if family == "bert" else DISTILBERT
    dim, layers, heads, ff, positions, vocabulary = (
        _number(config, path, names[n]) for n in ("dim", "layers", "heads", "ff", "positions", "vocabulary"))
    if dim % heads:
        raise ConversionError(f"{path}: {names['dim']} {dim} is not a multiple of {names['heads']} {heads}")
    activation = config.get(names["activation"])
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ConversionError(f"{path}: {names['activation']} {activation!r} is unknown; known are {', '.join(ACTIVATIONS)}")
    epsilon = config.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, (int, float)) or isinstance(epsilon, bool) or not 0 < epsilon < 1 or not math.isfinite(epsilon):
        raise ConversionError(f"{path}: layer_norm_eps is {epsilon!r}, expected a small positive number")
    prefix = find_prefix(state)
    if prefix is None:
        raise ConversionError(f"{state.path}: tensor {WORDS} is missing (with any prefix)")

    model.key("bert.context_length", positions, "u32")
    model.key("bert.embedding_length", dim, "u32")
    model.key("bert.feed_forward_length", ff, "u32")
    model.key("bert.block_count", layers, "u32")
    model.key("bert.attention.head_count", heads, "u32")
    model.key("bert.attention.layer_norm_epsilon", epsilon, "f32")
    model.key("bert.attention.causal", False, "bool")
    model.key("ranklet.encoder.type", "bert", "string")
    model.key("ranklet.encoder.activation", ACTIVATIONS[activation], "string")
    model.key("ranklet.encoder.position_offset", 0, "u32")

    embeddings = prefix + "embeddings."
    model.matrix("token_embd.weight", state.take(prefix + WORDS, [vocabulary, dim]))
    model.exact("position_embd.weight", state.take(embeddings + "position_embeddings.weight", [positions, dim]))
    types = 0
    if family == "bert":
        types = _number(config, path, "type_vocab_size") if "type_vocab_size" in config else 2
        model.exact("token_types.weight", state.take(embeddings + "token_type_embeddings.weight", [types, dim]))
    model.key("tokenizer.ggml.token_type_count", types, "u32")
    _add_norm(model, state, "token_embd_norm", embeddings + "LayerNorm", dim)
    for n in range(layers):
        layer = prefix + (BERT_LAYER if family == "bert" else DISTILBERT_LAYER).format(n)
        for ours, bert, distilbert, sizes in LAYER:
            name = layer + (bert if family == "bert" else distilbert)
            if sizes == "d":
                _add_norm(model, state, f"blk.{n}.{ours}", name, dim)
                continue
            shape = [{"d": dim, "f": ff}[size] for size in sizes]
            model.matrix(f"blk.{n}.{ours}.weight", state.take(f"{name}.weight", shape))
            model.exact(f"blk.{n}.{ours}.bias", state.take(f"{name}.bias", shape[:1]))
    _check_rest(state, prefix, family, layers, path)
    return EncoderInfo(family, dim, layers, heads, ff, ACTIVATIONS[activation], positions, vocabulary, prefix)


def _add_norm(model, state, ours, name, dim):
    weight, bias = _norm_names(state, name)
    model.exact(f"{ours}.weight", state.take(weight, [dim]))
    model.exact(f"{ours}.bias", state.take(bias, [dim]))


def _check_rest(state, prefix, family, layers, path):
    """A tensor inside the encoder that was not used would change its numbers; buffers do not."""
    for name in state.unused():
        if name.endswith(("embeddings.position_ids", "embeddings.token_type_ids")):
            state.ignore(name)
        elif name.startswith((prefix + "embeddings.", prefix + "encoder.layer.", prefix + "transformer.layer.")):
            count = "num_hidden_layers" if family == "bert" else "n_layers"
            raise ConversionError(f"{state.path}: tensor {name} has no place in a {family} of {layers} layers "
                                  f"({count} in {path})")
