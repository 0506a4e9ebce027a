"""What Hugging Face's transformer encoders are made of: from a class's config.json and parameter names to one description.

In: a configuration and a state dict. Out: an Architecture: sizes, keys of the model file, tensors under the file's names.
Names and formulas: transformers' classes, and the hub's own files of models that came before them. What a configuration says
and nothing here knows is an error that shows it.
"""
import math
from dataclasses import dataclass, field

import numpy as np

from .errors import ConversionError

# transformers' names -> the model file's; gelu_fast, gelu_new and gelu_pytorch_tanh are one formula
ACTIVATIONS = {"gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh",
               "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu", "swiglu": "silu"}


@dataclass
class Architecture:
    name: str  # general.architecture, under which its keys stand
    title: str  # for people
    dim: int
    layers: int
    heads: int
    ff: int
    activation: str
    positions: int  # tokens that a text may have
    vocabulary: int
    words: str  # the tensor of word embeddings
    prefix: str  # of all of the encoder's tensors
    key_heads: int = 0  # 0: as many as heads
    head: int = 0  # 0: dim / heads
    epsilon: float = 1e-12
    rms: bool = False
    causal: bool = False
    types: int = 0  # of tokens
    projected_from: int = 0  # width of the embeddings where that is another
    keys: dict = field(default_factory=dict)  # more of them: (value, type)
    inside: tuple = ()  # what names of the encoder's tensors begin with, behind the prefix
    tensors: list = field(default_factory=list)  # (the file's name, array, whether it is a matrix)

    def matrix(self, name, array):
        self.tensors.append((name, array, True))

    def exact(self, name, array):
        self.tensors.append((name, array, False))


class Config:
    """config.json, whose every value is asked for with what it has to be."""

    def __init__(self, values, path):
        self.values, self.path = values, path
        self.rope_factor = None  # of cosines and sines, where rotary() found one

    def fail(self, name, wanted):
        raise ConversionError(f"{self.path}: {name} is {self.values.get(name)!r:.80}, {wanted}")

    def count(self, name, otherwise=None):
        value = self.values.get(name, otherwise)
        if value is None and otherwise is not None:
            value = otherwise
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.fail(name, "expected a positive number")
        return value

    def number(self, name, otherwise):
        value = self.values.get(name)
        value = otherwise if value is None else value
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value) or value <= 0:
            self.fail(name, "expected a number above 0")
        return float(value)

    def flag(self, name, otherwise=False):
        value = self.values.get(name)
        if value is None:
            return otherwise
        if not isinstance(value, bool):
            self.fail(name, "expected true or false")
        return value

    def activation(self, name, otherwise=None):
        value = self.values.get(name, otherwise)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            self.fail(name, f"which is unknown; known are {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]

    def refuse(self, **wanted):
        """An error where a key has a value, and it is not the one that is built."""
        for name, value in wanted.items():
            if self.values.get(name) not in (None, value):
                self.fail(name, f"only {value!r} is supported")


def frequencies(base, pairs):
    """[pairs] float32: base^(-2i / (2 pairs)), with the roundings that PyTorch's formula has."""
    exponents = np.arange(0, 2 * pairs, 2).astype(np.float32) / np.float32(2 * pairs)
    return (np.float32(1) / np.power(np.float64(base), exponents.astype(np.float64)).astype(np.float32)).astype(np.float32)


def rotary(config, head, kind=None, base=None):
    """The frequencies of rotary positions that a configuration states (for layers of a kind, where it tells them apart)."""
    stated = config.values.get("rope_parameters") or {}
    if kind is not None and kind in stated:
        stated = stated[kind] or {}
    scaling = config.values.get("rope_scaling") or {}
    if not isinstance(stated, dict) or not isinstance(scaling, dict):
        config.fail("rope_parameters", "expected an object")
    of_kind = kind in (None, "full_attention")  # older files scale the layers that see all
    parameters = {**(scaling if of_kind else {}), **stated}
    base = parameters.get("rope_theta", base)
    if base is None:
        base = config.number("rope_theta", 10000.0)
    part = parameters.get("partial_rotary_factor", config.values.get("partial_rotary_factor") or 1.0)
    pairs = int(head * part) // 2
    result = frequencies(base, pairs)
    name = parameters.get("rope_type", parameters.get("type", "default"))
    if name == "default":
        return result
    if name == "linear":
        return (result / np.float32(parameters["factor"])).astype(np.float32)
    if name == "llama3":
        return _llama3(result, parameters)
    if name == "ntk" and parameters.get("mixed_b") is None:  # of GTE's code on the Hub: longer waves, whatever a text's length
        scale = float(parameters["factor"])
        return (frequencies(base * scale, pairs) / np.float32(scale ** (2 / (2 * pairs)))).astype(np.float32)
    if name == "yarn" and kind is None:
        return _yarn(config, parameters, base, pairs)
    raise ConversionError(f"{config.path}: rotary positions of type {name!r} are not supported ({parameters}); default, linear, ntk, "
                          "llama3 and, for all layers alike, yarn are")


def _yarn(config, parameters, base, pairs):
    """YaRN (Peng et al. 2024): short waves as they are, long ones slowed, a ramp between; and a factor of cosines and sines."""
    context = parameters.get("original_max_position_embeddings") or config.count("max_position_embeddings")
    factor = parameters.get("factor") or config.count("max_position_embeddings") / context
    turns = (parameters.get("beta_fast") or 32, parameters.get("beta_slow") or 1)
    low, high = (2 * pairs * math.log(context / (turn * 2 * math.pi)) / (2 * math.log(base)) for turn in turns)
    if parameters.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, 2 * pairs - 1)
    ramp = np.clip((np.arange(pairs, dtype=np.float32) - low) / ((high - low) or 0.001), 0, 1).astype(np.float32)
    kept = np.float32(1) - ramp
    waves = np.float32(1) / frequencies(base, pairs)
    result = np.float32(1) / (np.float32(factor) * waves) * (1 - kept) + np.float32(1) / waves * kept

    def magnitude(scale=1.0):
        return 0.1 * scale * math.log(factor) + 1.0 if factor > 1 else 1.0

    stated, one, all_dims = (parameters.get(name) for name in ("attention_factor", "mscale", "mscale_all_dim"))
    if stated is None:
        stated = magnitude(one) / magnitude(all_dims) if one and all_dims else magnitude()
    config.rope_factor = float(stated)
    return result.astype(np.float32)


