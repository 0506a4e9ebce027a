"""Puts the parts together: a checkpoint becomes a model file.

In: Options. Out: the file, and a Summary of what is in it. Errors: ConversionError, and then nothing was written.
"""
import os
from dataclasses import dataclass
from typing import Callable, Optional

from . import classifier, encoder, news, recommender, sentence, word_vectors
from . import tokenizer as tokenizers
from .checkpoint import StateDict, find_weights, optional_json, read_json
from .errors import ConversionError
from .model import FILE_TYPES, Model
from .selftest import add_selftest


@dataclass
class Options:
    checkpoint: str
    out: str
    config: Optional[str] = None  # folder of config.json and tokenizer; None: the checkpoint's
    dtype: str = "f32"
    pooling: Optional[list] = None
    normalize: Optional[bool] = None
    max_length: Optional[int] = None
    scoring: Optional[str] = None
    lowercase: Optional[bool] = None
    items: Optional[str] = None
    name: Optional[str] = None
    activation: Optional[str] = None  # of a sequence classifier's scores
    unknown: Optional[str] = None  # word vectors: what becomes of words that the vocabulary lacks
    word_pooling: Optional[str] = None
    max_words: Optional[int] = None
    stop_words: Optional[str] = None  # word vectors: en, zh or a file
    model: Optional[str] = None  # the named model, where no ranklet.json names it
    note: Callable = lambda text: None
    stage: Callable = lambda text: None  # what is being done, for a progress line


def convert(options):
    """Writes options.out; -> lines of a summary."""
    _check_output(options)
    if os.path.exists(options.checkpoint) and word_vectors.is_word_vectors(options.checkpoint):
        return _convert_words(options)
    folder, weights, modules = _find(options)
    options.stage(f"reading {weights}")
    state = StateDict(weights)
    root = options.checkpoint if os.path.isdir(options.checkpoint) else os.path.dirname(options.checkpoint) or "."
    found = news.read_config([root, folder] + [options.config] * bool(options.config), options.model)
    if found:
        return _convert_news(options, state, *found)
    settings = recommender.read_settings([root, folder] + [options.config] * bool(options.config))
    with_text, with_gru = encoder.find_prefix(state) is not None, recommender.has_gru(state)
    on_words = settings is not None and settings.encoder is not None
    if on_words and (with_text or not with_gru):
        raise ConversionError(f"{settings.path}: encoder is for a GRU without a text encoder of its own; {weights} has "
                              f"{'one' if with_text else 'no GRU'}")
    if on_words:
        return _convert_words(options, state, settings)
    _refuse_word_options(options)
    _check_kind(options, folder, state, with_text, with_gru, settings)
    if "gru4rec" in (options.model, settings and settings.model) and (with_text or not with_gru):
        raise ConversionError(f"{state.path}: gru4rec is a GRU over learned items; this has "
                              f"{'a text encoder' if with_text else 'no GRU'}")

    model = Model(options.dtype)
    model.key("general.architecture", "bert" if with_text else "ranklet", "string")
    model.key("general.name", options.name or (settings and settings.name) or _default_name(options), "string")
    model.key("general.file_type", FILE_TYPES[options.dtype], "u32")
    model.key("general.alignment", 32, "u32")
    model.key("ranklet.version", 1, "u32")
    tokenizer = None
    if with_text:
        lines, tokenizer = _add_text_model(options, model, state, folder, modules, settings, with_gru)
    else:
        lines = _add_item_model(options, model, state, os.path.dirname(weights) or ".", settings)
    _check_leftovers(options, state, with_gru)

    return _write(options, model, lines, tokenizer)


def _convert_news(options, state, path, config):
    """A news recommender (news.py): its ranklet.json says all that its state dict does not."""
    given = [name for name in ("pooling", "normalize", "max_length", "scoring", "lowercase", "items", "activation", "unknown",
                               "word_pooling", "max_words", "stop_words") if getattr(options, name) is not None]
    if given:
        raise ConversionError(f"{path}: a news model states everything itself; --{given[0].replace('_', '-')} means nothing")
    if options.dtype == "i8":
        raise ConversionError(f"{path}: news models are stored as f32, f16 or bf16, not i8")
    model = Model(options.dtype)
    model.key("general.architecture", "ranklet", "string")
    model.key("general.name", options.name or config.get("name") or _default_name(options), "string")
    model.key("general.file_type", FILE_TYPES[options.dtype], "u32")
    model.key("general.alignment", 32, "u32")
    model.key("ranklet.version", 1, "u32")
    lines, words = news.add_news_model(model, state, path, config)
    _check_leftovers(options, state, True)
    return _write(options, model, lines, test=lambda: news.add_selftest(model, words))


