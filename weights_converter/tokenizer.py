"""Reads a checkpoint's tokenizer and writes it as model-file keys: WordPiece here, Unigram and BPE by subword.py.

In: a folder with tokenizer.json, or vocab.txt and tokenizer_config.json. Out: a Tokenizer (WordPiece) or SubwordTokenizer; the
keys of docs/model-file.md.
Formats: tokenizer.json of Hugging Face's `tokenizers`; the other files of `transformers`' BertTokenizer.
"""
import os
from dataclasses import dataclass, field, replace
from typing import Optional

from .checkpoint import is_count, optional_json, read_json, read_text
from . import sentencepiece, subword
from .errors import ConversionError
from .subword_reference import Subword
from .wordpiece import ASCII_PUNCTUATION, WordPiece, is_punctuation, normalize, words

SPACE_MARK = "\u2581"
MAX_ID = 10**7
MAX_TOKEN_BYTES = 1024  # the library's max_token_bytes
DEFAULT_SPECIAL = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
                   "mask_token": "[MASK]"}
STATED_SPECIAL = dict.fromkeys(("bos_token", "eos_token", *DEFAULT_SPECIAL))  # of others than BERT's: none by default
SENTENCEPIECE_MODELS = ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "spm.model", "sentencepiece.model")
KNOWN_CLASSES = ("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast",
                 "PreTrainedTokenizerFast")
GENERAL_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")  # follow tokenizer.json; others make it anew from their settings
# Of transformers 5, where nothing states model_input_names. Version 4 took types of a PreTrainedTokenizerFast.
WITHOUT_TYPE_IDS = (*GENERAL_CLASSES, "DistilBertTokenizer", "DistilBertTokenizerFast")


@dataclass(frozen=True)
class AddedToken:
    """A token that is matched in raw text before anything else (normalized: after BertNormalizer)."""
    id: int
    content: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False

    def flags(self):
        return (self.special | self.lstrip << 1 | self.rstrip << 2 | self.single_word << 3 | self.normalized << 4)


@dataclass
class Tokenizer:
    tokens: list  # by id
    unk_id: int
    cls_id: Optional[int]  # None: the encoder uses none
    sep_id: Optional[int]
    pad_id: Optional[int]
    mask_id: Optional[int]
    added: list  # of AddedToken, by id
    lowercase: bool
    strip_accents: bool
    clean_text: bool = True
    handle_chinese_chars: bool = True
    lower_text: bool = False  # str.lower of the whole text before all else, also of special tokens in it
    max_input_chars_per_word: int = 100
    max_length: Optional[int] = None  # transformers' model_max_length, if it is one
    type_ids: bool = True  # whether a pair's second text has token type 1; otherwise the model sees 0 throughout
    pairs: bool = True  # whether a pair is [CLS] A [SEP] B [SEP]
    outside_vocabulary: set = field(default_factory=set)  # ids that WordPiece itself never gives


def read_tokenizer(folder, lowercase, note, special_tokens=True):
    """special_tokens: whether the encoder puts [CLS] and [SEP] around a text; otherwise there need not be any.

    lowercase: True or False overrides the files (None: they must say). note(text) is called for what deserves one."""
    fast, vocabulary = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "vocab.txt")
    config = optional_json(folder, "tokenizer_config.json")
    if os.path.exists(fast):
        tokenizer = _from_json(fast, config or {}, lowercase, note, special_tokens)
        if isinstance(tokenizer, Tokenizer) and os.path.exists(vocabulary) and _read_vocabulary(vocabulary) != {
                t: i for i, t in enumerate(tokenizer.tokens) if i not in tokenizer.outside_vocabulary}:
            note(f"{vocabulary} differs from tokenizer.json, which is followed")
    elif os.path.exists(vocabulary):
        tokenizer = _from_vocabulary(folder, vocabulary, config, lowercase)
    elif models := [each for each in SENTENCEPIECE_MODELS if os.path.exists(os.path.join(folder, each))]:
        tokenizer = _from_sentencepiece(os.path.join(folder, models[0]), config or {}, lowercase, note, special_tokens)
    else:
        raise ConversionError(f"{folder}: no tokenizer; looked for tokenizer.json and vocab.txt, and for a model of SentencePiece ({SENTENCEPIECE_MODELS[0]} ...)")
    config = config or {}
    if config.get("truncation_side", "right") != "right":
        raise ConversionError(f"{folder}/tokenizer_config.json: truncation_side {config['truncation_side']!r}, only "
                              "'right' is supported")
    limit = config.get("model_max_length")
    # transformers writes 10^30 for "no limit"
    tokenizer.max_length = int(limit) if isinstance(limit, (int, float)) and 2 < limit < 10**9 else None
    tokenizer.type_ids = _gives_type_ids(config)
    return tokenizer