def _llama3(result, parameters):
    factor, low, high = (parameters[name] for name in ("factor", "low_freq_factor", "high_freq_factor"))
    context = parameters["original_max_position_embeddings"]
    wavelength = 2 * np.pi / result
    slowed = np.where(wavelength > context / low, result / np.float32(factor), result)
    smooth = (context / wavelength - low) / (high - low)
    between = (1 - smooth) * slowed / factor + smooth * slowed
    medium = (wavelength >= context / high) & (wavelength <= context / low)
    return np.where(medium, between, slowed).astype(np.float32)


def relative_buckets(distances, buckets, furthest, both_ways=True):
    """Buckets of key - query (Raffel et al. 2020, bidirectional): half of them exact, the rest by the logarithm."""
    if both_ways:
        buckets //= 2
    exact = buckets // 2
    away = np.abs(distances)
    # Exact powers come out whole in float32; here a touch more than nothing stands for that.
    far = exact + np.floor(np.log(np.maximum(away, 1) / exact) / math.log(furthest / exact) * (buckets - exact) + 1e-6).astype(int)
    found = np.where(away < exact, away, np.minimum(far, buckets - 1))
    return found + np.where(distances > 0, buckets, 0)


class Names:
    """A state dict seen under a prefix."""

    def __init__(self, state, prefix):
        self.state, self.prefix = state, prefix

    def __contains__(self, name):
        return self.prefix + name in self.state

    def take(self, name, shape):
        return self.state.take(self.prefix + name, shape)

    def take_stored(self, name, shape):
        return self.state.take_stored(self.prefix + name, shape)


def _linear(made, names, ours, theirs, out, into, bias=None):
    """bias: whether there is one; None: where the checkpoint has it."""
    made.matrix(f"{ours}.weight", names.take_stored(f"{theirs}.weight", [out, into]))
    if f"{theirs}.bias" in names if bias is None else bias:
        made.exact(f"{ours}.bias", names.take(f"{theirs}.bias", [out]))


def _parts(made, names, theirs, ours, rows, into):
    """A fused map's parts, one above the other."""
    weight = names.take_stored(f"{theirs}.weight", [sum(rows), into])
    bias = np.asarray(names.take(f"{theirs}.bias", [sum(rows)])) if f"{theirs}.bias" in names else None
    first = 0
    for name, count in zip(ours, rows):
        made.matrix(f"{name}.weight", weight[first:first + count])
        if bias is not None:
            made.exact(f"{name}.bias", bias[first:first + count])
        first += count


def _norm(made, names, ours, theirs, size, plus_one=False):
    weight = names.take(f"{theirs}.weight", [size])
    made.exact(f"{ours}.weight", np.asarray(weight, np.float32) + np.float32(1) if plus_one else weight)
    if f"{theirs}.bias" in names:
        made.exact(f"{ours}.bias", names.take(f"{theirs}.bias", [size]))


def _bert_sizes(config, **more):
    return dict(dim=config.count("hidden_size"), layers=config.count("num_hidden_layers"),
                heads=config.count("num_attention_heads"), ff=config.count("intermediate_size"),
                vocabulary=config.count("vocab_size"), epsilon=config.number("layer_norm_eps", 1e-12), **more)


