"""Transformers that encode texts, BERT and its successors, alone or with a classifier, as Hugging Face and
sentence-transformers save them.

In: config.json, the tokenizer, the weights. Out: keys `bert.*`, `tokenizer.*`, `ranklet.encoder.*`, tensors
`token_embd.weight`, `blk.N.*` ...; see docs/model-file.md.
Names: Hugging Face's BertModel and DistilBertModel, with any prefix, LayerNorm's parameters also as gamma and beta.
"""
import math
import os
from dataclasses import dataclass

import numpy as np

from .. import architectures, calibration, classifier, hybrid, sentence, subword
from .. import tokenizer as tokenizers
from ..architectures import ACTIVATIONS
from ..checkpoint import is_count, optional_json, read_json
from ..errors import ConversionError
from ..options import CALIBRATION, LOWERCASE, MAX_LENGTH, NORMALIZE, POOLING, ROUTE, SCORING, TRUNCATE_DIM
from ..quantization import quantize_blocks
from ..recurrent import has_gru
from ..selftest import LOWERED_TEXT, TEXTS, SelfTest
from .bert_reference import BertReference as Reference

MODELS = {}
OPTIONS = (POOLING, NORMALIZE, TRUNCATE_DIM, MAX_LENGTH, LOWERCASE, ROUTE, SCORING, CALIBRATION, classifier.ACTIVATION)

WORDS = "embeddings.word_embeddings.weight"

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

# Of the self-test's texts, short ones: how a pair is cut is the tokenizer's own tests' business
PAIRS = ((1, 0), (0, 2), (2, 1))


def matches(source):
    """An encoder without a GRU over it."""
    return find_prefix(source.state) is not None and not has_gru(source.state)


def looked_for(source):
    """What this kind is known by, said where no kind matches; an error where config.json tells more."""
    config = optional_json(source.folder, "config.json")
    if config is not None:
        check_family(config, os.path.join(source.folder, "config.json"))
    return f"an encoder ({WORDS})"


def refusal(source, option):
    return f"{source.path}: has a text encoder and no {option.of}; {option.flag} is for {option.of}"


def write(model, source, options):
    """-> (lines of the summary, SelfTest)"""
    scoring = options.scoring or source.settings.scoring
    if scoring:
        raise ConversionError(f"{source.state.path}: scoring {scoring} needs a GRU, there is no weight_ih_l0")
    source.settings.refuse(("padding_row", "recurrent_activation", "activation"), "there is no GRU")
    encoder = add_encoder(model, source, options)
    head = classifier.add_classifier(model, source.state, encoder.config, encoder.config_path, encoder, options.activation,
                                     source.note)
    _, lines = add_vector(model, source, options, encoder, "a classifier" if head else None)
    beside = None if head else hybrid.add_heads(model, source.folder, encoder.dim, encoder.tokenizer)
    source.state.leave_out_heads(source.note)
    return [*lines, *filter(None, (head, beside))], _selftest(model, encoder.tokenizer)


# ---- the self-test


def selftest_ids(model, tokenizer):
    """(WordPiece, the self-test's texts, their ids)"""
    wordpiece = tokenizers.reference(tokenizer, model.metadata()["ranklet.encoder.max_length"])
    texts = [*TEXTS, *[LOWERED_TEXT] * tokenizer.lower_text]
    return wordpiece, texts, [wordpiece.encode(text) for text in texts]


def _selftest(model, tokenizer):
    metadata = model.metadata()
    wordpiece, texts, ids = selftest_ids(model, tokenizer)
    kind = metadata.get("ranklet.classifier.kind")
    pairs = _pairs(wordpiece, metadata) if kind == "sequence" else []

    def run(reference):
        states = reference.token_states(ids)
        outputs = {"vectors": np.stack([reference.vector(each) for each in states])}
        if kind:
            outputs["logits"] = np.concatenate([reference.logits(each).reshape(-1) for each in states])
        if "ranklet.sparse.weight" in model.tensors:
            outputs["token_weights"] = np.concatenate([hybrid.weights_of(reference, each) for each in states])
        if "ranklet.token_vectors.weight" in model.tensors:
            outputs["token_vectors"] = hybrid.vectors_of(reference, states[0])
        if pairs:
            of_pairs = reference.token_states([pair[0] for _, pair in pairs], [pair[1] for _, pair in pairs])
            outputs["pair_logits"] = np.concatenate([reference.logits(each) for each in of_pairs])
        return outputs

    test = SelfTest(Reference, run)
    test.texts(texts, ids)
    for name, tensor, what in (("token_weights", "ranklet.sparse.weight", "sparse weights"),
                               ("token_vectors", "ranklet.token_vectors.weight", "token vectors")):
        if tensor in model.tensors:
            test.outputs(name)
            test.what.append(what)
    if kind:
        test.outputs("logits")
        test.what.append(f"logits of {len(ids)} texts" + f" and {len(pairs)} pairs" * bool(pairs))
    if pairs:
        test.input("pairs", [i for indices, _ in pairs for i in indices], "[i32]")
        test.outputs("pair_logits")
    return test