def _gives_type_ids(config):
    """Whether transformers (as of 5) hands the model a pair's token types: the class's model_input_names, or the stated ones."""
    names = config.get("model_input_names")
    if isinstance(names, list):
        return "token_type_ids" in names
    return config.get("tokenizer_class") not in WITHOUT_TYPE_IDS


def _content(token):
    """A special token is written as its text or as an object with it; None: there is none."""
    content = token.get("content") if isinstance(token, dict) else token
    if content is not None and not isinstance(content, str):
        raise ConversionError(f"special token {token!r:.80}: expected a text, in tokenizer_config.json or "
                              "special_tokens_map.json")
    return content


def _by_id(vocabulary, added, path):
    """(tokens by id, ids outside WordPiece's vocabulary), gaps filled with tokens that cannot match."""
    content_of = {}
    for token, i in vocabulary.items():
        _check_id(i, token, path)
        if i in content_of:
            raise ConversionError(f"{path}: tokens {content_of[i]!r} and {token!r} share the id {i}")
        content_of[i] = token
    outside, id_of = set(), {}
    for token in added:
        _check_one_id(id_of, token, path)
        if vocabulary.get(token.content, token.id) != token.id or content_of.get(token.id, token.content) != token.content:
            raise ConversionError(f"{path}: added token {token.content!r} with id {token.id} contradicts the vocabulary")
        if token.id not in content_of:
            content_of[token.id] = token.content
            outside.add(token.id)
    count = max(content_of, default=-1) + 1
    outside |= set(range(count)) - set(content_of)
    return [content_of.get(i, placeholder(i)) for i in range(count)], outside


def _check_id(i, token, path):
    if not is_count(i, 0) or i > MAX_ID:
        raise ConversionError(f"{path}: token {token!r} has the id {i!r}, expected a number from 0 to {MAX_ID}")


def placeholder(i):
    """Stands for a row without a token. Brackets are split off as punctuation, so no text gives it."""
    return f"[unused_row_{i}]"


def _resolve_lowercase(path, stated, config, lowercase):
    """tokenizer.json's `lowercase` against tokenizer_config.json's do_lower_case and the command line."""
    other = config.get("do_lower_case")
    if lowercase is not None:
        return lowercase
    if isinstance(other, bool) and other != stated:
        raise ConversionError(
            f"{path}: lowercase is {str(stated).lower()}, but do_lower_case in tokenizer_config.json is "
            f"{str(other).lower()}; say which with --lowercase yes or --lowercase no (transformers follows "
            "tokenizer_config.json, the tokenizers library tokenizer.json)")
    return stated


def _check_piece(path, where, value, kind):
    found = value.get("type") if isinstance(value, dict) else None
    if found != kind:
        raise ConversionError(f"{path}: {where} is {found or str(value)}, only {kind} is supported")


def _flat(normalizer):
    """The normalizers of a Sequence, of Sequences inside it too; of another one itself."""
    inside = normalizer.get("normalizers") if isinstance(normalizer, dict) and normalizer.get("type") == "Sequence" else None
    return [each for part in inside for each in _flat(part)] if isinstance(inside, list) else [normalizer]


def _only_moves_space(normalizer):
    """Whether it changes nothing but white space, and that only where BertPreTokenizer splits anyway: around ASCII punctuation
    (each character of it is a word), in runs, at the ends."""
    kind = normalizer.get("type") if isinstance(normalizer, dict) else None
    if kind != "Replace":
        return kind == "Strip"
    pattern, content = normalizer.get("pattern"), normalizer.get("content")
    if pattern == {"Regex": r"\s+"}:
        return content == " "
    mark = pattern.get("String") if isinstance(pattern, dict) else None
    return isinstance(mark, str) and mark in ASCII_PUNCTUATION and content in (f" {mark} ", f" {mark}", f"{mark} ")