def _bert_layers(made, names, attention=("attention.self.query", "attention.self.key", "attention.self.value",
                                         "attention.output.dense", "attention.output.LayerNorm")):
    for n in range(made.layers):
        block, theirs = f"blk.{n}.", f"encoder.layer.{n}."
        for ours, name in zip(("attn_q", "attn_k", "attn_v", "attn_output"), attention):
            _linear(made, names, block + ours, theirs + name, made.dim, made.dim, True)
        _norm(made, names, block + "attn_output_norm", theirs + attention[4], made.dim)
        _linear(made, names, block + "ffn_up", theirs + "intermediate.dense", made.ff, made.dim, True)
        _linear(made, names, block + "ffn_down", theirs + "output.dense", made.dim, made.ff, True)
        _norm(made, names, block + "layer_output_norm", theirs + "output.LayerNorm", made.dim)


def roberta(config, names, prefix):
    """RobertaModel, XLMRobertaModel, CamembertModel: BERT whose positions begin behind the padding's."""
    config.refuse(position_embedding_type="absolute", is_decoder=False, add_cross_attention=False)
    padding = config.values.get("pad_token_id")
    offset = (1 if padding is None else padding) + 1
    positions = config.count("max_position_embeddings")
    if positions <= offset:
        config.fail("max_position_embeddings", f"expected more than the padding's position {offset - 1}")
    made = Architecture("bert", "RoBERTa", words="embeddings.word_embeddings.weight", prefix=prefix,
                        positions=positions - offset, activation=config.activation("hidden_act"),
                        inside=("embeddings.", "encoder.layer."), **_bert_sizes(config))
    made.types = config.count("type_vocab_size", 1)
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, made.dim]))
    made.exact("position_embd.weight",
               names.take("embeddings.position_embeddings.weight", [positions, made.dim])[offset:])
    made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, made.dim]))
    _norm(made, names, "token_embd_norm", "embeddings.LayerNorm", made.dim)
    _bert_layers(made, names)
    return made


def electra(config, names, prefix):
    """ElectraModel: BERT with a projection between embeddings and layers."""
    config.refuse(position_embedding_type="absolute", is_decoder=False)
    narrow = config.count("embedding_size", config.count("hidden_size"))
    projected = "embeddings_project.weight" in names
    made = Architecture("electra" if projected else "bert", "ELECTRA", words="embeddings.word_embeddings.weight", prefix=prefix,
                        positions=config.count("max_position_embeddings"), activation=config.activation("hidden_act"),
                        inside=("embeddings.", "embeddings_project.", "encoder.layer."), **_bert_sizes(config))
    made.types = config.count("type_vocab_size", 2)
    made.projected_from = narrow if projected else 0
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, narrow]))
    made.exact("position_embd.weight", names.take("embeddings.position_embeddings.weight", [made.positions, narrow]))
    made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, narrow]))
    _norm(made, names, "token_embd_norm", "embeddings.LayerNorm", narrow)
    if projected:
        _linear(made, names, "embd_projection", "embeddings_project", made.dim, narrow)
    _bert_layers(made, names)
    return made


def mpnet(config, names, prefix):
    """MPNetModel: BERT without token types, with biases by relative position that all layers share."""
    positions, offset = config.count("max_position_embeddings"), config.values.get("pad_token_id", 1) + 1
    made = Architecture("mpnet", "MPNet", words="embeddings.word_embeddings.weight", prefix=prefix,
                        positions=positions - offset, activation=config.activation("hidden_act"),
                        inside=("embeddings.", "encoder."), **_bert_sizes(config))
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, made.dim]))
    made.exact("position_embd.weight",
               names.take("embeddings.position_embeddings.weight", [positions, made.dim])[offset:])
    _norm(made, names, "token_embd_norm", "embeddings.LayerNorm", made.dim)
    buckets = config.count("relative_attention_num_buckets", 32)
    table = np.asarray(names.take("encoder.relative_attention_bias.weight", [buckets, made.heads]), np.float32)
    reach = 128
    made.exact("attention_bias.weight",
               np.ascontiguousarray(table[relative_buckets(np.arange(-reach, reach + 1), buckets, reach)].T))
    _bert_layers(made, names, ("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o",
                               "attention.LayerNorm"))
    return made


def log_buckets(distances, buckets, furthest):
    """DeBERTa's buckets of distances from 0 on: as they are up to the middle, the rest by the logarithm. float32, as PyTorch has it."""
    middle = buckets // 2
    away = np.maximum(np.asarray(distances), 1).astype(np.float32)
    logarithm = np.log(away / np.float32(middle)) / np.log(np.float32((furthest - 1) / middle))
    far = np.ceil(logarithm * np.float32(middle - 1)).astype(np.int64) + middle
    return np.where(np.asarray(distances) <= middle, distances, far)