def _pairs(wordpiece, metadata):
    """((first, second), (ids, type ids)) of those pairs that need no cutting; none where the model has one token type of two."""
    limit = metadata["ranklet.encoder.max_length"]
    whole = tokenizers.reference(wordpiece.settings)
    encoded = [((a, b), whole.encode_pair(TEXTS[a], TEXTS[b])) for a, b in PAIRS]
    if metadata["tokenizer.ggml.token_type_count"] == 1 and any(any(types) for _, (_, types) in encoded):
        return []
    return [pair for pair in encoded if len(pair[1][0]) < limit]


# ---- the encoder


@dataclass
class Encoder:
    """What add_encoder has put into the model."""
    family: str  # config.json's model_type
    dim: int
    layers: int
    heads: int
    ff: int
    activation: str
    positions: int
    rows: int  # of the word embeddings
    prefix: str  # of the encoder's tensors
    tokenizer: tokenizers.Tokenizer
    config: dict
    config_path: str
    title: str = ""  # of the architecture
    words: str = WORDS  # the tensor of word embeddings, behind the prefix
    architecture: str = "bert"  # general.architecture


def architectures_of(config, path):
    named = config.get("architectures") or []
    if not isinstance(named, list):
        raise ConversionError(f"{path}: architectures is {named!r}, expected a list")
    return [str(name) for name in named]


def check_family(config, path, custom_model=False):
    """'bert', 'distilbert' or one of architectures.BY_TYPE. custom_model: a recommender, whose class the configuration may name as it likes."""
    family, named = config.get("model_type"), architectures_of(config, path)
    if family is None and any(name.startswith("DistilBert") for name in named):
        family = "distilbert"
    elif family is None and "hidden_size" in config:
        family = "bert"  # what the first BERT checkpoints had no key for
    if family == "bert" and any(name.startswith("JinaBert") for name in named):
        family = "jina_bert"  # which calls itself BERT
    if family in architectures.BY_TYPE:
        for name in architectures_of(config, path):
            if not custom_model and not name.endswith(("Model", "ForMaskedLM", "ForCausalLM", "ForPreTraining", "ForConditionalGeneration",
                                                       *classifier.KINDS)):
                raise ConversionError(f"{path}: architecture {name} is not supported: of {family} the encoder is, and classifiers of texts "
                                      "and tokens")
        return family
    if family not in ("bert", "distilbert"):
        raise ConversionError(f"{path}: model_type {family!r} is not supported; known are bert, distilbert, "
                              f"{', '.join(architectures.BY_TYPE)}")
    wanted = "Bert" if family == "bert" else "DistilBert"
    for name in named:
        if not custom_model and not name.startswith(wanted):
            raise ConversionError(f"{path}: architecture {name} is not supported, expected {wanted}Model or its heads")
    return family


def _number(config, path, name):
    value = config.get(name)
    if not is_count(value):
        raise ConversionError(f"{path}: {name} is {value!r}, expected a positive number")
    return value


def _check_unsupported(config, path, family):
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute" and family not in architectures.BY_TYPE:  # which look at it themselves
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
    """What stands before 'embeddings.word_embeddings.weight', or what other architectures call it; None if there is none."""
    for words in architectures.WORDS:
        found = [name[:-len(words)] for name in state.names() if name == words or name.endswith("." + words)]
        if len(found) > 1:
            raise ConversionError(f"{state.path}: holds several encoders: {', '.join(p + words for p in found)}")
        if found:
            return found[0]
    return None


def add_encoder(model, source, options, custom_model=False):
    """config.json, tokenizer and weights into the model; -> Encoder. custom_model: as check_family has it."""
    state, folder = source.state, source.folder
    if source.settings.encoder is not None:
        raise ConversionError(f"{source.settings.path}: encoder is for a GRU without a text encoder of its own; "
                              f"{source.weights} has one")
    source.refuse_model("a text encoder")
    path = os.path.join(folder, "config.json")
    if not os.path.isfile(path):
        raise ConversionError(f"{folder}: no config.json{'' if source.config else ' (--config says where it is)'}")
    config = read_json(path)
    family = check_family(config, path, custom_model)
    tokenizer = tokenizers.read_tokenizer(folder, options.lowercase, source.note)
    source.stage("checking the encoder's weights")
    model.key("general.architecture", "bert", "string")
    model.key("general.name", options.name or source.settings.name or source.name, "string")
    return _add_weights(model, state, config, path, family, tokenizer)