def _convert_words(options, state=None, settings=None):
    """Word vectors alone, or (state, settings) a recommender whose texts they encode."""
    if any(value is not None for value in (options.pooling, options.activation, options.items)):
        raise ConversionError(f"{options.checkpoint}: has word vectors, so --pooling (--word-pooling is theirs), --activation "
                              "and --items mean nothing")
    if state is None and (options.scoring or options.config):
        raise ConversionError(f"{options.checkpoint}: has word vectors alone, so --scoring and --config mean nothing")
    path = settings.encoder if settings else options.checkpoint
    if settings and not word_vectors.is_word_vectors(path):
        raise ConversionError(f"{settings.path}: encoder {path}: not word vectors")
    options.stage(f"reading {path}")
    table = word_vectors.read(path, options.note, options.lowercase, options.max_words)
    if settings and options.normalize is None:
        options.normalize = settings.normalize
    if settings and options.max_length is None:
        options.max_length = settings.max_length
    model = Model(options.dtype)
    name = options.name or (settings and settings.name) or os.path.splitext(os.path.basename(os.path.abspath(path)))[0]
    model.key("general.architecture", "ranklet", "string")
    model.key("general.name", name, "string")
    model.key("general.file_type", FILE_TYPES[options.dtype], "u32")
    model.key("general.alignment", 32, "u32")
    model.key("ranklet.version", 1, "u32")
    words, dim, lines = word_vectors.add_word_vectors(model, table, options)
    if state is not None:
        scoring = _scoring(options, state, settings)
        if scoring == "text_gru":
            raise ConversionError(f"{state.path}: scoring text_gru needs BERT's token states; word vectors have "
                                  "dot_product and next_event")
        gru = recommender.add_text_recommender(model, state, scoring, settings.rating, settings.path, dim, dim)
        lines.append(f"  decoder       {gru}, scoring {scoring}, ratings {settings.rating.mode}")
        _check_leftovers(options, state, True)
    return _write(options, model, lines, words=words)


def _refuse_word_options(options):
    if any(value is not None for value in (options.unknown, options.word_pooling, options.max_words, options.stop_words)):
        raise ConversionError(f"{options.checkpoint}: has no word vectors, so --unknown, --word-pooling, --max-words and "
                              "--stop-words mean nothing")


def _write(options, model, lines, tokenizer=None, words=None, test=None):
    options.stage("running the reference for the self-test")
    tested, tolerance = test() if test else add_selftest(model, tokenizer, words)
    total = model.tensor_bytes()
    model.write(options.out, lambda done, name: options.stage(f"writing {min(100, 100 * done // max(1, total))} %  {name}"))
    size = os.path.getsize(options.out)
    return [f"wrote {options.out} ({size / 1e6:.1f} MB)", *lines,
            f"  parameters    {model.parameters():,}, stored as {options.dtype}",
            f"  self-test     {tested}, tolerance {tolerance:.2g}"]


def _check_output(options):
    """What would fail at the end fails at the start."""
    out = options.out
    folder = os.path.dirname(out) or "."
    if not os.path.isdir(folder):
        raise ConversionError(f"{out}: the folder {folder} does not exist")
    if os.path.isdir(out):
        raise ConversionError(f"{out}: is a folder, expected a file name")
    if not os.access(folder, os.W_OK):
        raise ConversionError(f"{out}: the folder {folder} cannot be written to")


def _find(options):
    """(folder of config.json and tokenizer, weights file, sentence-transformers' modules or None)."""
    path = options.checkpoint
    if not os.path.exists(path):
        raise ConversionError(f"{path}: no such file or folder")
    if options.config and not os.path.isdir(options.config):
        raise ConversionError(f"{options.config}: --config expects a folder")
    if os.path.isfile(path):
        folder = options.config or os.path.dirname(path) or "."
        return folder, path, sentence.read_sentence_modules(folder)
    root = options.config or path
    modules = sentence.read_sentence_modules(root)
    if modules is None:
        return root, find_weights(path), None
    return modules.folder, find_weights(modules.folder if path == root else path), modules


