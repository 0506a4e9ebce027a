"""Reads tokenizers of Unigram and byte pairs, writes them as model-file keys, and runs them: the second opinion that a model file's
self-test is made with.

In: Hugging Face's tokenizer.json, old forms too. Out: a Subword with the steps that it is made of; token ids; the keys of
docs/model-file.md. What a tokenizer has and nothing here knows is an error that shows it.
Behaviour of Hugging Face's `tokenizers` 0.23.
"""
import base64
import math
import struct
import unicodedata
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from .checkpoint import optional_json
from .errors import ConversionError

# The patterns that the library has, as tokenizer.json writes them.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
PATTERNS = {GPT2: "gpt2", LLAMA3: "llama3", QWEN2: "qwen2"}
MARK = "\u2581"


def byte_alphabet():
    """GPT-2's: the character of each byte."""
    itself = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(b) if b in itself else chr(next(others)) for b in range(256)]


def rust_float(text):
    """A number as the tokenizers library reads it from JSON: up to 19 digits as a whole number, divided by a power of ten, with the
    rounding of each. Of two ways to cut a word that are worth the same, the last bit decides."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.lstrip("-").partition(".")
    value, power = 0, int(exponent or 0)
    for place, digits in ((0, whole), (1, decimals)):
        for digit in digits:
            if value * 10 + int(digit) > 2**64 - 1:
                power += 1 - place
                continue
            value = value * 10 + int(digit)
            power -= place
    number = float(value)
    number = number * 10.0 ** power if power >= 0 else number / 10.0 ** min(-power, 308)
    return -number if text.startswith("-") else number


class CharacterMap:
    """SentencePiece's precompiled normalisation: a double array of texts, and what they turn into."""

    def __init__(self, data):
        self.data = data
        size = struct.unpack_from("<I", data)[0] if len(data) >= 4 else 0
        if size % 4 or len(data) < 4 + size:
            raise ValueError("the array is not all there")
        self.units = np.frombuffer(data, "<u4", size // 4, 4)
        self.texts = data[4 + size:]

    def find(self, text):
        """What the text turns into; None: it stays."""
        def offset(unit):
            return (unit >> 10) << ((unit & (1 << 9)) >> 6)

        units = self.units
        if not len(units):
            return None
        at = offset(int(units[0]))
        for byte in text.encode():
            at ^= byte
            if byte == 0 or at >= len(units) or int(units[at]) & 0x800000FF != byte:
                return None
            leaf = int(units[at]) >> 8 & 1
            at ^= offset(int(units[at]))
            if leaf:
                value = int(units[at]) & 0x7FFFFFFF
                return self.texts[value:self.texts.index(b"\0", value)].decode()
        return None

    def apply(self, text):
        out = []
        for grapheme in graphemes(text):
            found = self.find(grapheme) if len(grapheme.encode()) < 6 else None
            if found is not None:
                out.append(found)
                continue
            for char in grapheme:
                found = self.find(char)
                out.append(char if found is None else found)
        return "".join(out)


def graphemes(text):
    """Near enough to Unicode's for a self-test's texts: marks go with what they stand on, \\r with \\n."""
    found = []
    for char in text:
        joins = unicodedata.category(char) in ("Mn", "Me", "Mc") or char == "\u200d"
        if found and (joins and unicodedata.category(found[-1][-1])[0] != "C" or char == "\n" and found[-1] == "\r"):
            found[-1] += char
        else:
            found.append(char)
    return found


def _kind(char):
    category = unicodedata.category(char)[0]
    return "letter" if category == "L" else "number" if category == "N" else "space" if char.isspace() and char not in "\x1c\x1d\x1e\x1f" else "other"


WHITE_SPACE = "".join(chr(c) for c in (*range(0x3001),) if _kind(chr(c)) == "space")


def _run(text, at, kind, most=None):
    end = at
    while end < len(text) and (most is None or end - at < most) and _kind(text[end]) == kind:
        end += 1
    return end


def _space(text, at):
    end = _run(text, at, "space")
    return end if end == len(text) or end == at + 1 else end - 1


def match(pattern, text, at):
    """Where the pattern's match that begins at a place ends; see text/text_patterns.hpp."""
    modern = pattern != "gpt2"
    if text[at] == "'":
        rest = text[at + 1:at + 3]
        rest = rest.lower().replace("\u017f", "s") if modern else rest
        for ending in ("s", "t", "m", "d", "re", "ve", "ll"):
            if rest.startswith(ending):
                return at + 1 + len(ending)
    start = at + (text[at] == " ")
    if not modern:
        kind = _kind(text[start]) if start < len(text) else "space"
        return _run(text, start, kind) if kind != "space" else _space(text, at)
    first = _kind(text[at])
    if first == "letter":
        return _run(text, at, "letter")
    if first != "number" and text[at] not in "\r\n" and at + 1 < len(text) and _kind(text[at + 1]) == "letter":
        return _run(text, at + 1, "letter")
    if first == "number":
        return _run(text, at, "number", 3 if pattern == "llama3" else 1)
    if start < len(text) and _kind(text[start]) == "other":
        end = _run(text, start, "other")
        while end < len(text) and text[end] in "\r\n":
            end += 1
        return end
    spaces = text[at:_run(text, at, "space")]
    line = max(spaces.rfind("\r"), spaces.rfind("\n"))
    return at + line + 1 if line >= 0 else _space(text, at)


@dataclass
class Subword:
    """A tokenizer as the model file describes it."""
    model: str  # unigram, byte_pairs or character_pairs
    tokens: list  # by id
    normalizers: list  # of tuples: a step's name and what belongs to it
    words: list
    unk_id: Optional[int] = None
    scores: list = field(default_factory=list)
    merges: list = field(default_factory=list)  # of (left id, right id, merged id)
    whole_words_first: bool = False
    byte_ids: list = field(default_factory=list)
    before: list = field(default_factory=list)
    between: list = field(default_factory=list)
    after: list = field(default_factory=list)
    pairs: bool = False
    second_type: int = 0
    trim_offsets: bool = False
    keeps_first_space: bool = False
    added: list = field(default_factory=list)  # of tokenizer.AddedToken
    map: Optional[CharacterMap] = None
    max_length: Optional[int] = None
    lower_text: bool = False
    outside_vocabulary: set = field(default_factory=set)

    lowercase = False
    cls_id = property(lambda self: self.before[0] if self.before else None)

    # ---- running it

    def normalize(self, text, steps=None):
        for name, *arguments in self.normalizers if steps is None else steps:
            if name == "character_map":
                text = self.map.apply(text)
            elif name in ("nfc", "nfd"):
                text = unicodedata.normalize(name.upper(), text)
            elif name == "lowercase":
                text = "".join(c.lower() for c in text)
            elif name == "strip_accents":
                text = "".join(c for c in text if unicodedata.category(c)[0] != "M")
            elif name == "strip_left":
                text = text.lstrip(WHITE_SPACE)
            elif name == "strip_right":
                text = text.rstrip(WHITE_SPACE)
            elif name == "replace":
                text = text.replace(*arguments)
            elif name == "collapse_spaces":
                parts = text.split("  ")
                text = parts[0]
                for part in parts[1:]:
                    text += (arguments[0] if not text.endswith("\0") else "") + part
                while "  " in text:
                    text = text.replace("  ", arguments[0])
            elif name == "prepend":
                text = arguments[0] + text if text else text
        return text

    def cut(self, text, at_start):
        """A stretch of normalised text -> its words."""
        words = [(text, at_start)]
        for name, *arguments in self.words:
            following = []
            for word, first in words:
                if name == "split_spaces":
                    parts, rest = [], ""
                    for char in word + " ":
                        if _kind(char) == "space":
                            parts += [rest] * bool(rest)
                            rest = ""
                        else:
                            rest += char
                    following += [(part, first and i == 0) for i, part in enumerate(parts)]
                elif name == "digits":
                    rest = ""
                    for char in word:
                        if _kind(char) == "number":
                            following += [(rest, False)] * bool(rest) + [(char, False)]
                            rest = ""
                        else:
                            rest += char
                    following += [(rest, False)] * bool(rest)
                elif name == "prefix_space":
                    following.append((word if word.startswith(" ") else " " + word, first))
                elif name == "pattern":
                    at = 0
                    while at < len(word):
                        end = match(arguments[0], word, at)
                        following.append((word[at:end], first and at == 0))
                        at = end
                elif name == "metaspace":
                    mark, scheme, split = arguments
                    word = word.replace(" ", mark)
                    if not word.startswith(mark) and (scheme == "always" or scheme == "first" and first):
                        word = mark + word
                    if split == "whole":
                        following.append((word, first))
                        continue
                    parts = word.split(mark)
                    following += [(parts[0], first)] * bool(parts[0]) + [(mark + part, False) for part in parts[1:]]
            words = [each for each in following if each[0]]
        return [word for word, _ in words]

    def _tables(self):
        if not hasattr(self, "_ids"):
            self._ids = {}
            for i, token in enumerate(self.tokens[:len(self.scores) or None]):
                self._ids.setdefault(token, i)
            self._ranks = {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(self.merges)}
            self._longest = max(map(len, self.tokens))
            self._alphabet = byte_alphabet()

    def pieces(self, word):
        self._tables()
        if self.model == "unigram":
            return self._unigram(word)
        if self.model == "byte_pairs":
            word = "".join(self._alphabet[b] for b in word.encode())
        if self.whole_words_first and word in self._ids:
            return [self._ids[word]]
        ids, unknown = [], False
        for char in word:
            if char in self._ids:
                ids.append(self._ids[char])
                unknown = False
            elif self.byte_ids:
                ids += [self.byte_ids[b] for b in char.encode()]
                unknown = False
            elif self.unk_id is not None:
                ids += [self.unk_id] * (not unknown)
                unknown = True
        while True:
            found = [(self._ranks[pair], i) for i, pair in enumerate(zip(ids, ids[1:])) if pair in self._ranks]
            if not found:
                return ids
            (_, merged), i = min(found, key=lambda each: (each[0][0], each[1]))
            ids[i:i + 2] = [merged]

    def _unigram(self, word):
        unknown = min(self.scores) - 10
        best = [(0.0, None, None)] + [None] * len(word)
        for start in range(len(word)):
            single = False
            for end in range(start + 1, min(len(word), start + self._longest) + 1):
                i = self._ids.get(word[start:end])
                if i is None:
                    continue
                score = best[start][0] + self.scores[i]
                if best[end] is None or score > best[end][0]:
                    best[end] = (score, start, i)
                single = single or end == start + 1
            if not single:
                score = best[start][0] + unknown
                if best[start + 1] is None or score > best[start + 1][0]:
                    best[start + 1] = (score, start, self.unk_id)
        ids, end = [], len(word)
        while end > 0:
            _, end, i = best[end]
            if not (i == self.unk_id and ids and ids[-1] == i):  # neighbours that are unknown are one
                ids.append(i)
        return ids[::-1]


class SubwordRunner:
    """encode(text) -> ids with the special ones around them, cut to max_length (None: not cut)."""

    def __init__(self, tokenizer, max_length=None):
        from .wordpiece import WordPiece
        self.settings, self.max_length = tokenizer, max_length
        self.raw = WordPiece._matcher({t.content: t for t in tokenizer.added if not t.normalized})
        self.late = WordPiece._matcher({tokenizer.normalize(t.content): t for t in tokenizer.added if t.normalized})
        self._split = WordPiece._split

    def encode(self, text):
        ids = self.without_special(text)
        own = self.settings
        if self.max_length is not None:
            ids = ids[:self.max_length - len(own.before) - len(own.after)]
        return [*own.before, *ids, *own.after]

    def without_special(self, text):
        own, ids = self.settings, []
        for piece, token in self._split(text, self.raw):
            if token is not None:
                ids.append(token.id)
                continue
            for part, late in self._split(own.normalize(piece), self.late):
                if late is not None:
                    ids.append(late.id)
                elif part:
                    for word in own.cut(part, not ids):
                        ids += own.pieces(word)
        return ids


# ---- reading it


def _flat(value, inside):
    if value is None:
        return []
    if value.get("type") == "Sequence":
        return [each for part in value[inside] for each in _flat(part, inside)]
    return [value]


def _normalizers(path, value):
    steps, chars = [], None
    for each in _flat(value, "normalizers"):
        kind = each["type"]
        if kind == "Precompiled":
            if each["precompiled_charsmap"]:
                chars = CharacterMap(base64.b64decode(each["precompiled_charsmap"]))
                steps.append(("character_map",))
        elif kind in ("NFC", "NFD", "Lowercase"):
            steps.append((kind.lower(),))
        elif kind == "StripAccents":
            steps.append(("strip_accents",))
        elif kind == "Strip":
            steps += [("strip_left",)] * each.get("strip_left", True) + [("strip_right",)] * each.get("strip_right", True)
        elif kind == "Replace" and "String" in each["pattern"]:
            steps.append(("replace", each["pattern"]["String"], each["content"]))
        elif kind == "Replace" and each["pattern"] == {"Regex": " {2,}"}:
            steps.append(("collapse_spaces", each["content"]))
        elif kind == "Prepend":
            steps.append(("prepend", each["prepend"]))
        else:
            raise ConversionError(f"{path}: normalizer {str(each):.120} is not supported")
    return steps, chars


def _scheme(each):
    if "prepend_scheme" in each:
        return each["prepend_scheme"]
    return "always" if each.get("add_prefix_space", True) else "never"


def _words(path, value):
    """(steps, whether words are bytes)"""
    steps, bytes_ = [], False
    for each in _flat(value, "pretokenizers"):
        kind = each["type"]
        if kind == "WhitespaceSplit":
            steps.append(("split_spaces",))
        elif kind == "Metaspace":
            steps.append(("metaspace", each.get("replacement", MARK), _scheme(each), "split" if each.get("split", True) else "whole"))
        elif kind == "ByteLevel":
            steps += [("prefix_space",)] * each.get("add_prefix_space", True)
            steps += [("pattern", "gpt2")] * each.get("use_regex", True)
            bytes_ = True
        elif kind == "Digits" and each.get("individual_digits"):
            steps.append(("digits",))
        elif kind == "Split":
            pattern = each["pattern"].get("Regex")
            if pattern not in PATTERNS or each.get("behavior") != "Isolated" or each.get("invert"):
                raise ConversionError(f"{path}: pre_tokenizer splits by {str(each):.300}; the patterns of GPT-2, Llama 3 and Qwen2 are supported")
            steps.append(("pattern", PATTERNS[pattern]))
        else:
            raise ConversionError(f"{path}: pre_tokenizer {str(each):.120} is not supported")
    return steps, bytes_


def _template(path, post, made):
    """The special tokens that a post-processor puts around texts."""
    parts = post["processors"] if post and post["type"] == "Sequence" else [post] if post else []
    for each in parts:
        kind = each["type"]
        if kind == "ByteLevel":
            made.trim_offsets = each.get("trim_offsets", True)
            made.keeps_first_space = each.get("add_prefix_space", True)
            continue
        if kind in ("RobertaProcessing", "BertProcessing"):
            cls, sep = each["cls"][1], each["sep"][1]
            made.before, made.after, made.pairs = [cls], [sep], True
            made.between = [sep] * (2 if kind == "RobertaProcessing" else 1)
            made.second_type = int(kind == "BertProcessing")
            made.trim_offsets = kind == "RobertaProcessing" and each.get("trim_offsets", True)
            made.keeps_first_space = each.get("add_prefix_space", True)
            continue
        if kind != "TemplateProcessing":
            raise ConversionError(f"{path}: post_processor {kind} is not supported")

        def flat(template, each=each):
            found = []
            for part in template:
                (what, value), = part.items()
                found += [("text", value["type_id"])] if what == "Sequence" else [
                    (i, value["type_id"]) for i in each["special_tokens"][value["id"]]["ids"]]
            return found

        single, pair = flat(each["single"]), flat(each["pair"])
        at = [i for i, (what, _) in enumerate(single) if what == "text"]
        if len(at) != 1 or any(kind for _, kind in single):
            raise ConversionError(f"{path}: post_processor has the template {str(each['single']):.200}, expected special tokens around one text")
        made.before, made.after = ([i for i, _ in part] for part in (single[:at[0]], single[at[0] + 1:]))
        texts = [i for i, (what, _) in enumerate(pair) if what == "text"]
        if len(texts) == 2 and [i for i, _ in pair[:texts[0]]] == made.before and [i for i, _ in pair[texts[1] + 1:]] == made.after:
            made.between = [i for i, _ in pair[texts[0] + 1:texts[1]]]
            made.second_type = pair[texts[1]][1]
            made.pairs = not any(kind for _, kind in pair[:texts[1]]) and all(kind == made.second_type for _, kind in pair[texts[1]:])


def _merges(path, model, ids):
    merges = []
    for each in model["merges"]:
        left, right = each if isinstance(each, list) else each.split(" ")
        if left not in ids or right not in ids or left + right not in ids:
            raise ConversionError(f"{path}: the merge of {left!r} and {right!r} is of tokens that the vocabulary lacks")
        merges.append((ids[left], ids[right], ids[left + right]))
    return merges


def read(path, data, kind, config, added, special_tokens=True):
    """tokenizer.json's content, of Unigram or BPE -> Subword. added: its AddedTokens."""
    try:
        return _read(path, data, kind, config, added, special_tokens)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(f"{path}: the tokenizer is not as Hugging Face's tokenizers writes it ({error!r:.120})") from None


def _read(path, data, kind, config, added, special_tokens):
    model = data["model"]
    normalizers, chars = _normalizers(path, data.get("normalizer"))
    words, bytes_ = _words(path, data.get("pre_tokenizer"))
    if kind == "Unigram":
        tokens = [token for token, _ in model["vocab"]]
        scores = [float(score) for _, score in model["vocab"]]
        if not all(map(math.isfinite, scores)):
            raise ConversionError(f"{path}: a score of the vocabulary is not finite")
        made = Subword("unigram", tokens, normalizers, words, model.get("unk_id"), scores=scores)
        if made.unk_id is None or not 0 <= made.unk_id < len(tokens):
            raise ConversionError(f"{path}: unk_id is {made.unk_id!r} of {len(tokens)} tokens")
        if model.get("byte_fallback"):
            raise ConversionError(f"{path}: Unigram with byte_fallback is not supported")
    else:
        for name, wanted in (("dropout", (None, 0)), ("continuing_subword_prefix", (None, "")), ("end_of_word_suffix", (None, ""))):
            if model.get(name) not in wanted:
                raise ConversionError(f"{path}: {name} is {model[name]!r}, which is not supported")
        vocabulary = model["vocab"]
        count = max(vocabulary.values()) + 1
        tokens = [f"[unused_row_{i}]" for i in range(count)]
        for token, i in vocabulary.items():
            tokens[i] = token
        unk = model.get("unk_token")
        made = Subword("byte_pairs" if bytes_ else "character_pairs", tokens, normalizers, words,
                       vocabulary.get(unk) if unk is not None else None, merges=_merges(path, model, vocabulary),
                       whole_words_first=bool(model.get("ignore_merges")))
        if model.get("byte_fallback"):
            names = [f"<0x{b:02X}>" for b in range(256)]
            if any(name not in vocabulary for name in names):
                raise ConversionError(f"{path}: byte_fallback without a token for each byte")
            made.byte_ids = [vocabulary[name] for name in names]
        if not bytes_ and made.unk_id is not None and not model.get("fuse_unk") and not made.byte_ids:
            raise ConversionError(f"{path}: unknown characters that are not fused (fuse_unk) are not supported")
    made.map = chars
    for token in sorted(added, key=lambda each: each.id):
        if token.id == len(made.tokens):
            made.tokens.append(token.content)  # without a score: no word's piece
            made.outside_vocabulary.add(token.id)
        elif token.id > len(made.tokens) or made.tokens[token.id] != token.content:
            raise ConversionError(f"{path}: added token {token.content!r} with id {token.id} contradicts the vocabulary")
    made.added = added
    if special_tokens:
        _template(path, data.get("post_processor"), made)
    for i in (*made.before, *made.between, *made.after):
        if not isinstance(i, int) or not 0 <= i < len(made.tokens):
            raise ConversionError(f"{path}: post_processor names the id {i!r}, the vocabulary has {len(made.tokens)}")
    return made


# ---- writing it


def add_keys(model, made):
    for token in made.tokens:
        if len(token.encode("utf-8", "replace")) > 1024:
            raise ConversionError(f"the tokenizer: token {token!r:.40} has more than 1024 bytes")
    names = {"unigram": "t5", "byte_pairs": "gpt2", "character_pairs": "llama"}
    model.key("tokenizer.ggml.model", names[made.model], "string")
    model.key("tokenizer.ggml.pre", "default", "string")
    model.key("tokenizer.ggml.tokens", made.tokens, "[string]")
    special = {token.id for token in made.added if token.special}
    user = {token.id for token in made.added if not token.special}
    bytes_ = set(made.byte_ids)
    model.key("tokenizer.ggml.token_type", [2 if i == made.unk_id else 3 if i in special else 4 if i in user else 6 if i in bytes_ else 1
                                            for i in range(len(made.tokens))], "[i32]")
    if made.unk_id is not None:
        model.key("tokenizer.ggml.unknown_token_id", made.unk_id, "u32")
    for name, ids in (("bos", made.before), ("eos", made.after)):
        if ids:
            model.key(f"tokenizer.ggml.{name}_token_id", ids[0], "u32")
    own = "ranklet.tokenizer."
    model.key(own + "model", made.model, "string")
    model.key(own + "normalizers", [part for step in made.normalizers for part in step], "[string]")
    model.key(own + "words", [part for step in made.words for part in step], "[string]")
    if made.map is not None:
        data = made.map.data + b"\0" * (-len(made.map.data) % 4)
        model.key(own + "character_map", np.frombuffer(data, "<i4"), "[i32]")
    if made.model == "unigram":
        model.key(own + "scores", made.scores, "[f64]")
    else:
        model.key(own + "merges", [i for merge in made.merges for i in merge], "[i32]")
        model.key(own + "whole_words_first", made.whole_words_first, "bool")
    for name in ("before", "between", "after", "byte_ids"):
        if getattr(made, name):
            model.key(own + name, getattr(made, name), "[i32]")
    model.key(own + "pairs", made.pairs, "bool")
    if made.trim_offsets:
        model.key(own + "trim_offsets", True, "bool")
        model.key(own + "keeps_first_space", made.keeps_first_space, "bool")
    model.key(own + "second_type", made.second_type, "u32")
    model.key(own + "added_ids", [token.id for token in made.added], "[u32]")
    model.key(own + "added_flags", [token.flags() for token in made.added], "[u32]")


def stated_limit(folder):
    """transformers' model_max_length, if it is one."""
    limit = (optional_json(folder, "tokenizer_config.json") or {}).get("model_max_length")
    return int(limit) if isinstance(limit, (int, float)) and 2 < limit < 10**9 else None


def runner(tokenizer, max_length=None):
    """What makes token ids of texts, whatever the tokenizer is."""
    if isinstance(tokenizer, Subword):
        return SubwordRunner(tokenizer, max_length)
    from .wordpiece import WordPiece
    return WordPiece(tokenizer, max_length)

