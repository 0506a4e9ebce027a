"""Reads a tokenizer of steps, Unigram or BPE, and writes it as model-file keys.

In: a tokenizer.json of Hugging Face's `tokenizers`, old forms included. Out: a SubwordTokenizer; the keys of
docs/model-file.md. What the library has no word for is an error that shows it.
"""
import base64
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from .checkpoint import is_count
from .errors import ConversionError

SPACE_MARK = "\u2581"
# The regular expressions that the library has scanners for (text/patterns.hpp).
CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
PATTERNS = (
    rf"{CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    *(rf"(?i:{CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
      for digits in (r"\p{N}{1,3}", r"\p{N}")),
    rf"(?i:{CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    rf"{CONTRACTIONS}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",
    r"\s+", r"[\s]+", r"\s{2,}", " +", " {2,}", r"\w+|[^\w\s]+", r"[\r\n]", r"\p{N}{1,3}",
)
BEHAVIORS = {"Removed": "removed", "Isolated": "isolated", "MergedWithPrevious": "merged_with_previous",
             "MergedWithNext": "merged_with_next", "Contiguous": "contiguous"}
FIRST, SECOND = -1, -2  # the texts in a template
GGML_MODELS = {"unigram": "t5", "bpe": "llama", "byte_bpe": "gpt2"}  # llama.cpp's names


@dataclass
class SubwordTokenizer:
    model: str  # unigram or bpe
    tokens: list  # by id
    added: list  # of AddedToken (tokenizer.py)
    model_tokens: int  # ids below are the model's own
    unk_id: Optional[int] = None
    normalizers: list = field(default_factory=list)  # of lists: a step's name, what it is made of
    pre_tokenizers: list = field(default_factory=list)
    charsmap: Optional[bytes] = None
    single: list = field(default_factory=lambda: [(FIRST, 0)])
    pair: list = field(default_factory=lambda: [(FIRST, 0), (SECOND, 1)])
    trim_offsets: bool = False
    trim_keeps_added_space: bool = False
    scores: Optional[np.ndarray] = None  # float64, of Unigram
    merges: list = field(default_factory=list)  # of pairs of tokens, of BPE
    byte_fallback: bool = False
    fuse_unk: bool = False
    ignore_merges: bool = False
    equal_ranks: bool = False  # merges with the same result have one rank
    single_precision: bool = False  # Unigram's sums are f32
    unmatched: list = field(default_factory=list)  # ids that no text gives
    control: dict = field(default_factory=dict)  # SentencePiece's control pieces and their ids
    max_length: Optional[int] = None  # transformers' model_max_length, if it is one
    type_ids: bool = True  # as Tokenizer's (tokenizer.py)
    lower_text: bool = False

    @property
    def lowercase(self):
        return any(step[0] == "lowercase" or step[0] == "bert" and "lowercase" in step[1] for step in self.normalizers)


def byte_characters():
    """The code point that stands for each byte in the byte alphabet (GPT-2's bytes_to_unicode)."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [byte if byte in seen else next(others) for byte in range(256)]


def _kind(where, step):
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        raise ConversionError(f"{where} is {step!r:.200}, expected an object with a type")
    return step["type"]


def _only(where, step, *known):
    """No guess: a setting that is not known may mean anything."""
    unknown = sorted(set(step) - {"type", *known})
    if unknown:
        raise ConversionError(f"{where}: {step['type']} has {unknown[0]} {step[unknown[0]]!r:.100}, which is not known")


def _flag(where, step, name, default=None):
    value = step.get(name, default)
    if not isinstance(value, bool):
        raise ConversionError(f"{where}: {step['type']}.{name} is {value!r:.80}, expected true or false")
    return value


def _text(where, step, name):
    value = step.get(name)
    if not isinstance(value, str):
        raise ConversionError(f"{where}: {step['type']}.{name} is {value!r:.80}, expected a text")
    return value


def _pattern(where, step):
    """(text, whether it is a regular expression)"""
    pattern = step.get("pattern")
    if isinstance(pattern, dict) and len(pattern) == 1:
        (kind, text), = pattern.items()
        if kind == "String" and isinstance(text, str) and text:
            return text, False
        if kind == "Regex" and text in PATTERNS:
            return text, True
    raise ConversionError(f"{where}: {step['type']} with the pattern {pattern!r:.300}, which is not one of those that the library reads")


def _steps(where, step, inside):
    """The steps of a Sequence, of Sequences inside it too; of another one itself; of null none."""
    if step is None:
        return []
    if _kind(where, step) != "Sequence":
        return [step]
    _only(where, step, inside)
    if not isinstance(step.get(inside), list):
        raise ConversionError(f"{where}: Sequence.{inside} is {step.get(inside)!r:.80}, expected a list")
    return [each for part in step[inside] for each in _steps(where, part, inside)]


def _normalizers(path, data):
    """(steps, charsmap)"""
    where = f"{path}: normalizer"
    steps, charsmap = [], None
    plain = {"NFC": "nfc", "NFD": "nfd", "NFKC": "nfkc", "NFKD": "nfkd", "Lowercase": "lowercase", "StripAccents": "strip_accents",
             "Nmt": "nmt", "ByteLevel": "byte_level"}
    for step in _steps(where, data.get("normalizer"), "normalizers"):
        kind = _kind(where, step)
        if kind in plain:
            _only(where, step)
            steps.append([plain[kind]])
        elif kind == "Strip":
            _only(where, step, "strip_left", "strip_right")
            steps.append(["strip", " ".join(side for side in ("left", "right") if _flag(where, step, f"strip_{side}"))])
        elif kind == "Replace":
            _only(where, step, "pattern", "content")
            text, regex = _pattern(where, step)
            steps.append(["replace_regex" if regex else "replace", text, _text(where, step, "content")])
        elif kind == "Prepend":
            _only(where, step, "prepend")
            steps.append(["prepend", _text(where, step, "prepend")])
        elif kind == "Precompiled":
            _only(where, step, "precompiled_charsmap")
            blob = step.get("precompiled_charsmap")
            try:
                blob = base64.b64decode(blob, validate=True)
            except (TypeError, ValueError):
                raise ConversionError(f"{where}: Precompiled.precompiled_charsmap is {blob!r:.80}, expected base64") from None
            if charsmap is not None and charsmap != blob:
                raise ConversionError(f"{where}: two different charsmaps, one is supported")
            charsmap = blob
            steps.append(["precompiled"])
        elif kind == "BertNormalizer":
            names = ("clean_text", "handle_chinese_chars", "lowercase")
            _only(where, step, *names, "strip_accents")
            on = [name for name in names if _flag(where, step, name, True)]
            strip = step.get("strip_accents")
            if (_flag(where, step, "strip_accents") if strip is not None else "lowercase" in on):
                on.append("strip_accents")
            steps.append(["bert", " ".join(sorted(on))])
        else:
            raise ConversionError(f"{where}: {kind} is not supported")
    return steps, charsmap


def _metaspace(where, step):
    _only(where, step, "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
    mark = _text(where, step, "replacement")
    if len(mark) != 1:
        raise ConversionError(f"{where}: Metaspace.replacement is {mark!r:.80}, expected one character")
    scheme = step.get("prepend_scheme", "always")
    if scheme not in ("always", "first", "never"):
        raise ConversionError(f"{where}: Metaspace.prepend_scheme is {scheme!r:.80}, expected always, first or never")
    older = step.get("add_prefix_space")
    if older is not None and not _flag(where, step, "add_prefix_space"):
        if "prepend_scheme" in step and scheme != "never":
            raise ConversionError(f"{where}: Metaspace with add_prefix_space false and prepend_scheme {scheme}")
        scheme = "never"
    return ["metaspace", mark, scheme, "split" if _flag(where, step, "split", True) else "whole"]


def _behavior(where, step, default=None):
    value = step.get("behavior", default)
    if value not in BEHAVIORS:
        raise ConversionError(f"{where}: {step['type']}.behavior is {value!r:.80}, expected one of {', '.join(BEHAVIORS)}")
    return BEHAVIORS[value]


def _pre_tokenizers(path, data):
    where = f"{path}: pre_tokenizer"
    steps = []
    plain = {"BertPreTokenizer": "bert", "Whitespace": "whitespace", "WhitespaceSplit": "whitespace_split"}
    for step in _steps(where, data.get("pre_tokenizer"), "pretokenizers"):
        kind = _kind(where, step)
        if kind in plain:
            _only(where, step)
            steps.append([plain[kind]])
        elif kind == "Punctuation":
            _only(where, step, "behavior")
            steps.append(["punctuation", _behavior(where, step, "Isolated")])
        elif kind == "Digits":
            _only(where, step, "individual_digits")
            steps.append(["digits", "isolated" if _flag(where, step, "individual_digits") else "contiguous"])
        elif kind == "Metaspace":
            steps.append(_metaspace(where, step))
        elif kind == "ByteLevel":
            _only(where, step, "add_prefix_space", "trim_offsets", "use_regex")
            on = ["add_prefix_space"] * _flag(where, step, "add_prefix_space") + ["split"] * _flag(where, step, "use_regex", True)
            steps.append(["byte_level", " ".join(on)])
        elif kind == "Split":
            _only(where, step, "pattern", "behavior", "invert")
            text, regex = _pattern(where, step)
            steps.append(["split_regex" if regex else "split", text, _behavior(where, step),
                          "between" if _flag(where, step, "invert") else "matches"])
        else:
            raise ConversionError(f"{where}: {kind} is not supported")
    return steps


def _template(where, post, name):
    """[(id or FIRST or SECOND, type)] of a TemplateProcessing's `single` or `pair`."""
    out = []
    try:
        for part in post[name]:
            (kind, each), = part.items()
            if kind == "Sequence":
                out.append(({"A": FIRST, "B": SECOND}[each["id"]], each["type_id"]))
            elif kind == "SpecialToken":
                out += [(i, each["type_id"]) for i in post["special_tokens"][each["id"]]["ids"]]
            else:
                raise KeyError(kind)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConversionError(f"{where}: TemplateProcessing.{name} is {post.get(name)!r:.200}, expected sequences and special tokens") from None
    for text, count in ((FIRST, 1), (SECOND, 1 if name == "pair" else 0)):
        if [i for i, _ in out].count(text) != count:
            raise ConversionError(f"{where}: TemplateProcessing.{name} is {post[name]!r:.200}, expected each text once")
    return out


def _post_processors(path, data, tokenizer):
    where = f"{path}: post_processor"
    put_together = False
    for post in _steps(where, data.get("post_processor"), "processors"):
        kind = _kind(where, post)
        if put_together:
            raise ConversionError(f"{where}: {kind} after the one that puts special tokens around a text is not supported")
        if kind == "ByteLevel":
            _only(where, post, "add_prefix_space", "trim_offsets", "use_regex")
        if kind in ("ByteLevel", "RobertaProcessing") and _flag(where, post, "trim_offsets", True):
            if tokenizer.trim_offsets:
                raise ConversionError(f"{where}: offsets are trimmed twice")
            tokenizer.trim_offsets = True
            tokenizer.trim_keeps_added_space = _flag(where, post, "add_prefix_space", True)
        if kind == "ByteLevel":
            continue
        put_together = True
        if kind == "TemplateProcessing":
            _only(where, post, "single", "pair", "special_tokens")
            tokenizer.single, tokenizer.pair = (_template(where, post, name) for name in ("single", "pair"))
        elif kind in ("BertProcessing", "RobertaProcessing"):
            _only(where, post, "sep", "cls", "trim_offsets", "add_prefix_space")
            try:
                sep, cls = post["sep"][1], post["cls"][1]
            except (KeyError, TypeError, IndexError):
                raise ConversionError(f"{where}: {kind} is {post!r:.200}, expected sep and cls") from None
            tokenizer.single = [(cls, 0), (FIRST, 0), (sep, 0)]
            bert = kind == "BertProcessing"
            tokenizer.pair = tokenizer.single + ([] if bert else [(sep, 0)]) + [(SECOND, int(bert)), (sep, int(bert))]
        else:
            raise ConversionError(f"{where}: {kind} is not supported")
    for i, _ in tokenizer.single + tokenizer.pair:
        if not isinstance(i, int) or isinstance(i, bool) or i >= len(tokenizer.tokens):
            raise ConversionError(f"{where} names the id {i!r:.40}, the vocabulary has {len(tokenizer.tokens)}")


def decimal(number):
    """What `tokenizers` reads a number as: its digits as an integer, then a power of ten, each rounded, which may be a bit off.
    Sums of scores are compared, so the last bit counts."""
    mantissa, _, exponent = repr(float(number)).partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    value, power = float(int(whole + fraction)), int(exponent or 0) - len(fraction)
    value = value * 10.0**power if power >= 0 else value / 10.0**-power
    return -value if mantissa.startswith("-") else value


def _unigram(path, model):
    """(tokens, scores, settings)"""
    _only(f"{path}: model", {"type": "Unigram", **model}, "unk_id", "vocab", "byte_fallback")
    vocabulary, unk = model.get("vocab"), model.get("unk_id")
    try:
        tokens = [token for token, _ in vocabulary]
        scores = np.array([decimal(score) for _, score in vocabulary], dtype=np.float64)
    except (TypeError, ValueError):
        raise ConversionError(f"{path}: model.vocab is not a list of pieces and scores") from None
    if not tokens or not all(isinstance(token, str) for token in tokens) or not np.isfinite(scores).all():
        raise ConversionError(f"{path}: model.vocab is not a list of pieces and finite scores")
    if not is_count(unk, 0) or unk >= len(tokens):
        raise ConversionError(f"{path}: model.unk_id is {unk!r:.40}; Unigram without an unknown piece is not supported")
    return tokens, scores, {"unk_id": unk, "byte_fallback": bool(model.get("byte_fallback"))}


def _bpe(path, model):
    """(tokens, merges, settings)"""
    known = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
             "ignore_merges", "vocab", "merges")
    _only(f"{path}: model", {"type": "BPE", **model}, *known)
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise ConversionError(f"{path}: model.{name} is {model[name]!r:.40}, only BPE without one is supported")
    if model.get("dropout"):
        raise ConversionError(f"{path}: model.dropout is {model['dropout']!r:.40}: tokens that are drawn at random are not supported")
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or sorted(vocabulary.values()) != list(range(len(vocabulary))) or not vocabulary:
        raise ConversionError(f"{path}: model.vocab is not an object of tokens with the ids from 0 on")
    tokens = sorted(vocabulary, key=vocabulary.get)
    merges = []
    for i, merge in enumerate(model.get("merges") or []):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise ConversionError(f"{path}: model.merges[{i}] is {merge!r:.80}, expected two tokens")
        for part in (*parts, "".join(parts)):
            if part not in vocabulary:
                raise ConversionError(f"{path}: model.merges[{i}] is {merge!r:.80}, but {part!r:.80} is no token")
        if any(" " in part for part in parts):
            raise ConversionError(f"{path}: model.merges[{i}] is of tokens with a space in them, {merge!r:.80}: not supported")
        merges.append(tuple(parts))
    unk = model.get("unk_token")
    if unk is not None and unk not in vocabulary:
        raise ConversionError(f"{path}: model.unk_token {unk!r:.40} is no token")
    return tokens, merges, {"unk_id": None if unk is None else vocabulary[unk],
                            **{name: bool(model.get(name)) for name in ("byte_fallback", "fuse_unk", "ignore_merges")}}