def _default_name(options):
    path = os.path.abspath(options.checkpoint)
    return os.path.basename(path if os.path.isdir(path) else os.path.dirname(path))


def _check_kind(options, folder, state, with_text, with_gru, settings):
    config = optional_json(folder, "config.json")
    if not with_text and not with_gru:
        if config is not None:
            encoder.check_family(config, os.path.join(folder, "config.json"))
        some = ", ".join(state.names()[:4])
        raise ConversionError(f"{state.path}: neither an encoder ({encoder.WORDS}) nor a GRU (weight_ih_l0) is in it; "
                              f"it has {some}{' ...' if len(state.names()) > 4 else ''}")
    scoring = options.scoring or (settings and settings.scoring)
    if scoring and not with_gru:
        raise ConversionError(f"{state.path}: scoring {scoring} needs a GRU, there is no weight_ih_l0")
    if not with_text:
        if scoring not in (None, "dot_product"):
            raise ConversionError(f"{state.path}: scoring {scoring} needs a text encoder; learned items have dot_product")
        if any(value is not None for value in (options.pooling, options.max_length, options.lowercase,
                                            options.activation)) or options.normalize:
            raise ConversionError(f"{state.path}: has no text encoder, so --pooling, --normalize, --max-length, "
                                  "--lowercase and --activation mean nothing")
    elif options.items:
        raise ConversionError(f"{state.path}: has a text encoder; --items is for learned item embeddings")


def _scoring(options, state, settings):
    stated = settings.scoring if settings else None
    if options.scoring and stated and options.scoring != stated:
        raise ConversionError(f"{settings.path}: scoring is {stated}, the command line says {options.scoring}")
    scoring = options.scoring or stated
    if scoring is None and recommender.find(state, ["out.weight"]) and not recommender.find(state, ["user_proj.weight"]):
        return "text_gru"  # the founding model, which states nothing
    if scoring is None:
        raise ConversionError(f"{state.path}: how items are scored is not stated; give --scoring "
                              f"{'|'.join(recommender.SCORINGS)} or a ranklet.json")
    return scoring


def _resolve_modules(options, modules, settings, scoring, where, with_head):
    """What follows the transformer, from modules.json, ranklet.json or the command line; never guessed."""
    stated = [("the command line", options.pooling, options.normalize, options.max_length)]
    if settings:
        stated.append((settings.path, settings.pooling, settings.normalize, settings.max_length))
    if modules:
        stated.append((f"{where}/modules.json", modules.pooling, "normalize" in modules.modules, modules.max_length))

    def resolve(index, what):
        found = [(source[0], source[index]) for source in stated if source[index] is not None]
        for source, value in found[1:]:
            if value != found[0][1]:
                raise ConversionError(f"{what}: {found[0][0]} says {_words(found[0][1])}, {source} says {_words(value)}")
        return found[0][1] if found else None

    pooling, normalize = resolve(1, "pooling"), resolve(2, "normalize")
    if options.max_length is not None:
        max_length = options.max_length  # may shorten (or lengthen) what the files say
    else:
        max_length = resolve(3, "max_length")
    result = modules or sentence.SentenceModules(where, pooling, ["pooling"] + ["normalize"] * bool(normalize))
    if result.pooling is None:
        if scoring != "text_gru" and not with_head:
            raise ConversionError(f"{where}: how token states become a text's vector is not stated (no modules.json); give "
                                  "--pooling cls|mean|max|mean_sqrt_len|weighted_mean|last and, if it belongs to the "
                                  "model, --normalize")
        result.pooling = ["mean"]
        what = "a classifier" if with_head else "text_gru"
        options.note(f"{what} scores token states; a text's vector, which no score depends on, will be their mean "
                     "(--pooling says otherwise)")
    if settings and settings.prompts:
        if result.prompts and result.prompts != settings.prompts:
            raise ConversionError(f"{settings.path}: other prompts than config_sentence_transformers.json")
        result.prompts, result.default_prompt = settings.prompts, settings.default_prompt
    return result, max_length


def _words(value):
    return " + ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value