def deberta_v2(config, names, prefix):
    """DebertaV2Model: BERT whose scores have terms of content and distance; as a rule no positions and no token types."""
    values = config.values
    config.refuse(is_decoder=False)
    sizes = _bert_sizes(config)
    if values.get("conv_kernel_size"):
        config.fail("conv_kernel_size", "a convolution beside the first layer is not supported")
    if values.get("embedding_size") not in (None, sizes["dim"]):
        config.fail("embedding_size", f"only hidden_size, {sizes['dim']}, is supported")
    if values.get("attention_head_size") not in (None, sizes["dim"] // sizes["heads"]):
        config.fail("attention_head_size", "only hidden_size / num_attention_heads is supported")
    kinds = values.get("pos_att_type") or []
    kinds = [kind.strip() for kind in kinds.lower().split("|")] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not set(kinds) <= {"c2p", "p2c"}:
        config.fail("pos_att_type", "known are c2p and p2c")
    norms = [name.strip() for name in str(values.get("norm_rel_ebd") or "none").lower().split("|")]
    if not set(norms) <= {"none", "layer_norm"}:
        config.fail("norm_rel_ebd", "known are none and layer_norm")
    made = Architecture("deberta-v2", "DeBERTa v2", words="embeddings.word_embeddings.weight", prefix=prefix,
                        positions=config.count("max_position_embeddings"), activation=config.activation("hidden_act"),
                        inside=("embeddings.", "encoder."), **{**sizes, "epsilon": config.number("layer_norm_eps", 1e-7)})
    made.matrix("token_embd.weight", names.take(made.words, [made.vocabulary, made.dim]))
    if values.get("position_biased_input") is not False:
        made.exact("position_embd.weight", names.take("embeddings.position_embeddings.weight", [made.positions, made.dim]))
    if values.get("type_vocab_size"):
        made.types = config.count("type_vocab_size")
        made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, made.dim]))
    _norm(made, names, "token_embd_norm", "embeddings.LayerNorm", made.dim)
    attention = [f"attention.{name}" for name in ("self.query_proj", "self.key_proj", "self.value_proj", "output.dense", "output.LayerNorm")]
    _bert_layers(made, names, attention)
    made.keys["ranklet.encoder.attention_scale"] = (1 / math.sqrt(made.dim // made.heads * (1 + len(set(kinds)))), "f32")
    if config.flag("relative_attention") and kinds:
        _position_tables(made, config, names, kinds, "layer_norm" in norms)
    return made


def _position_tables(made, config, names, kinds, normalized):
    """The maps of queries and keys over the table of distances, in place of it: they are of no text."""
    values = config.values
    furthest = values.get("max_relative_positions", -1)
    furthest = furthest if isinstance(furthest, int) and furthest >= 1 else made.positions
    buckets = values.get("position_buckets", -1)
    span = buckets if isinstance(buckets, int) and buckets > 0 else furthest
    distances = np.arange(made.positions)
    of = log_buckets(distances, buckets, furthest) if span == buckets else distances
    made.keys["ranklet.encoder.position_buckets"] = (np.minimum(of, span).tolist(), "[u32]")
    table = np.asarray(names.take("encoder.rel_embeddings.weight", [2 * span, made.dim]), np.float64)
    if normalized:
        weight, bias = (np.asarray(names.take(f"encoder.LayerNorm.{part}", [made.dim]), np.float64) for part in ("weight", "bias"))
        centred = table - table.mean(1, keepdims=True)
        table = centred / np.sqrt((centred ** 2).mean(1, keepdims=True) + made.epsilon) * weight + bias
    shared = config.flag("share_att_key")
    found = {name: array for name, array, _ in made.tensors}
    for n in range(made.layers):
        for kind, ours, own in (("c2p", "k", "pos_key_proj"), ("p2c", "q", "pos_query_proj")):
            if kind not in kinds:
                continue
            if shared:
                weight, bias = (found[f"blk.{n}.attn_{ours}.{part}"] for part in ("weight", "bias"))
            else:
                theirs = f"encoder.layer.{n}.attention.self.{own}"
                weight, bias = names.take(f"{theirs}.weight", [made.dim, made.dim]), names.take(f"{theirs}.bias", [made.dim])
            rows = table @ np.asarray(weight, np.float64).T + np.asarray(bias, np.float64)
            made.exact(f"blk.{n}.attn_position_{ours}.weight", rows.astype(np.float32))


def _fused_layers(made, names, layer, qkv, output, norms, ff):
    """Post-norm layers with one map for query, key and value. ff(block, theirs): the second half's tensors."""
    for n in range(made.layers):
        block, theirs = f"blk.{n}.", layer.format(n)
        _parts(made, names, theirs + qkv, [block + name for name in ("attn_q", "attn_k", "attn_v")], [made.dim] * 3, made.dim)
        _linear(made, names, block + "attn_output", theirs + output, made.dim, made.dim)
        _norm(made, names, block + "attn_output_norm", theirs + norms[0], made.dim)
        ff(block, theirs)
        _norm(made, names, block + "layer_output_norm", theirs + norms[1], made.dim)


def nomic(config, names, prefix):
    """NomicBertModel, of transformers and of the hub's own code: rotary positions, gates, no biases, norms behind."""
    values = config.values
    old = "n_embd" in values
    if old:
        config.refuse(prenorm=False, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False, parallel_block=False,
                      use_rms_norm=False, rotary_emb_interleaved=False, rotary_emb_scale_base=None, num_experts=0)
        activation = config.activation("activation_function")
        if values.get("activation_function") not in ("swiglu",):
            config.fail("activation_function", "only 'swiglu' is supported")
        sizes = dict(dim=config.count("n_embd"), layers=config.count("n_layer"), heads=config.count("n_head"),
                     ff=config.count("n_inner"), vocabulary=config.count("vocab_size"),
                     epsilon=config.number("layer_norm_epsilon", 1e-12))
        positions, base = config.count("n_positions"), config.number("rotary_emb_base", 10000.0)
        part = config.number("rotary_emb_fraction", 1.0)
        scaling = values.get("rotary_scaling_factor")
        if scaling not in (None, 1, 1.0):
            positions = min(positions, config.count("max_trained_positions", 2048))
    else:
        activation, sizes = config.activation("hidden_act"), _bert_sizes(config)
        positions, base, part = config.count("max_position_embeddings"), None, 1.0
    made = Architecture("nomic-bert", "nomic BERT", words="embeddings.word_embeddings.weight", prefix=prefix, positions=positions,
                        activation=activation, inside=("embeddings.", "emb_ln.", "encoder.layers."), **sizes)
    head = made.dim // made.heads
    made.types = config.count("type_vocab_size", 2)
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, made.dim]))
    made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, made.dim]))
    _norm(made, names, "token_embd_norm", "emb_ln", made.dim)
    made.exact("rope_frequencies.weight",
               (frequencies(base, int(head * part) // 2) if old else rotary(config, head, base=base))[None])

    def ff(block, theirs):
        _linear(made, names, block + "ffn_up", theirs + "mlp.fc11", made.ff, made.dim)
        _linear(made, names, block + "ffn_gate", theirs + "mlp.fc12", made.ff, made.dim)
        _linear(made, names, block + "ffn_down", theirs + "mlp.fc2", made.dim, made.ff)

    _fused_layers(made, names, "encoder.layers.{}.", "attn.Wqkv", "attn.out_proj", ("norm1", "norm2"), ff)
    return made


def gte(config, names, prefix):
    """GteModel of transformers, NewModel of the hub's own code: rotary positions, gated GELU, norms behind."""
    config.refuse(position_embedding_type="rope", layer_norm_type="layer_norm", pack_qkv=True, logn_attention_scale=False)
    made = Architecture("gte", "GTE", words="embeddings.word_embeddings.weight", prefix=prefix,
                        positions=config.count("max_position_embeddings"), activation=config.activation("hidden_act"),
                        inside=("embeddings.", "encoder.layer."), **_bert_sizes(config))
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, made.dim]))
    if "embeddings.token_type_embeddings.weight" in names:
        made.types = config.count("type_vocab_size", 1)
        made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, made.dim]))
    _norm(made, names, "token_embd_norm", "embeddings.LayerNorm", made.dim)
    made.exact("rope_frequencies.weight", rotary(config, made.dim // made.heads, base=config.values.get("rope_theta") or 160_000.0)[None])

    def ff(block, theirs):
        _parts(made, names, theirs + "mlp.up_gate_proj", [block + "ffn_up", block + "ffn_gate"], [made.ff] * 2, made.dim)
        _linear(made, names, block + "ffn_down", theirs + "mlp.down_proj", made.dim, made.ff)

    _fused_layers(made, names, "encoder.layer.{}.", "attention.qkv_proj", "attention.o_proj", ("attn_ln", "mlp_ln"), ff)
    return made


def alibi_slopes(heads):
    """[heads] (Press et al. 2022): powers of 2^(-8 / n) for a power of two; beyond it those in between, of twice as many."""
    whole = 1 << (heads.bit_length() - 1)
    powers = [2.0 ** (-8.0 / whole * (i + 1)) for i in range(whole)]
    return powers + [2.0 ** (-4.0 / whole * (2 * i + 1)) for i in range(heads - whole)]


def jina_v2(config, names, prefix):
    """JinaBertModel, of the hub's own code: BERT with ALiBi in place of positions, and gates."""
    values = config.values
    config.refuse(position_embedding_type="alibi", is_decoder=False)
    gate = {"geglu": "gelu", "reglu": "relu"}.get(values.get("feed_forward_type"))
    if gate is None:
        config.fail("feed_forward_type", "known are geglu and reglu")
    made = Architecture("jina-bert-v2", "Jina v2", words="embeddings.word_embeddings.weight", prefix=prefix, activation=gate,
                        positions=config.count("max_position_embeddings"), inside=("embeddings.", "encoder.layer."),
                        **_bert_sizes(config))
    made.types = config.count("type_vocab_size", 2)
    made.matrix("token_embd.weight", names.take(made.words, [made.vocabulary, made.dim]))
    made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, made.dim]))
    _norm(made, names, "token_embd_norm", "embeddings.LayerNorm", made.dim)
    made.exact("attention_slopes.weight", np.asarray([alibi_slopes(made.heads)], np.float32))
    for n in range(made.layers):
        block, theirs = f"blk.{n}.", f"encoder.layer.{n}."
        for ours, name in (("attn_q", "self.query"), ("attn_k", "self.key"), ("attn_v", "self.value"), ("attn_output", "output.dense")):
            _linear(made, names, block + ours, f"{theirs}attention.{name}", made.dim, made.dim, True)
        _norm(made, names, block + "attn_output_norm", theirs + "attention.output.LayerNorm", made.dim)
        _parts(made, names, theirs + "mlp.gated_layers", [block + "ffn_gate", block + "ffn_up"], [made.ff] * 2, made.dim)
        _linear(made, names, block + "ffn_down", theirs + "mlp.wo", made.dim, made.ff)
        _norm(made, names, block + "layer_output_norm", theirs + "mlp.layernorm", made.dim)
    return made