def _bert_normalizer(path, normalizer, added):
    """The BertNormalizer that a tokenizer has, alone or in a Sequence whose others leave the tokens as they are, or lower-case
    the text: then one that does both."""
    parts = _flat(normalizer)
    bert = [each for each in parts if isinstance(each, dict) and each.get("type") == "BertNormalizer"]
    lower = {"type": "Lowercase"} in parts  # what sentence-transformers 6 makes of do_lower_case
    others = [each for each in parts if not any(each is one for one in bert) and each != {"type": "Lowercase"}]
    if len(bert) > 1:
        raise ConversionError(f"{path}: normalizer has {len(bert)} times BertNormalizer, expected one")
    for each in others if bert else [normalizer]:
        if not bert or not _only_moves_space(each):
            _check_piece(path, "normalizer", each, "BertNormalizer")
    for token in added if others else ():  # these are looked for in text that the others have changed
        if token.normalized and any(is_punctuation(c) or c.isspace() for c in token.content):
            raise ConversionError(f"{path}: normalizer is Sequence, with added token {token.content!r}, which is matched in what it "
                                  "gives; only BertNormalizer is supported there")
    if lower and bert:  # lower-casing alone: accents stay unless BertNormalizer takes them
        strip = bert[0].get("strip_accents")
        return {**bert[0], "lowercase": True, "strip_accents": bert[0].get("lowercase", True) if strip is None else strip}
    return bert[0]


def model_type(model):
    """Old files do not name the kind of model."""
    if "type" in model:
        return model["type"]
    if "merges" in model:
        return "BPE"
    if isinstance(model.get("vocab"), list):
        return "Unigram"
    return "WordPiece" if "max_input_chars_per_word" in model else "of an unknown kind"


def _template_ids(path, post):
    """(cls id, sep id, whether pairs are BERT's) of BERT's template: [CLS] A [SEP] and [CLS] A [SEP] B [SEP], types 0 and 1; of
    MPNet's, which has two [SEP] between A and B."""
    expected = "expected BERT's [CLS] A [SEP] and [CLS] A [SEP] B [SEP]"
    try:
        if post["type"] in ("BertProcessing", "RobertaProcessing"):
            return post["cls"][1], post["sep"][1], post["type"] == "BertProcessing"
        if post["type"] != "TemplateProcessing":
            raise ConversionError(f"{path}: post_processor is {post['type']}, {expected}")

        def flat(parts):
            return [(kind, part["id"], part["type_id"]) for each in parts for kind, part in each.items()]

        single = flat(post["single"])
        cls, sep = single[0][1], single[-1][1]
        first = [("SpecialToken", cls, 0), ("Sequence", "A", 0), ("SpecialToken", sep, 0)]
        if single != first or flat(post["pair"]) != first + [("Sequence", "B", 1), ("SpecialToken", sep, 1)]:
            raise ConversionError(f"{path}: post_processor has another template, {expected}")
        ids = [post["special_tokens"][name]["ids"] for name in (cls, sep)]
        if any(len(each) != 1 for each in ids):
            raise ConversionError(f"{path}: post_processor: a special token of several ids, {expected}")
        return ids[0][0], ids[1][0], True
    except (KeyError, TypeError, IndexError, AttributeError):
        raise ConversionError(f"{path}: post_processor is {post!r:.80}, {expected}") from None