def _add_weights(model, state, config, path, family, tokenizer):
    """Every tensor's shape is checked against config.json at `path`."""
    _check_unsupported(config, path, family)
    if family in architectures.BY_TYPE:
        return _add_architecture(model, state, config, path, family, tokenizer)
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
    model.matrix("token_embd.weight", state.take_stored(prefix + WORDS, [vocabulary, dim]))
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
            model.matrix(f"blk.{n}.{ours}.weight", state.take_stored(f"{name}.weight", shape))
            model.exact(f"blk.{n}.{ours}.bias", state.take(f"{name}.bias", shape[:1]))
    _check_rest(state, prefix, family, layers, path)
    return Encoder(family, dim, layers, heads, ff, ACTIVATIONS[activation], positions, vocabulary, prefix, tokenizer, config, path)


def _add_architecture(model, state, config, path, family, tokenizer):
    made = architectures.describe(config, path, state, find_prefix(state), family)

    def key(name, value, kind):
        model.key(f"{made.name}.{name}", value, kind)

    model.key("general.architecture", made.name, "string")
    key("context_length", made.positions, "u32")
    key("embedding_length", made.dim, "u32")
    key("feed_forward_length", made.ff, "u32")
    key("block_count", made.layers, "u32")
    key("attention.head_count", made.heads, "u32")
    if made.key_heads:
        key("attention.head_count_kv", made.key_heads, "u32")
    if made.head:
        key("attention.key_length", made.head, "u32")
    key("attention.layer_norm_rms_epsilon" if made.rms else "attention.layer_norm_epsilon", made.epsilon, "f32")
    key("attention.causal", made.causal, "bool")
    model.key("ranklet.encoder.type", "bert", "string")
    model.key("ranklet.encoder.activation", made.activation, "string")
    model.key("ranklet.encoder.position_offset", 0, "u32")
    for name, (value, kind) in made.keys.items():
        model.key(name, value, kind)
    model.key("tokenizer.ggml.token_type_count", made.types, "u32")
    for name, array, is_matrix in made.tensors:
        (model.matrix if is_matrix else model.exact)(name, array)
    for name in state.unused():
        inside = name.removeprefix(made.prefix)
        if inside.endswith((".position_ids", ".token_type_ids", "rotary_emb.inv_freq", "lm_head.weight")):
            state.ignore(name)
        elif name.startswith(made.prefix) and inside.startswith(made.inside):
            raise ConversionError(f"{state.path}: tensor {name} has no place in a {made.title} of {made.layers} layers ({path})")
    return Encoder(family, made.dim, made.layers, made.heads, made.ff, made.activation, made.positions, made.vocabulary, made.prefix,
                   tokenizer, config, path, made.title, made.words, made.name)


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


# ---- from token states to a text's vector


def add_vector(model, source, options, encoder, reader):
    """Length, tokenizer, pooling and what follows it into the model; -> (the vector's size, lines of the summary).

    reader: what reads token states where no score depends on the vector, None where the vector is what is read."""
    folder, tokenizer = source.folder, encoder.tokenizer
    modules, stated_length = _resolve_modules(options, source, reader)
    for text in modules.notes:
        source.note(text)
    if modules.do_lower_case:
        if model.metadata().get("ranklet.classifier.kind") == "token":
            source.note("do_lower_case of sentence-transformers is not applied: transformers, which tags, knows nothing of it")
        else:
            tokenizer.lower_text = True
            source.note("do_lower_case of sentence-transformers: a text is lower-cased as a whole before the tokenizer reads "
                        "it, special tokens in it too")
    max_length = _max_length(stated_length, tokenizer, encoder)
    model.key("ranklet.encoder.max_length", max_length, "u32")
    tokenizers.fit_to_rows(tokenizer, encoder.rows, f"{source.state.path}: {encoder.prefix}{encoder.words}")
    tokenizers.add_keys(model, tokenizer, source.note)
    size = sentence.add_sentence(model, modules, encoder.dim, folder)
    lines = [
        f"  architecture  {encoder.title or {'distilbert': 'DistilBERT'}.get(encoder.family, 'BERT')}, {encoder.layers} "
        f"layer{'s' * (encoder.layers > 1)}, {encoder.dim} wide, {encoder.heads} heads, feed-forward {encoder.ff}, "
        f"{encoder.activation}",
        f"  text          {len(tokenizer.tokens)} tokens{', lower-cased' if tokenizer.lowercase or tokenizer.lower_text else ''}, up to {max_length} "
        f"a text ({encoder.positions} positions)",
        f"  vector        {size}: {' + '.join(modules.pooling)} pooling"
        + "".join(f", {name}" for name in modules.modules if name != sentence.POOLING)
        + (f", the first {size} numbers" if modules.truncate else "")
        + (f"; prompts {', '.join(modules.prompts)}" if modules.prompts else "")]
    if model.dtype == "i8":
        lines.append(_fit_to_texts(model, source, options, tokenizer))
    elif options.calibration is not None:
        raise ConversionError(f"--calibration is for --dtype i8; this is --dtype {model.dtype}")
    return size, lines