def jina_v3(config, names, prefix):
    """JinaEmbeddingsV3Model: XLM-RoBERTa with rotary positions."""
    made = Architecture("jina-bert-v3", "Jina v3", words="embeddings.word_embeddings.weight", prefix=prefix,
                        positions=config.count("max_position_embeddings"), activation=config.activation("hidden_act"),
                        inside=("embeddings.", "emb_ln.", "encoder.layers."), **_bert_sizes(config))
    made.types = config.count("type_vocab_size", 1)
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, made.dim]))
    made.exact("token_types.weight", names.take("embeddings.token_type_embeddings.weight", [made.types, made.dim]))
    _norm(made, names, "token_embd_norm", "emb_ln", made.dim)
    base = config.values.get("rotary_emb_base") or 20_000.0
    made.exact("rope_frequencies.weight", rotary(config, made.dim // made.heads, base=base)[None])

    def ff(block, theirs):
        _linear(made, names, block + "ffn_up", theirs + "mlp.fc1", made.ff, made.dim)
        _linear(made, names, block + "ffn_down", theirs + "mlp.fc2", made.dim, made.ff)

    _fused_layers(made, names, "encoder.layers.{}.", "mixer.Wqkv", "mixer.out_proj", ("norm1", "norm2"), ff)
    return made


def modernbert(config, names, prefix):
    """ModernBertModel: norms before, gates, every so many layers a view of the whole text, others of a window."""
    layers = config.count("num_hidden_layers")
    kinds = config.values.get("layer_types")
    if kinds is None:
        every = config.count("global_attn_every_n_layers", 3)
        kinds = ["full_attention" if n % every == 0 else "sliding_attention" for n in range(layers)]
    made = Architecture("modern-bert", "ModernBERT", words="embeddings.tok_embeddings.weight", prefix=prefix,
                        dim=config.count("hidden_size"), layers=layers, heads=config.count("num_attention_heads"),
                        ff=config.count("intermediate_size"), positions=config.count("max_position_embeddings"),
                        vocabulary=config.count("vocab_size"), epsilon=config.number("norm_eps", 1e-5),
                        activation=config.activation("hidden_activation", "gelu"),
                        inside=("embeddings.", "layers.", "final_norm."))
    head = made.dim // made.heads
    made.keys.update(_windows(config, kinds, layers, config.count("local_attention", 128) // 2))
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, made.dim]))
    _norm(made, names, "token_embd_norm", "embeddings.norm", made.dim)
    made.exact("rope_frequencies.weight",
               rotary(config, head, "full_attention", config.values.get("global_rope_theta") or 160_000.0)[None])
    made.exact("rope_frequencies_window.weight",
               rotary(config, head, "sliding_attention", config.values.get("local_rope_theta") or 10_000.0)[None])
    for n in range(layers):
        block, theirs = f"blk.{n}.", f"layers.{n}."
        if n > 0:
            _norm(made, names, block + "attn_norm", theirs + "attn_norm", made.dim)
        _parts(made, names, theirs + "attn.Wqkv", [block + name for name in ("attn_q", "attn_k", "attn_v")], [made.dim] * 3, made.dim)
        _linear(made, names, block + "attn_output", theirs + "attn.Wo", made.dim, made.dim)
        _norm(made, names, block + "ffn_norm", theirs + "mlp_norm", made.dim)
        _parts(made, names, theirs + "mlp.Wi", [block + "ffn_gate", block + "ffn_up"], [made.ff] * 2, made.dim)
        _linear(made, names, block + "ffn_down", theirs + "mlp.Wo", made.dim, made.ff)
    _norm(made, names, "output_norm", "final_norm", made.dim)
    return made


def _windows(config, kinds, layers, reach):
    if len(kinds) != layers or not set(kinds) <= {"full_attention", "sliding_attention"}:
        config.fail("layer_types", f"expected full_attention or sliding_attention for each of {layers} layers")
    windowed = [int(kind == "sliding_attention") for kind in kinds]
    if not any(windowed):
        return {}
    return {"ranklet.encoder.window_layers": (windowed, "[u32]"), "ranklet.encoder.window_reach": (reach, "u32")}


def llama(config, names, prefix, name="llama", title="Llama", causal=True, base=10_000.0, attention_norms=False):
    """LlamaModel, MistralModel, Qwen3Model, EuroBertModel: norms before, by the root of the mean square; rotary positions; gates."""
    config.refuse(pretraining_tp=1)
    heads, dim = config.count("num_attention_heads"), config.count("hidden_size")
    made = Architecture(name, title, words="embed_tokens.weight", prefix=prefix, dim=dim,
                        layers=config.count("num_hidden_layers"), heads=heads, ff=config.count("intermediate_size"),
                        positions=config.count("max_position_embeddings"), vocabulary=config.count("vocab_size"),
                        epsilon=config.number("rms_norm_eps", 1e-6), rms=True, causal=causal,
                        key_heads=config.count("num_key_value_heads", heads),
                        head=config.count("head_dim", dim // heads), activation=config.activation("hidden_act", "silu"),
                        inside=("embed_tokens.", "layers.", "norm."))
    window = config.values.get("sliding_window")
    kinds = config.values.get("layer_types")
    if kinds is not None:
        made.keys.update(_windows(config, kinds, made.layers, (window or 1) - 1))
    elif window is not None and config.flag("use_sliding_window", True):
        made.keys.update(_windows(config, ["sliding_attention"] * made.layers, made.layers, window - 1))
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, dim]))
    made.exact("rope_frequencies.weight", rotary(config, made.head, base=config.values.get("rope_theta") or base)[None])
    _llama_layers(made, names, attention_norms)
    return made