def _from_json(path, config, lowercase, note, special_tokens):
    data = read_json(path)
    model = data.get("model")
    if not isinstance(model, dict):
        raise ConversionError(f"{path}: has no model")
    kind = model_type(model)
    added = added_tokens(path, data)
    if kind in ("Unigram", "BPE"):
        return _subword(path, data, kind, added, config, lowercase, note, special_tokens)
    if kind != "WordPiece":
        raise ConversionError(f"{path}: the tokenizer is {kind}, only WordPiece, Unigram and BPE are supported")
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ConversionError(f"{path}: model.vocab is not an object of tokens and ids")
    if special_tokens:  # transformers reads the tokenizer; of static embeddings the tokenizers library, from this file alone
        added = _with_stated(path, vocabulary, added, config, note)
    normalizer = _bert_normalizer(path, data.get("normalizer"), added)
    _check_piece(path, "pre_tokenizer", data.get("pre_tokenizer"), "BertPreTokenizer")
    if model.get("continuing_subword_prefix", "##") != "##":
        raise ConversionError(f"{path}: continuing_subword_prefix {model['continuing_subword_prefix']!r}, only '##' is "
                              "supported")
    tokens, outside = _by_id(vocabulary, added, path)
    ids = {token: i for i, token in enumerate(tokens)}
    unk = model.get("unk_token", "[UNK]")
    if not isinstance(unk, str) or unk not in vocabulary:
        raise ConversionError(f"{path}: unk_token {unk!r} is not in the vocabulary")
    cls_id, sep_id, pairs = _template_ids(path, data.get("post_processor")) if special_tokens else (None, None, True)
    for i in (cls_id, sep_id) if special_tokens else ():
        if not isinstance(i, int) or not 0 <= i < len(tokens):
            raise ConversionError(f"{path}: post_processor names the id {i!r}, the vocabulary has {len(tokens)}")
    for name, i in (("cls_token", cls_id), ("sep_token", sep_id), ("unk_token", vocabulary[unk])):
        other = _content(config.get(name))
        if i is not None and other is not None and other != tokens[i]:
            note(f"tokenizer_config.json has {name} {other!r}, tokenizer.json {tokens[i]!r}, which is followed")
    settings = {}
    for name in ("clean_text", "handle_chinese_chars", "lowercase"):
        settings[name] = normalizer.get(name, True)
        if not isinstance(settings[name], bool):
            raise ConversionError(f"{path}: normalizer.{name} is {settings[name]!r}, expected true or false")
    stated = {} if config.get("tokenizer_class") in GENERAL_CLASSES else config
    settings["lowercase"] = _resolve_lowercase(path, settings["lowercase"], stated, lowercase)
    strip = normalizer.get("strip_accents")
    settings["strip_accents"] = settings["lowercase"] if strip is None else strip
    for name, other in (("strip_accents", stated.get("strip_accents")),
                        ("handle_chinese_chars", stated.get("tokenize_chinese_chars"))):
        if other is not None and other != settings[name]:
            raise ConversionError(f"{path}: {name} is {settings[name]}, tokenizer_config.json says {other}; make them agree")
    limit = model.get("max_input_chars_per_word", 100)
    if not is_count(limit):
        raise ConversionError(f"{path}: max_input_chars_per_word is {limit!r}, expected a positive number")
    truncation = data.get("truncation")
    if isinstance(truncation, dict) and truncation.get("direction", "Right") != "Right":
        raise ConversionError(f"{path}: truncation from the {truncation['direction']}, only Right is supported")
    return Tokenizer(
        tokens=tokens, unk_id=vocabulary[unk], cls_id=cls_id, sep_id=sep_id,
        pad_id=ids.get(_content(config.get("pad_token")) or "[PAD]"),
        mask_id=ids.get(_content(config.get("mask_token")) or "[MASK]"),
        added=added, outside_vocabulary=outside, max_input_chars_per_word=limit, pairs=pairs, **settings)


def _subword(path, data, kind, added, config, lowercase, note, special_tokens):
    """Unigram or BPE. Its files say all of what it does: whether it lower-cases cannot be told otherwise."""
    if lowercase is not None:
        raise ConversionError(f"{path}: --lowercase is for WordPiece; of {kind} the normalizer in the file says what it does")
    if special_tokens:
        vocabulary = data["model"].get("vocab")
        if isinstance(vocabulary, list):
            vocabulary = {entry[0]: i for i, entry in enumerate(vocabulary) if isinstance(entry, list) and entry}
        if not isinstance(vocabulary, dict):
            raise ConversionError(f"{path}: model.vocab is {type(vocabulary).__name__}, expected tokens")
        added = _with_stated(path, vocabulary, added, config, note, STATED_SPECIAL)
    return subword.from_json(path, data, kind, added)


