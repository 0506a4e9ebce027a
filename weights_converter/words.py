"""Texts cut into words of a vocabulary, in plain Python: the second opinion on the library's own tokenizer.

In: words and texts. Out: token ids.
How a text is cut: include/ranklet/text/word_tokenizer.hpp says it in words; this is written from those, with a list of
units, a dictionary and Python's own character classes instead of a trie.
"""
import re
import string
import unicodedata
from functools import lru_cache

from .wordpiece import WHITE_SPACE, is_chinese, is_control


def lower(text):
    return "".join(c.lower() for c in text)  # one by one: no final sigma


def is_word(char):
    return not is_chinese(char) and (char == "_" or unicodedata.category(char)[0] in "LM" or
                                     unicodedata.category(char) in ("Nd", "Nl", "Pc") or char in "\u200c\u200d")


def _kind(char):
    if is_chinese(char):
        return "chinese"
    if is_word(char):
        return "word"
    return "space" if char in WHITE_SPACE or is_control(char) or ord(char) < 32 else "other"


def units_of(text):
    """(kind, text) in order: words with their joints, single characters of the other kinds."""
    units, at = [], 0
    while at < len(text):
        kind, end = _kind(text[at]), at + 1
        while kind == "word" and end < len(text):
            char, after = text[end], text[end + 1:end + 2]
            joins = after and (_kind(after) == "word" if char in "'-\u2019" else
                               char in ".," and re.match(r"[0-9]", text[end - 1]) and re.match(r"[0-9]", after))
            if _kind(char) != "word" and not joins:
                break
            end += 1
        units.append((kind, text[at:end]))
        at = end
    return units


_kind_of = lru_cache(maxsize=None)(_kind)


@lru_cache(maxsize=None)
def _parts_of(char, lowercase):
    """[(character, whether it is a mark that may change places)], as fold() has them; a space for white space."""
    if _kind(char) == "space":
        return [(" ", False)]
    return [("'" if part == "\u2019" else "\u03c3" if part == "\u03c2" and lowercase else part, unicodedata.combining(part) != 0)
            for part in unicodedata.normalize("NFD", lower(char) if lowercase else char)]


def fold(text, lowercase):
    """[(character, index of what it came from)]: lower case (where stated), decomposed, one space for white space, one
    apostrophe, where text is lower-cased one small sigma."""
    out, marks = [], []
    for at, char in enumerate(text):
        for part, is_mark in _parts_of(char, lowercase):
            if is_mark:
                marks.append((part, at))
                continue
            if marks:
                out += sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
                marks.clear()
            if part != " " or not out or out[-1][0] != " ":
                out.append((part, at))
    return out + sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))