def _llama_layers(made, names, attention_norms, plus_one=False, sandwich=False):
    width, keys = made.heads * made.head, made.key_heads * made.head
    for n in range(made.layers):
        block, theirs = f"blk.{n}.", f"layers.{n}."
        _norm(made, names, block + "attn_norm", theirs + "input_layernorm", made.dim, plus_one)
        for ours, name, out in (("attn_q", "q_proj", width), ("attn_k", "k_proj", keys), ("attn_v", "v_proj", keys)):
            _linear(made, names, block + ours, theirs + "self_attn." + name, out, made.dim)
        if attention_norms:
            _norm(made, names, block + "attn_q_norm", theirs + "self_attn.q_norm", made.head, plus_one)
            _norm(made, names, block + "attn_k_norm", theirs + "self_attn.k_norm", made.head, plus_one)
        _linear(made, names, block + "attn_output", theirs + "self_attn.o_proj", made.dim, width)
        after = theirs + "post_attention_layernorm"
        if sandwich:
            _norm(made, names, block + "post_attention_norm", after, made.dim, plus_one)
            _norm(made, names, block + "ffn_norm", theirs + "pre_feedforward_layernorm", made.dim, plus_one)
            _norm(made, names, block + "post_ffw_norm", theirs + "post_feedforward_layernorm", made.dim, plus_one)
        else:
            _norm(made, names, block + "ffn_norm", after, made.dim, plus_one)
        for ours, name, shape in (("ffn_gate", "gate_proj", (made.ff, made.dim)), ("ffn_up", "up_proj", (made.ff, made.dim)),
                                  ("ffn_down", "down_proj", (made.dim, made.ff))):
            _linear(made, names, block + ours, theirs + "mlp." + name, *shape)
    _norm(made, names, "output_norm", "norm", made.dim, plus_one)