def _from_sentencepiece(path, config, lowercase, note, special_tokens):
    """SentencePiece's own ids, for the classes whose ids these are. Others shift them, or add to them: tokenizer.json tells."""
    if lowercase is not None:
        raise ConversionError(f"{path}: --lowercase is for WordPiece; a SentencePiece model says itself what it does")
    tokenizer = sentencepiece.read(path)
    if not special_tokens:
        return tokenizer
    kind = str(config.get("tokenizer_class")).removesuffix("Fast")
    ends = {"T5Tokenizer": ((), ("</s>",)),
            "LlamaTokenizer": (("<s>",) * bool(config.get("add_bos_token", True)), ("</s>",) * bool(config.get("add_eos_token", False)))}
    if kind not in ends:
        raise ConversionError(f"{path}: which special tokens are put around a text, and whether ids are shifted, is known of {' and '.join(ends)} "
                              f"alone; tokenizer_class is {config.get('tokenizer_class')}. Save it as tokenizer.json: "
                              "transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)")
    missing = [name for names in ends[kind] for name in names if name not in tokenizer.control]
    if missing:
        raise ConversionError(f"{path}: {kind} puts {missing[0]} at a text, which is no control piece of the model")
    before, after = ([(tokenizer.control[name], 0) for name in names] for names in ends[kind])
    tokenizer.single = [*before, (subword.FIRST, 0), *after]
    tokenizer.pair = [*before, (subword.FIRST, 0), *after, *before, (subword.SECOND, 0), *after]
    note(f"{path}: special tokens that a text spells out are read as ordinary text")
    return tokenizer


def reference(tokenizer, max_length=None):
    """The tokenizer in plain Python: encode(text), without_special(text), encode_pair(a, b)."""
    return (Subword if isinstance(tokenizer, subword.SubwordTokenizer) else WordPiece)(tokenizer, max_length)


def _with_stated(path, vocabulary, added, config, note, defaults=None):
    """The added tokens of tokenizer.json and those that the files beside it name, as transformers puts them together: an entry
    of theirs comes instead of tokenizer.json's, special tokens that they name are added ones, a new token gets the next id."""
    folder = os.path.dirname(path)
    known, id_of = {}, {}
    for token in added:
        _check_one_id(id_of, token, path)
        known[token.content] = token
    stated = _decoder(os.path.join(folder, "tokenizer_config.json"), config)
    special_map = {}
    if not stated:  # older tokenizers
        stated, special_map = _added_by_name(folder), optional_json(folder, "special_tokens_map.json") or {}
    extra = [each for where in (config, special_map) for name in ("additional_special_tokens", "extra_special_tokens")
             if isinstance(where.get(name), list) for each in where[name]]
    special = {_content(each): each if isinstance(each, dict) else {} for each in (
        *(config.get(name, special_map.get(name, default)) for name, default in (defaults or DEFAULT_SPECIAL).items()), *extra)}
    there = {token.content for token in stated} | set(known)
    extra = {_content(each) for each in extra}
    stated += [_special(vocabulary.get(content), content, flags) for content, flags in special.items()
               if content not in there and (content in vocabulary or content in extra)]  # others have no row
    following = max((i for i in (*vocabulary.values(), *id_of.values()) if is_count(i, 0)), default=-1) + 1
    other = []
    for token in stated:
        old = known.get(token.content)
        i = old.id if old else vocabulary.get(token.content, following)
        if i == following:
            if token.id not in (None, i):
                raise ConversionError(f"{folder}: added token {token.content!r} has the id {token.id}, the ids of "
                                      f"tokenizer.json end before {i}")
            following += 1
        token = replace(token, id=i, special=token.special or token.content in special)
        if token != old:
            known[token.content] = token
            other.append(token.content)
    if other:
        note(f"{path}: added tokens {', '.join(map(repr, other[:5]))}{' ...' if len(other) > 5 else ''} are missing or matched "
             "otherwise; tokenizer_config.json and the files beside it are followed, as transformers does")
    return list(known.values())


def _special(i, content, flags):
    return AddedToken(i, content, True, *[bool(flags.get(name, False)) for name in (
        "lstrip", "rstrip", "single_word", "normalized")])


def _added_by_name(folder):
    """The tokens of added_tokens.json, by id."""
    entries = optional_json(folder, "added_tokens.json") or {}
    for content, i in entries.items():
        _check_id(i, content, os.path.join(folder, "added_tokens.json"))
    return sorted((AddedToken(i, content, special=False, normalized=True) for content, i in entries.items()),
                  key=lambda token: token.id)


def _decoder(where, config):
    """The entries of added_tokens_decoder in tokenizer_config.json, by id."""
    entries, id_of = [], {}
    for i, entry in (config.get("added_tokens_decoder") or {}).items():
        if not (i.isascii() and i.isdigit()) or not isinstance(entry, dict):
            raise ConversionError(f"{where}: added_tokens_decoder: {i!r} is not an id with an object")
        token = _added(where, {**entry, "id": int(i)})
        _check_one_id(id_of, token, where)
        entries.append(token)
    return sorted(entries, key=lambda token: token.id)