def _fit_to_texts(model, source, options, tokenizer):
    """The blocks' matrices in 8 bits that keep the neighbours of texts; -> the line that says how many."""
    metadata = model.metadata()
    prompts = dict(zip(metadata.get("ranklet.prompts.names", ()), metadata.get("ranklet.prompts.texts", ())))
    prompt = prompts.get(metadata.get("ranklet.prompts.default"), "")
    wordpiece = tokenizers.reference(tokenizer, metadata["ranklet.encoder.max_length"])
    source.stage("cutting the texts that 8-bit weights are fitted to")
    texts = calibration.read_texts(options.calibration, lambda text: wordpiece.encode(prompt + text))
    kept = quantize_blocks(model, Reference, texts, source.stage)
    return (f"  8 bits        fitted to {len(texts)} {'texts of its own' if options.calibration is None else 'of your texts'}: keeps "
            f"{round(100 * kept.kept)} of 100 nearest neighbours, cosine {kept.mean:.4f}, {kept.worst:.4f} at worst")


def _resolve_modules(options, source, reader):
    """(what follows the transformer, the longest text or None), from modules.json, ranklet.json or the command line; never
    guessed."""
    modules, settings, where = source.modules, source.settings, source.folder
    stated = [("the command line", options.pooling, options.normalize, options.max_length),
              (settings.path, settings.pooling, settings.normalize, settings.max_length)]
    if modules:
        stated.append((f"{where}/modules.json", modules.pooling, modules.normalizes if modules.pooling else None,
                       modules.max_length))

    def resolve(index, what):
        found = [(each[0], each[index]) for each in stated if each[index] is not None]
        for place, value in found[1:]:
            if value != found[0][1]:
                raise ConversionError(f"{what}: {found[0][0]} says {_said(found[0][1])}, {place} says {_said(value)}")
        return found[0][1] if found else None

    pooling, normalize = resolve(1, "pooling"), resolve(2, "normalize")
    if options.max_length is not None:
        max_length = options.max_length  # may shorten (or lengthen) what the files say
    else:
        max_length = resolve(3, "max_length")
    result = modules or sentence.SentenceModules(where, None)
    if result.pooling is None:
        result.modules = [sentence.POOLING] + ["normalize"] * bool(normalize)
        result.pooling = pooling
    if options.truncate_dim is not None:
        if options.truncate_dim < 1:
            raise ConversionError(f"--truncate-dim {options.truncate_dim} is not above 0")
        result.truncate, result.normalize_again = options.truncate_dim, True
    if result.pooling is None:
        if reader is None:
            raise ConversionError(f"{where}: how token states become a text's vector is not stated (no modules.json); give "
                                  "--pooling cls|mean|max|mean_sqrt_len|weighted_mean|last and, if it belongs to the "
                                  "model, --normalize")
        result.pooling = ["mean"]
        source.note(f"{reader} scores token states; a text's vector, which no score depends on, will be their mean "
                    "(--pooling says otherwise)")
    if settings.prompts:
        if result.prompts and result.prompts != settings.prompts:
            raise ConversionError(f"{settings.path}: other prompts than config_sentence_transformers.json")
        result.prompts, result.default_prompt = settings.prompts, settings.default_prompt
    return result, max_length


def _said(value):
    return " + ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value


def _max_length(stated, tokenizer, encoder):
    """Tokens a text may have, as sentence-transformers resolves it: stated, else the least of the limits."""
    if stated is None:
        return min(encoder.positions, tokenizer.max_length or encoder.positions)
    if not 2 < stated <= encoder.positions:
        raise ConversionError(f"max_length {stated} is not between 3 and the model's {encoder.positions} positions")
    return stated