def from_json(path, data, kind, added):
    """data: tokenizer.json's, its model of this kind (Unigram, BPE); added: its added tokens, of AddedToken."""
    settings = {}
    if kind == "Unigram":
        tokens, settings["scores"], more = _unigram(path, data["model"])
        own = {token: i for i, token in enumerate(tokens)}
    else:
        tokens, settings["merges"], more = _bpe(path, data["model"])
        own = {token: i for i, token in enumerate(tokens)}
    count = len(tokens)
    for token in sorted(added, key=lambda each: each.id):
        if own.get(token.content, token.id) != token.id or (token.id < count and tokens[token.id] != token.content):
            raise ConversionError(f"{path}: added token {token.content!r} with id {token.id} contradicts the vocabulary")
        if token.content in own:
            continue
        if token.id != len(tokens):
            raise ConversionError(f"{path}: added token {token.content!r} has the id {token.id}, expected {len(tokens)}")
        tokens.append(token.content)
    tokenizer = SubwordTokenizer(model="unigram" if kind == "Unigram" else "bpe", tokens=tokens, added=added, model_tokens=count,
                                 **settings, **more)
    tokenizer.normalizers, tokenizer.charsmap = _normalizers(path, data)
    tokenizer.pre_tokenizers = _pre_tokenizers(path, data)
    _post_processors(path, data, tokenizer)
    truncation = data.get("truncation")
    if isinstance(truncation, dict) and (truncation.get("direction", "Right") != "Right" or
                                         truncation.get("strategy", "LongestFirst") != "LongestFirst"):
        raise ConversionError(f"{path}: truncation {truncation!r:.200}, only LongestFirst from the Right is supported")
    return tokenizer