def _check_one_id(id_of, token, path):
    if id_of.setdefault(token.content, token.id) != token.id:
        raise ConversionError(f"{path}: added token {token.content!r} has two ids, {id_of[token.content]} and {token.id}")


def added_tokens(path, data):
    """Those that a tokenizer.json lists."""
    entries = data.get("added_tokens") or []
    if not isinstance(entries, list):
        raise ConversionError(f"{path}: added_tokens is not a list")
    return [_added(path, each) for each in entries]


def _added(path, entry):
    names = ("special", "lstrip", "rstrip", "single_word", "normalized")
    try:
        token = AddedToken(entry["id"], entry["content"], *[bool(entry[name]) for name in names])
    except (KeyError, TypeError):
        token = None
    if token is None or not isinstance(token.content, str) or not token.content:
        raise ConversionError(f"{path}: added token {entry!r:.80}: expected id, content, {', '.join(names)}")
    _check_id(token.id, token.content, path)
    return token


def _read_vocabulary(path):
    """Token -> id by line, as transformers reads it: of a token that stands twice the later line counts."""
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    return {token: i for i, token in enumerate(lines)}


def _from_vocabulary(folder, path, config, lowercase):
    if lowercase is None and not isinstance((config or {}).get("do_lower_case"), bool):
        raise ConversionError(f"{folder}: tokenizer_config.json with do_lower_case is missing, so whether text is "
                              "lower-cased is unknown; give --lowercase yes or --lowercase no")
    config = config or {}
    where = os.path.join(folder, "tokenizer_config.json")
    kind = config.get("tokenizer_class") or "BertTokenizer"
    if kind not in KNOWN_CLASSES:
        raise ConversionError(f"{where}: tokenizer_class {kind} is not supported; known are {', '.join(KNOWN_CLASSES)}")
    if config.get("do_basic_tokenize") is False or config.get("never_split"):
        raise ConversionError(f"{where}: do_basic_tokenize false and never_split are not supported")
    vocabulary = _read_vocabulary(path)
    if not vocabulary:
        raise ConversionError(f"{path}: holds no tokens")
    special_map = optional_json(folder, "special_tokens_map.json") or {}
    special = {name: config.get(name, special_map.get(name, default)) for name, default in DEFAULT_SPECIAL.items()}
    added = {token.content: token for token in _added_by_name(folder)}
    extra = config.get("additional_special_tokens", special_map.get("additional_special_tokens")) or []
    for token in [*special.values(), *extra]:
        content = _content(token)
        i = added[content].id if content in added else vocabulary.get(content)
        if i is not None:
            added[content] = _special(i, content, token if isinstance(token, dict) else {})
        elif content is not None and token in extra:
            raise ConversionError(f"{folder}: additional special token {content!r} has no id in vocab.txt or "
                                  "added_tokens.json")
    for token in _decoder(where, config):
        if token.content in added:
            _check_one_id({token.content: added[token.content].id}, token, where)
        added[token.content] = token
    ordered = sorted(added.values(), key=lambda token: token.id)
    tokens, outside = _by_id(vocabulary, ordered, path)
    ids = {token: i for i, token in enumerate(tokens)}
    for name in ("unk_token", "cls_token", "sep_token"):
        if _content(special[name]) not in ids:
            raise ConversionError(f"{path}: {name} {_content(special[name])!r} is not in the vocabulary")
    lower = config["do_lower_case"] if lowercase is None else lowercase
    strip = config.get("strip_accents")
    chinese = config.get("tokenize_chinese_chars")
    return Tokenizer(
        tokens=tokens, added=ordered, outside_vocabulary=outside,
        lowercase=lower, strip_accents=lower if strip is None else bool(strip),
        handle_chinese_chars=True if chinese is None else bool(chinese),
        **{name.replace("token", "id"): ids.get(_content(special[name])) for name in DEFAULT_SPECIAL})


def fit_to_rows(tokenizer, rows, where):
    """Embeddings may have more rows than there are tokens; the rest gets tokens that no text gives."""
    count = len(tokenizer.tokens)
    if rows < count:
        raise ConversionError(f"{where}: {rows} rows, but the tokenizer has {count} tokens")
    tokenizer.tokens += [placeholder(i) for i in range(count, rows)]
    if isinstance(tokenizer, Tokenizer):  # SubwordTokenizer has model_tokens
        tokenizer.outside_vocabulary |= set(range(count, rows))