def qwen3(config, names, prefix):
    return llama(config, names, prefix, "qwen3", "Qwen3", base=1_000_000.0, attention_norms=True)


def mistral(config, names, prefix):
    return llama(config, names, prefix, "llama", "Mistral")


def eurobert(config, names, prefix):
    return llama(config, names, prefix, "eurobert", "EuroBERT", causal=False, base=250_000.0)


def gemma3(config, names, prefix):
    """Gemma3TextModel: norms before and behind of 1 + weight, windows, embeddings scaled."""
    config.refuse(attn_logit_softcapping=None)
    heads, dim, layers = (config.count(name) for name in ("num_attention_heads", "hidden_size", "num_hidden_layers"))
    both = config.flag("use_bidirectional_attention")
    made = Architecture("gemma-embedding", "Gemma 3", words="embed_tokens.weight", prefix=prefix, dim=dim, layers=layers,
                        heads=heads, ff=config.count("intermediate_size"), positions=config.count("max_position_embeddings"),
                        vocabulary=config.count("vocab_size"), epsilon=config.number("rms_norm_eps", 1e-6), rms=True,
                        causal=not both, key_heads=config.count("num_key_value_heads", heads),
                        head=config.count("head_dim", dim // heads),
                        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
                        inside=("embed_tokens.", "layers.", "norm."))
    kinds = config.values.get("layer_types")
    if kinds is None:
        every = config.values.get("sliding_window_pattern") or config.values.get("_sliding_window_pattern") or 6
        kinds = ["full_attention" if (n + 1) % every == 0 else "sliding_attention" for n in range(layers)]
    window = config.count("sliding_window", 4096)
    made.keys.update(_windows(config, kinds, layers, window // 2 if both else window - 1))
    made.keys["ranklet.encoder.embedding_scale"] = (float(np.float32(math.sqrt(dim))), "f32")
    made.keys["ranklet.encoder.attention_scale"] = (config.number("query_pre_attn_scalar", 256) ** -0.5, "f32")
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, dim]))
    made.exact("rope_frequencies.weight", rotary(config, made.head, "full_attention", config.values.get("rope_theta") or 1e6)[None])
    made.exact("rope_frequencies_window.weight",
               rotary(config, made.head, "sliding_attention", config.values.get("rope_local_base_freq") or 1e4)[None])
    _llama_layers(made, names, True, plus_one=True, sandwich=True)
    return made