def add_keys(model, tokenizer):
    """The tokenizer's keys, as docs/model-file.md lists them."""
    own, ggml = "ranklet.tokenizer", "tokenizer.ggml"
    bytes_last = bool(tokenizer.pre_tokenizers) and tokenizer.pre_tokenizers[-1][0] == "byte_level"
    model.key(f"{ggml}.model", GGML_MODELS["byte_bpe" if tokenizer.model == "bpe" and bytes_last else tokenizer.model], "string")
    model.key(f"{ggml}.tokens", tokenizer.tokens, "[string]")
    special = {token.id: 3 if token.special else 4 for token in tokenizer.added}
    model.key(f"{ggml}.token_type", [2 if i == tokenizer.unk_id else special.get(i, 1) for i in range(len(tokenizer.tokens))], "[i32]")
    if tokenizer.unk_id is not None:
        model.key(f"{ggml}.unknown_token_id", tokenizer.unk_id, "u32")
    if tokenizer.scores is not None:
        scores = np.concatenate([tokenizer.scores, np.zeros(len(tokenizer.tokens) - len(tokenizer.scores))])
        model.key(f"{ggml}.scores", scores.astype(np.float32), "[f32]")
        if not np.array_equal(scores.astype(np.float32).astype(np.float64), scores):
            model.key(f"{own}.scores", scores, "[f64]")
    if tokenizer.model == "bpe":
        model.key(f"{ggml}.merges", [" ".join(pair) for pair in tokenizer.merges], "[string]")
    if tokenizer.charsmap is not None:
        model.key(f"{ggml}.precompiled_charsmap", np.frombuffer(tokenizer.charsmap, np.uint8), "[u8]")
    model.key(f"{own}.model", tokenizer.model, "string")
    model.key(f"{own}.model_tokens", tokenizer.model_tokens, "u32")
    for name in ("normalizers", "pre_tokenizers"):
        steps = getattr(tokenizer, name)
        if steps:
            model.key(f"{own}.{name}", [part for step in steps for part in step], "[string]")
    for name in ("single", "pair"):
        model.key(f"{own}.{name}", [number for part in getattr(tokenizer, name) for number in part], "[i32]")
    for name in ("trim_offsets", "trim_keeps_added_space", "byte_fallback", "fuse_unk", "ignore_merges", "equal_ranks", "single_precision"):
        if getattr(tokenizer, name):
            model.key(f"{own}.{name}", True, "bool")
    if tokenizer.unmatched:
        model.key(f"{own}.unmatched_ids", tokenizer.unmatched, "[i32]")
    model.key(f"{own}.added_ids", [token.id for token in tokenizer.added], "[u32]")
    model.key(f"{own}.added_flags", [token.flags() for token in tokenizer.added], "[u32]")
