"""Trains a WordPiece vocabulary and encodes texts with it, as BERT's tokenizer (lower-casing) would.

In: texts. Out: a list of tokens, [PAD] [UNK] [CLS] [SEP] [MASK] first, then characters, then merged pieces; token ids.
Pieces are merged by pair frequency (Sennrich et al. 2016) with WordPiece's "##" for what continues a word, which is
what Hugging Face's WordPieceTrainer does as well. Every Chinese character is a word of its own.
"""
import collections
import json
import string
from types import SimpleNamespace

from weights_converter.wordpiece import WordPiece, normalize, words

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)
SETTINGS = dict(lowercase=True, strip_accents=True, clean_text=True, lower_text=False, handle_chinese_chars=True,
                max_input_chars_per_word=100, unk_id=UNK, cls_id=CLS, sep_id=SEP)


def words_of(text):
    """The words that WordPiece gets to see."""
    return list(words(normalize(text, SimpleNamespace(**SETTINGS))))


def train(texts, size, minimum=2):
    """A vocabulary of at most `size` tokens; a pair is merged while it occurs `minimum` times or more in the texts."""
    counts = collections.Counter(word for text in texts for word in words_of(text))
    spelled = {word: [word[0]] + ["##" + char for char in word[1:]] for word in counts}
    alphabet = {piece for pieces in spelled.values() for piece in pieces}
    ascii_ = string.ascii_lowercase + string.digits
    alphabet |= set(ascii_) | {"##" + char for char in ascii_} | set(string.punctuation)
    tokens = [*SPECIAL, *sorted(alphabet)]
    pairs, places = collections.Counter(), collections.defaultdict(set)
    for word, pieces in spelled.items():
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += counts[word]
            places[pair].add(word)
    while len(tokens) < size and pairs:
        pair, count = max(pairs.items(), key=lambda entry: (entry[1], entry[0]))
        if count < minimum:
            break
        joined = pair[0] + pair[1][2:]
        tokens.append(joined)
        for word in places.pop(pair):
            pieces = spelled[word]
            for old in zip(pieces, pieces[1:]):
                pairs[old] -= counts[word]
                places[old].discard(word)
            merged, i = [], 0
            while i < len(pieces):
                both = tuple(pieces[i:i + 2]) == pair
                merged.append(joined if both else pieces[i])
                i += 2 if both else 1
            spelled[word] = merged
            for new in zip(merged, merged[1:]):
                pairs[new] += counts[word]
                places[new].add(word)
        del pairs[pair]
    return list(dict.fromkeys(tokens))


class Tokenizer:
    """encode(text) -> ids with [CLS] and [SEP]. encode(text, rng) spells some words in smaller pieces, which trains the
    pieces that unseen words are made of (in the manner of Provilkov et al. 2020), and makes a few unknown."""

    def __init__(self, tokens, max_length):
        self.tokens, self.max_length = list(tokens), max_length
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.wordpiece = WordPiece(SimpleNamespace(tokens=self.tokens, outside_vocabulary=(), added=(), **SETTINGS),
                                   max_length)

    def encode(self, text, rng=None, chance=0.1):
        if rng is None:
            return self.wordpiece.encode(text)
        ids = []
        for word in words_of(text):
            if rng.random() < 0.02:
                ids.append(UNK)
                continue
            longest = rng.randint(1, 4) if rng.random() < chance else len(word)
            start = 0
            while start < len(word):
                for end in range(min(len(word), start + longest), start, -1):
                    piece = ("##" if start else "") + word[start:end]
                    if piece in self.ids:
                        break
                else:
                    raise ValueError(f"{word!r} has a character outside the vocabulary")
                ids.append(self.ids[piece])
                start = end
        return [CLS, *ids[:self.max_length - 2], SEP]


def save(folder, tokens, max_length):
    """vocab.txt and tokenizer_config.json, as Hugging Face's BertTokenizer has them."""
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in tokens), encoding="utf-8")
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    config = {**names, "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True,
              "model_max_length": max_length, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