def _max_length(stated, tokenizer, info):
    """Tokens a text may have, as sentence-transformers resolves it: stated, else the least of the limits."""
    if stated is None:
        return min(info.positions, tokenizer.max_length or info.positions)
    if not 2 < stated <= info.positions:
        raise ConversionError(f"max_length {stated} is not between 3 and the model's {info.positions} positions")
    return stated


def _add_text_model(options, model, state, folder, modules, settings, with_gru):
    config_path = os.path.join(folder, "config.json")
    if not os.path.isfile(config_path):
        raise ConversionError(f"{folder}: no config.json{'' if options.config else ' (--config says where it is)'}")
    config = read_json(config_path)
    family = encoder.check_family(config, config_path, custom_model=with_gru)
    scoring = _scoring(options, state, settings) if with_gru else None
    tokenizer = tokenizers.read_tokenizer(folder, options.lowercase, options.note)
    options.stage("checking the encoder's weights")
    info = encoder.add_encoder(model, state, config, config_path, custom_model=with_gru)
    head = None
    if with_gru and options.activation is not None:
        raise ConversionError(f"{state.path}: is a recommender, so --activation means nothing")
    if not with_gru:
        head = classifier.add_classifier(model, state, config, config_path, info, options.activation, options.note)
    modules, stated_length = _resolve_modules(options, modules, settings, scoring, folder, head is not None)
    if modules.do_lower_case and not tokenizer.lowercase:
        tokenizer.lowercase = True  # sentence-transformers lower-cases before the tokenizer; accents stay
        options.note("do_lower_case of sentence-transformers: text is lower-cased, accents are kept")
    max_length = _max_length(stated_length, tokenizer, info)
    model.key("ranklet.encoder.max_length", max_length, "u32")
    tokenizers.fit_to_rows(tokenizer, info.rows, f"{state.path}: {info.prefix}{encoder.WORDS}")
    tokenizers.add_keys(model, tokenizer)
    size = sentence.add_sentence(model, modules, info.dim, folder)
    lines = [
        f"  architecture  {'DistilBERT' if family == 'distilbert' else 'BERT'}, {info.layers} layer{'s' * (info.layers > 1)}, "
        f"{info.dim} wide, {info.heads} heads, feed-forward {info.ff}, {info.activation}",
        f"  text          {len(tokenizer.tokens)} tokens{', lower-cased' if tokenizer.lowercase else ''}, up to {max_length} "
        f"a text ({info.positions} positions)",
        f"  vector        {size}: {' + '.join(modules.pooling)} pooling"
        + "".join(f", {name}" for name in modules.modules[1:])
        + (f"; prompts {', '.join(modules.prompts)}" if modules.prompts else "")]
    if head:
        lines.append(head)
    if with_gru:
        rating = settings.rating if settings else recommender.Rating()
        gru = recommender.add_text_recommender(model, state, scoring, rating, settings.path if settings else None,
                                               info.dim, size)
        lines.append(f"  decoder       {gru}, scoring {scoring}, ratings {rating.mode}")
    return lines, tokenizer


def _add_item_model(options, model, state, folder, settings):
    items = options.items
    if items is None and os.path.isfile(os.path.join(folder, "items.tsv")):
        items = os.path.join(folder, "items.tsv")
        options.note(f"item ids and titles from {items}")
    rating = settings.rating if settings else recommender.Rating()
    count, gru = recommender.add_item_recommender(model, state, rating, settings.path if settings else None, items,
                                                  options.note)
    return [f"  architecture  {count} learned items",
            f"  decoder       {gru}, scoring dot_product, ratings {rating.mode}"]


def _check_leftovers(options, state, with_gru):
    """Heads of an encoder are named and left out; in a recommender nothing may be left that could change a score."""
    rest = state.unused()
    if not rest:
        return
    heads = [name for name in rest if not with_gru or "pooler." in name or name.startswith("cls.") or ".cls." in name]
    other = [name for name in rest if name not in heads]
    if other:
        raise ConversionError(f"{state.path}: what {', '.join(other[:5])}{' ...' if len(other) > 5 else ''} is for is not "
                              "known, and a recommender without it would score differently")
    some = ", ".join(heads[:4]) + (f" and {len(heads) - 4} more" if len(heads) > 4 else "")
    options.note(f"left out (a pooler and other heads than classifiers are not converted): {some}")
