"""Unigram and BPE tokenizers of steps in plain Python, the second opinion that a model file's self-test is made with.

In: a SubwordTokenizer (subword.py) and a text. Out: token ids.
Behaviour of Hugging Face's `tokenizers`. Characters are classified by Python's own Unicode version: those that came or changed
later may differ here, so a self-test holds none of them.
"""
import re
import unicodedata

import numpy as np

from .subword import FIRST, PATTERNS, SPACE_MARK, byte_characters
from .wordpiece import WHITE_SPACE, WordPiece, is_punctuation
from .wordpiece import normalize as bert_normalize

SPACES = "".join(map(re.escape, sorted(WHITE_SPACE)))
NMT_GONE = {*range(1, 9), 0xB, *range(0xE, 0x20), 0x7F, 0x8F, 0x9F}
NMT_SPACE = {0x9, 0xA, 0xC, 0xD, 0x1680, *range(0x200B, 0x2010), 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD}


def _category_class(first):
    """The inside of a character class of a general category, by its first letter."""
    out, start = [], None
    for code in range(0x110001):
        inside = code < 0x110000 and not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code))[0] == first
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            out.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(out)


_compiled = {}


def _regex(pattern):
    """One of PATTERNS for Python's `re`, which knows no \\p and another \\s."""
    if pattern not in _compiled:
        text = pattern
        for letter in "LNM":
            if f"\\p{{{letter}}}" in text:
                inside = _category_class(letter)
                text = re.sub(rf"\[([^\]]*)\\p\{{{letter}\}}", lambda m: "[" + m[1] + inside, text)  # noqa: B023
                while re.search(rf"\[[^\]]*\\p\{{{letter}\}}", text):
                    text = re.sub(rf"(\[[^\]]*)\\p\{{{letter}\}}", lambda m: m[1] + inside, text, count=1)  # noqa: B023
                text = text.replace(f"\\p{{{letter}}}", f"[{inside}]")
        text = re.sub(r"\[([^\]]*)\\s", lambda m: "[" + m[1] + SPACES, text).replace(r"\s", f"[{SPACES}]").replace(r"\S", f"[^{SPACES}]")
        _compiled[pattern] = re.compile(text)
    return _compiled[pattern]


class Charsmap:
    """SentencePiece's rules: a Darts double array, then what replaces its keys."""

    def __init__(self, blob):
        size = int(np.frombuffer(blob[:4], "<u4")[0])
        self.units, self.texts = np.frombuffer(blob[4:4 + size], "<u4"), blob[4 + size:]

    def replacement(self, text, longest=False):
        """(what replaces the shortest, or longest, beginning of the text that has a rule, its bytes); None: none has."""
        def offset(unit):
            return (unit >> 10) << ((unit & 1 << 9) >> 6)
        unit, found = int(self.units[0]), None
        node = offset(unit)
        for i, byte in enumerate(text.encode()):
            node ^= byte
            if byte == 0 or node >= len(self.units):
                break
            unit = int(self.units[node])
            if unit & 0x800000FF != byte:
                break
            node ^= offset(unit)
            if unit >> 8 & 1:
                at = int(self.units[node]) & 0x7FFFFFFF
                found = self.texts[at:self.texts.index(b"\0", at)].decode(), i + 1
                if not longest:
                    break
        return found

    def apply(self, text):
        out = []
        for cluster in re.findall(r"\r\n|.[^\W\w]*", text, re.DOTALL) if text.isascii() else _clusters(text):
            whole = self.replacement(cluster) if len(cluster.encode()) < 6 else None
            if whole is not None:
                out.append(whole[0])
                continue
            for char in cluster:
                one = self.replacement(char)
                out.append(char if one is None else one[0])
        return "".join(out)


def _clusters(text):
    out = []
    for char in text:
        joins = unicodedata.category(char) in ("Mn", "Me", "Mc") or char in "\u200c\u200d" or (char == "\n" and out and out[-1] == "\r")
        if joins and out and (char == "\n" or unicodedata.category(out[-1][-1]) not in ("Cc", "Cf", "Zl", "Zp") or out[-1][-1] == "\u200d"):
            out[-1] += char
        else:
            out.append(char)
    return out