def to_gguf_token(token):
    if token.startswith("[") and token.endswith("]") and len(token) > 1:
        return token
    return token[2:] if token.startswith("##") else SPACE_MARK + token


def from_gguf_token(stored):
    if stored.startswith("[") and stored.endswith("]") and len(stored) > 1:
        return stored
    return stored[1:] if stored.startswith(SPACE_MARK) else "##" + stored


def check_lengths(tokens, where):
    """The library reads no vocabulary with a longer word: a text's time would grow with it."""
    for i, token in enumerate(tokens):
        if len(token) > MAX_TOKEN_BYTES // 4 and len(token.encode("utf-8")) > MAX_TOKEN_BYTES:
            raise ConversionError(f"{where}: token {i}, {token[:40]!r} ..., has {len(token.encode('utf-8'))} bytes, it may have "
                                  f"{MAX_TOKEN_BYTES}")


def _tell_of_words(tokenizer, note):
    """Tells of added tokens that texts give as ordinary words in the library and not in Hugging Face's, or the other way
    round. Here WordPiece's vocabulary is known; the library takes all tokens for it but the added ones at the very end."""
    added = {token.id: token.content for token in tokenizer.added}
    own = len(tokenizer.tokens)
    while own - 1 in added:
        own -= 1
    for i, content in added.items():
        if (i in tokenizer.outside_vocabulary) != (i < own) or list(words(normalize(content, tokenizer))) != [content]:
            continue
        if i < own:
            note(f"added token {content!r} is not in WordPiece's vocabulary, but in the model file it is also found as an "
                 "ordinary word: tokens that are not added ones come after it")
        else:
            note(f"added token {content!r} is in WordPiece's vocabulary, but in the model file it is found only where a text has "
                 "it as it is written, not as an ordinary word: it is one of the last tokens")


def add_keys(model, tokenizer, note):
    """The tokenizer's keys, as docs/model-file.md lists them. note(text) is called for what deserves one."""
    check_lengths(tokenizer.tokens, "the tokenizer")
    if isinstance(tokenizer, subword.SubwordTokenizer):
        if tokenizer.lower_text:
            raise ConversionError("do_lower_case of sentence-transformers is supported with WordPiece alone")
        subword.add_keys(model, tokenizer)
        return
    _tell_of_words(tokenizer, note)
    model.key("tokenizer.ggml.model", "bert", "string")
    model.key("tokenizer.ggml.pre", "default", "string")
    stored = [to_gguf_token(token) for token in tokenizer.tokens]
    model.key("tokenizer.ggml.tokens", stored, "[string]")
    special = {token.id for token in tokenizer.added if token.special}
    kinds = [2 if i == tokenizer.unk_id else 3 if i in special else 1 for i in range(len(stored))]
    model.key("tokenizer.ggml.token_type", kinds, "[i32]")
    for name, i in (("bos", tokenizer.cls_id), ("eos", tokenizer.sep_id), ("unknown", tokenizer.unk_id),
                    ("seperator", tokenizer.sep_id), ("padding", tokenizer.pad_id), ("cls", tokenizer.cls_id),
                    ("mask", tokenizer.mask_id)):
        if i is not None:
            model.key(f"tokenizer.ggml.{name}_token_id", i, "u32")
    for name in ("lowercase", "strip_accents", "clean_text", "handle_chinese_chars"):
        model.key(f"ranklet.tokenizer.{name}", getattr(tokenizer, name), "bool")
    if tokenizer.lower_text:
        model.key("ranklet.tokenizer.lower_text", True, "bool")
    if not tokenizer.pairs:
        model.key("ranklet.tokenizer.pairs", False, "bool")
    model.key("ranklet.tokenizer.max_input_chars_per_word", tokenizer.max_input_chars_per_word, "u32")
    model.key("ranklet.tokenizer.added_ids", [token.id for token in tokenizer.added], "[u32]")
    model.key("ranklet.tokenizer.added_flags", [token.flags() for token in tokenizer.added], "[u32]")
    exact = [i for i, token in enumerate(tokenizer.tokens) if from_gguf_token(stored[i]) != token]
    if exact:
        model.key("ranklet.tokenizer.exact_ids", exact, "[u32]")
        model.key("ranklet.tokenizer.exact_tokens", [tokenizer.tokens[i] for i in exact], "[string]")
