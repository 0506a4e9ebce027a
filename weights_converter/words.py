"""Texts cut into words of a vocabulary, in plain Python: the second opinion on the library's own tokenizer.

In: words and texts. Out: token ids.
How a text is cut: include/ranklet/text/word_tokenizer.hpp says it in words; this is written from those, with a list of
units and Python's own character classes instead of a trie.
"""
import re
import unicodedata

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


class Words:
    """encode(text) -> ids of a word-level vocabulary."""

    def __init__(self, words, lowercase, unknown, unknown_id=None, stop_words=()):
        self.ids = {word: i for i, word in enumerate(words)}
        self.longest = max(map(len, [*words, *stop_words]))
        self.lowercase, self.unknown, self.unknown_id = lowercase, unknown, unknown_id
        self.stop_words = frozenset(stop_words)

    def stops(self, text):
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

    def encode(self, text, max_length=None):
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
        return ids if max_length is None else ids[:max_length]