class Words:
    """encode(text) -> ids of a word-level vocabulary.

    cut: "rules", "vocabulary" or "whitespace" (WordCut in word_tokenizer.hpp)."""

    def __init__(self, words, lowercase, unknown, unknown_id=None, stop_words=(), cut="rules"):
        self.ids = {word: i for i, word in enumerate(words)}
        self.longest = max(map(len, [*words, *stop_words]))
        self.lowercase, self.unknown, self.unknown_id, self.cut = lowercase, unknown, unknown_id, cut
        self.stop_words = frozenset(stop_words)
        if cut == "vocabulary":
            self.alike = {}  # folded -> [(id, word)], in the file's order
            for i, word in enumerate(words):
                self.alike.setdefault(self._folded(word), []).append((i, word))
            self.stop_words = frozenset(map(self._folded, stop_words))
            self.lengths = {}  # first character -> lengths of the folded words with it, the longest first
            for form in {*self.alike, *self.stop_words}:
                self.lengths.setdefault(form[:1], set()).add(len(form))
            self.lengths = {first: sorted(lengths, reverse=True) for first, lengths in self.lengths.items()}

    def _folded(self, word):
        """A word of the vocabulary. Its capitals stay: no lower-cased text has them."""
        if word.isascii() and word.isprintable() and " " not in word:
            return word
        form = "".join(char for char, _ in fold(word, False)).strip(" ")
        return form.replace("\u03c2", "\u03c3") if self.lowercase else form

    def encode(self, text, max_length=None):
        ids = {"rules": self._by_rules, "vocabulary": self._by_vocabulary, "whitespace": self._at_white_space}[self.cut](text)
        return ids if max_length is None else ids[:max_length]

    def unreachable(self):
        """Ids of the words that no text gives (stop words, which are left out on purpose, aside)."""
        plain = re.compile(r"[a-z0-9]+" if self.lowercase else r"[A-Za-z0-9]+")
        return [i for word, i in self.ids.items()
                if not plain.fullmatch(word) and not self.stops(word) and self.encode(word) != [i]]

    # ---- by the vocabulary

    def _choose(self, form, text):
        """Of the words that fold alike the one that stands there, else the first."""
        found = self.alike.get(form)
        if found is None:
            return None
        text = lower(text) if self.lowercase else text
        return next((i for i, word in found if word == text), found[0][0])

    def _by_vocabulary(self, text):
        folded = fold(text, self.lowercase)
        form = "".join(char for char, _ in folded)
        kinds, size = [_kind_of(char) for char in form], len(form)

        def joint(at):
            if not 0 < at < size - 1:
                return False
            if form[at] in ".,":
                return re.fullmatch(r"[0-9][.,][0-9]", form[at - 1:at + 2]) is not None
            return form[at] in "'-" and kinds[at - 1] == kinds[at + 1] == "word"

        def may_end(end):
            return form[end - 1] != " " and not joint(end - 1) and (end == size or (kinds[end - 1], kinds[end]) != ("word",) * 2)

        def original(at, end):
            places = [place for _, place in folded[at:end]]
            return text[min(places):max(places) + 1]

        ids, at = [], 0
        while at < size:
            if form[at] == " ":
                at += 1
                continue
            for length in self.lengths.get(form[at], ()):
                end = at + length
                if end > size or not may_end(end):
                    continue
                if form[at:end] in self.stop_words:
                    break
                found = self._choose(form[at:end], original(at, end))
                if found is not None:
                    ids.append(found)
                    break
            else:
                end = at + 1
                while kinds[at] == "word" and end < size and kinds[end] == "word":
                    end += 1
                if kinds[at] != "other":
                    ids += self._unknown_of(folded, form, at, end, original)
            at = end
        return ids

    def _unknown_of(self, folded, form, at, end, original):
        if self.unknown == "row":
            return [self.unknown_id]
        ids = []
        while self.unknown == "characters" and at < end:
            stop = at + 1  # a character with its marks, without them where it is unknown so
            while stop < end and (folded[stop][1] == folded[at][1] or unicodedata.combining(form[stop])):
                stop += 1
            found = [self._choose(form[at:each], original(at, each)) for each in (stop, at + 1)]
            ids += [i for i in found if i is not None][:1]
            at = stop
        return ids

    # ---- at white space

    def _at_white_space(self, text):
        ids = []
        for piece in (text.lower() if self.lowercase else text).split():
            stripped = piece.strip(string.punctuation)
            for form in (piece, stripped, stripped.lower()):
                if form in self.stop_words:
                    break
                if form in self.ids:
                    ids.append(self.ids[form])
                    break
        return ids

    # ---- by rules

    def stops(self, text):
        if self.cut == "vocabulary":
            return self._folded(lower(text) if self.lowercase else text) in self.stop_words
        return (lower(text) if self.lowercase else text) in self.stop_words

    def find(self, text):
        return self.ids.get(lower(text) if self.lowercase else text)

    def _unknown(self, word):
        if self.unknown == "row":
            return [self.unknown_id]
        found = map(self.find, word) if self.unknown == "characters" else ()
        return [i for i in found if i is not None]

    def _parts(self, word):
        parts = [part for part in re.split(r"['\-\u2019.,]", word)]
        ids = []
        for part in parts:
            found = self.find(part)
            ids += self._unknown(part) if found is None else [found]
        return ids

    def _by_rules(self, text):
        units, ids, at = units_of(text), [], 0
        while at < len(units):
            kind, word = units[at]
            if kind == "space":
                at += 1
                continue
            best, end = self.find(word), at + 1
            if kind == "chinese" or (kind == "word" and end < len(units) and units[end][0] == "chinese"):
                joined, after = word, at + 1
                while after < len(units) and units[after][0] in ("word", "chinese") and len(joined) <= self.longest:
                    joined += units[after][1]
                    after += 1
                    if self.find(joined) is not None or self.stops(joined):
                        best, end = self.find(joined), after
            if self.stops("".join(part for _, part in units[at:end])):
                pass  # left out
            elif best is not None:
                ids.append(best)
            elif kind != "other":
                ids += self._parts(word)
            at = end
        return ids