class Subword:
    """encode(text) -> ids with special tokens, cut to max_length (None: not cut). WordPiece's interface (wordpiece.py)."""

    def __init__(self, tokenizer, max_length=None):
        self.settings, self.max_length = tokenizer, max_length
        own = tokenizer.tokens[:tokenizer.model_tokens]
        self.bytes = [chr(code) for code in byte_characters()]
        self.charsmap = None if tokenizer.charsmap is None else Charsmap(tokenizer.charsmap)
        unmatched = set(tokenizer.unmatched)
        self.ids = {token: i for i, token in enumerate(own) if i not in unmatched}
        self.byte_pieces = {token: i for i, token in enumerate(own)}
        self.longest = max(map(len, own))
        if tokenizer.model == "unigram":
            least = min(score for i, score in enumerate(tokenizer.scores) if i not in unmatched)
            self.unknown_score = float(np.float32(least - 10.0)) if tokenizer.single_precision else least - 10.0
        self.ranks, first = {}, {}
        for rank, pair in enumerate(tokenizer.merges):
            self.ranks[pair] = first.setdefault("".join(pair), rank) if tokenizer.equal_ranks else rank
        self.raw = WordPiece._matcher({token.content: token for token in tokenizer.added if not token.normalized})
        self.late = WordPiece._matcher({self.normalize(token.content): token for token in tokenizer.added if token.normalized})

    # --- steps ---

    def normalize(self, text):
        for name, *made_of in self.settings.normalizers:
            if name in ("nfc", "nfd", "nfkc", "nfkd"):
                text = unicodedata.normalize(name.upper(), text)
            elif name == "lowercase":
                text = "".join(c.lower() for c in text)
            elif name == "strip_accents":
                text = "".join(c for c in text if unicodedata.category(c)[0] != "M")
            elif name == "strip":
                text = text.lstrip("".join(WHITE_SPACE)) if "left" in made_of[0] else text
                text = text.rstrip("".join(WHITE_SPACE)) if "right" in made_of[0] else text
            elif name == "replace":
                text = text.replace(*made_of)
            elif name == "replace_regex":
                text = _regex(made_of[0]).sub(lambda _: made_of[1], text)  # noqa: B023
            elif name == "prepend":
                text = made_of[0] + text if text else text
            elif name == "nmt":
                text = "".join(" " if ord(c) in NMT_SPACE else c for c in text if ord(c) not in NMT_GONE)
            elif name == "precompiled":
                text = self.charsmap.apply(text)
            elif name == "sentencepiece":
                text = self._sentencepiece(text, made_of[0].split())
            elif name == "bert":
                text = bert_normalize(text, _Flags(made_of[0].split()))
            elif name == "byte_level":
                text = self.seen(text)
        return text

    def _sentencepiece(self, text, flags):
        """The longest rule at each place; spaces in excess go, a mark stands for each other one and before the text."""
        out = []
        while text:
            found = self.charsmap and self.charsmap.replacement(text, longest=True)
            if found:
                out.append(found[0])
                text = text.encode()[found[1]:].decode()
            else:
                out.append(text[0])
                text = text[1:]
        text = "".join(out)
        if "remove_extra_whitespaces" in flags:
            text = re.sub(" +", " ", text).strip(" ")
        return SPACE_MARK * (bool(text) and "dummy_prefix" in flags) + text.replace(" ", SPACE_MARK)

    def seen(self, text):
        return "".join(self.bytes[byte] for byte in text.encode())

    def words(self, text, first):
        """first: whether the text begins where the original does."""
        parts = [(text, first)] if text else []
        for name, *made_of in self.settings.pre_tokenizers:
            parts = [(word, at_first and i == 0) for part, at_first in parts
                     for i, word in enumerate(self._split(name, made_of, part, at_first)) if word]
        return [part for part, _ in parts if part]

    def _split(self, name, made_of, text, first):
        if name == "metaspace":
            mark, scheme, splits = made_of
            text = text.replace(" ", mark)
            if text and not text.startswith(mark) and (scheme == "always" or scheme == "first" and first):
                text = mark + text
            return _joined(re.escape(mark), text, "merged_with_next", False) if splits == "split" else [text]
        if name == "byte_level":
            if "add_prefix_space" in made_of[0] and not text.startswith(" "):
                text = " " + text
            parts = _joined(_regex(PATTERNS[0]), text, "isolated", False) if "split" in made_of[0].split() else [text]
            return [self.seen(part) for part in parts]
        spaces = f"[{SPACES}]"
        if name == "whitespace_split":
            return _joined(spaces, text, "removed", False)
        if name == "whitespace":
            return _joined(r"\w+|" + f"[^\\w{SPACES}]+", text, "removed", True)
        if name == "bert":
            return [part for word in _joined(spaces, text, "removed", False) for part in _by(is_punctuation, word, "isolated")]
        if name == "punctuation":
            return _by(is_punctuation, text, made_of[0])
        if name == "digits":
            return _by(str.isnumeric, text, made_of[0])
        pattern, behavior, invert = made_of
        return _joined(re.escape(pattern) if name == "split" else _regex(pattern), text, behavior, invert == "between")

    # --- models ---

    def pieces(self, word):
        return self._unigram(word) if self.settings.model == "unigram" else self._bpe(word)

    def _bytes_of(self, text):
        ids = [self.byte_pieces.get(f"<0x{byte:02X}>") for byte in text.encode()] if self.settings.byte_fallback else [None]
        return None if None in ids else ids

    def _unigram(self, word):
        unk, scores = self.settings.unk_id, self.settings.scores
        rounded = np.float32 if self.settings.single_precision else float
        best = [(0.0, 0, 0)] + [None] * len(word)  # of each end: score, start, id
        for start in range(len(word)):
            here, single = best[start][0], False
            ends = [(end, self.ids.get(word[start:end])) for end in range(start + 1, min(len(word), start + self.longest) + 1)]
            for end, i in ends:
                if i is not None:
                    single |= end == start + 1
                    score = float(rounded(scores[i] + here))
                    if best[end] is None or score > best[end][0]:
                        best[end] = (score, start, i)
            score = float(rounded(self.unknown_score + here))
            if not single and (best[start + 1] is None or score > best[start + 1][0]):
                best[start + 1] = (score, start, unk)
        cuts, end = [], len(word)
        while end > 0:
            _, start, i = best[end]
            if i == unk and cuts and cuts[-1][2] == unk:
                cuts[-1] = (start, cuts[-1][1], unk)
            else:
                cuts.append((start, end, i))
            end = start
        out = []
        for start, end, i in reversed(cuts):
            known = self.ids.get(word[start:end]) if i == unk else i
            out += [known] if known is not None else self._bytes_of(word[start:end]) or [unk]
        return out

    def _bpe(self, word):
        tokens, settings = self.settings.tokens, self.settings
        if settings.ignore_merges and word in self.ids:
            return [self.ids[word]]
        ids = []
        for i, char in enumerate(word):
            if char in self.ids:
                ids.append(self.ids[char])
            elif (parts := self._bytes_of(char)) is not None:
                ids += parts
            elif settings.unk_id is not None and not (settings.fuse_unk and i and ids and ids[-1] == settings.unk_id):
                ids.append(settings.unk_id)
        while len(ids) > 1:
            ranks = [self.ranks.get((tokens[a], tokens[b]), np.inf) for a, b in zip(ids, ids[1:])]
            at = int(np.argmin(ranks))
            if ranks[at] == np.inf:
                break
            ids[at:at + 2] = [self.ids[tokens[ids[at]] + tokens[ids[at + 1]]]]
        return ids

    # --- texts ---

    def without_special(self, text):
        """The ids alone, all of them."""
        ids = []
        strips = any(name == "strip" and "left" in made_of[0] for name, *made_of in self.settings.normalizers)
        for i, (piece, token) in enumerate(WordPiece._split(text, self.raw)):
            if token is not None:
                ids.append(token.id)
                continue
            for k, (part, late) in enumerate(WordPiece._split(self.normalize(piece), self.late)):
                if late is not None:
                    ids.append(late.id)
                else:
                    first = i == 0 and k == 0 and not (strips and piece[:1] in WHITE_SPACE)
                    for word in self.words(part, first):
                        ids += self.pieces(word)
        return ids

    def encode(self, text):
        return self._put_together(self.settings.single, [self.without_special(text)])[0]

    def encode_pair(self, a, b):
        """(ids, type ids), cut as WordPiece's (longest_first)."""
        return self._put_together(self.settings.pair, [self.without_special(a), self.without_special(b)])

    def _put_together(self, parts, texts):
        room = None if self.max_length is None else self.max_length - sum(i >= 0 for i, _ in parts)
        if room is not None:
            texts = [texts[0][:room]] if len(texts) == 1 else WordPiece.longest_first(*texts, room)
        ids, types = [], []
        for i, kind in parts:
            each = [i] if i >= 0 else texts[0 if i == FIRST else 1]
            ids += each
            types += [kind] * len(each)
        return ids, types


class _Flags:
    def __init__(self, names):
        for name in ("lowercase", "strip_accents", "clean_text", "handle_chinese_chars"):
            setattr(self, name, name in names)


def _by(of, text, behavior):
    return _join(((c, of(c)) for c in text), behavior)


def _joined(pattern, text, behavior, invert):
    pieces, done = [], 0
    for match in re.finditer(pattern, text):
        pieces += [(text[done:match.start()], invert), (match.group(), not invert)]
        done = match.end()
    return _join([*pieces, (text[done:], invert)], behavior, False)


def _join(pieces, behavior, characters=True):
    """characters: those that do not match are one piece as long as they stand together."""
    merged = []
    for text, match in pieces:
        if not text:
            continue
        if characters and not match and merged and not merged[-1][1]:
            merged[-1] = (merged[-1][0] + text, False)
        else:
            merged.append((text, match))
    out, before = [], False
    for text, match in merged:
        if behavior == "removed":
            out += [] if match else [text]
            continue
        joins = {"isolated": False, "contiguous": match == before, "merged_with_previous": match and not before,
                 "merged_with_next": not match and before}[behavior]
        if joins and out:
            out[-1] += text
        else:
            out.append(text)
        before = match
    return out