def t5(config, names, prefix):
    """T5EncoderModel: norms before, by the root of the mean square, biases by relative position, scores that are not scaled."""
    heads, dim = config.count("num_heads"), config.count("d_model")
    stated = config.values.get("feed_forward_proj", "relu")
    gated = stated.startswith("gated-")
    activation = config.activation("dense_act_fn", {"gated-gelu": "gelu_new"}.get(stated, stated.removeprefix("gated-")))
    made = Architecture("t5encoder", "T5", words="shared.weight", prefix=prefix, dim=dim, layers=config.count("num_layers"),
                        heads=heads, head=config.count("d_kv"), ff=config.count("d_ff"), activation=activation,
                        positions=config.count("n_positions", 512), vocabulary=config.count("vocab_size"),
                        epsilon=config.number("layer_norm_epsilon", 1e-6), rms=True, inside=("shared.", "encoder."))
    buckets, reach = config.count("relative_attention_num_buckets", 32), config.count("relative_attention_max_distance", 128)
    made.keys["ranklet.encoder.attention_scale"] = (1.0, "f32")
    made.matrix("token_embd.weight", names.take_stored(made.words, [made.vocabulary, dim]))
    theirs = "encoder.block.{}.layer."
    table = np.asarray(names.take(theirs.format(0) + "0.SelfAttention.relative_attention_bias.weight", [buckets, heads]), np.float32)
    made.exact("attention_bias.weight", np.ascontiguousarray(table[relative_buckets(np.arange(-reach, reach + 1), buckets, reach)].T))
    width = heads * made.head
    for n in range(made.layers):
        block, layer = f"blk.{n}.", theirs.format(n)
        _norm(made, names, block + "attn_norm", layer + "0.layer_norm", dim)
        for ours, name, shape in (("attn_q", "q", (width, dim)), ("attn_k", "k", (width, dim)), ("attn_v", "v", (width, dim)),
                                  ("attn_output", "o", (dim, width))):
            _linear(made, names, block + ours, layer + "0.SelfAttention." + name, *shape)
        _norm(made, names, block + "ffn_norm", layer + "1.layer_norm", dim)
        dense = layer + "1.DenseReluDense."
        if gated:
            _linear(made, names, block + "ffn_gate", dense + "wi_0", made.ff, dim)
        _linear(made, names, block + "ffn_up", dense + ("wi_1" if gated else "wi"), made.ff, dim)
        _linear(made, names, block + "ffn_down", dense + "wo", dim, made.ff)
    _norm(made, names, "output_norm", "encoder.final_layer_norm", dim)
    return made


# config.json's model_type -> (the architecture, the tensor of word embeddings)
BY_TYPE = {
    "roberta": (roberta, "embeddings.word_embeddings.weight"),
    "xlm-roberta": (roberta, "embeddings.word_embeddings.weight"),
    "camembert": (roberta, "embeddings.word_embeddings.weight"),
    "electra": (electra, "embeddings.word_embeddings.weight"),
    "mpnet": (mpnet, "embeddings.word_embeddings.weight"),
    "nomic_bert": (nomic, "embeddings.word_embeddings.weight"),
    "gte": (gte, "embeddings.word_embeddings.weight"),
    "new": (gte, "embeddings.word_embeddings.weight"),
    "jina_embeddings_v3": (jina_v3, "embeddings.word_embeddings.weight"),
    "modernbert": (modernbert, "embeddings.tok_embeddings.weight"),
    "eurobert": (eurobert, "embed_tokens.weight"),
    "qwen3": (qwen3, "embed_tokens.weight"),
    "llama": (llama, "embed_tokens.weight"),
    "mistral": (mistral, "embed_tokens.weight"),
    "gemma3_text": (gemma3, "embed_tokens.weight"),
    "t5": (t5, "shared.weight"),
    "deberta-v2": (deberta_v2, "embeddings.word_embeddings.weight"),
    "jina_bert": (jina_v2, "embeddings.word_embeddings.weight"),
}
WORDS = tuple(dict.fromkeys(words for _, words in BY_TYPE.values()))


def describe(config, path, state, prefix, family):
    """config.json at `path`, of one of BY_TYPE; -> Architecture."""
    values = Config(config, path)
    made = BY_TYPE[family][0](values, Names(state, prefix), prefix)
    if values.rope_factor is not None:
        made.keys["ranklet.encoder.rope_factor"] = (values.rope_factor, "f32")
    if made.head == 0:
        if made.dim % made.heads:
            raise ConversionError(f"{path}: hidden_size {made.dim} is not a multiple of num_attention_heads {made.heads}")
    return made
