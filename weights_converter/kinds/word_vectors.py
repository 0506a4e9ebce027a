"""Word vectors: word2vec, GloVe, model2vec, StaticEmbedding, WordEmbeddings; a text's vector is the mean of its words'.

In: a file, or a folder. Out: the keys and tensors `ranklet.words.*` of docs/model-file.md.
"""
import os
import unicodedata

import numpy as np

from .. import tokenizer as tokenizers
from ..checkpoint import read_lines
from ..errors import ConversionError
from ..numpy_reference import Reference as AnyReference
from ..options import LOWERCASE, MAX_LENGTH, NORMALIZE, ROUTE, TRUNCATE_DIM, Option
from ..selftest import TEXTS, SelfTest
from ..settings import Settings
from ..words import Words, lower
from .word_files import STAND_IN, is_word_vectors, read

UNKNOWN = ("skip", "row", "characters")
POOLINGS = ("mean", "weighted_mean", "sum")
UNKNOWN_WORDS = ("<unk>", "<UNK>", "[UNK]", "unk", "UNK")  # what files call their vector for unknown words
STOP_WORD_LISTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stop_words")

OF = "word vectors"
MODELS = {}
OPTIONS = (
    NORMALIZE, TRUNCATE_DIM, MAX_LENGTH, LOWERCASE, ROUTE,
    Option("--unknown", OF, dict(
        choices=UNKNOWN, help="a word that the vocabulary lacks is left out, is the vector of unknown words, or its characters "
        "(default: skip, StaticEmbedding: row)")),
    Option("--word-pooling", OF, dict(
        choices=POOLINGS, help="what their (weighted) sum is divided by: the number of words, the weights' sum, nothing "
        "(default: mean)")),
    Option("--max-words", OF, dict(
        type=int, metavar="N", help="only the file's first N words, which are the most frequent ones in most files")),
    Option("--drop-bad-rows", OF, dict(
        action="store_true", default=None, help="leave out rows that cannot be used (a word that is cut off, empty or stands before, "
        "numbers that are missing or not finite) and say how many; without it the first is an error")),
    Option("--stop-words", OF, dict(
        metavar="en|zh|en,zh|FILE", help="words left out of every text: the project's English or Chinese list, or a file with a "
        "word a line")),
)


def matches(source):
    return os.path.exists(source.path) and is_word_vectors(source.path, source.route)


def looked_for(source):
    return None  # files are known by their names and beginnings


def refusal(source, option):
    own = " (--word-pooling is theirs)" if option.flag == "--pooling" else ""
    return f"{source.path}: has word vectors, so {option.flag}{own} means nothing"


def write(model, source, options):
    """-> (lines of the summary, SelfTest)"""
    if source.config:
        raise ConversionError(f"{source.path}: has word vectors alone, so --config means nothing")
    table, _, lines = add_word_vectors(model, source, options, source.path, Settings())  # no ranklet.json is read
    texts, ids = selftest_texts(model, table)
    test = SelfTest(Reference, lambda reference: {"vectors": np.stack([reference.vector(each) for each in ids])},
                    rounds=False)  # sums of stored rows
    test.texts(texts, ids)
    return lines, test


# ---- the self-test and its reference


def _tokenize(metadata, tokenizer):
    """text -> ids, as a model file with these keys reads it; tokenizer: the WordPiece one, of files that have it."""
    limit = metadata.get("ranklet.encoder.max_length")
    if metadata["ranklet.words.tokenizer"] not in ("wordpiece", "subword"):
        words = Words(metadata["ranklet.words.tokens"], metadata["ranklet.words.lowercase"], metadata["ranklet.words.unknown"],
                      metadata.get("ranklet.words.unknown_id"), metadata.get("ranklet.words.stop_words", ()),
                      metadata.get("ranklet.words.cut", "rules"))
        return lambda text: words.encode(text, limit)
    pieces = tokenizers.reference(tokenizer)
    dropped = tokenizer.unk_id if metadata["ranklet.words.unknown"] == "skip" else None
    tokens = metadata.get("ranklet.words.max_tokens")
    return lambda text: [i for i in pieces.without_special(text)[:tokens] if i != dropped][:limit]


def _is_settled(char):
    """Whether every version of Unicode says the same of it, so that the library's and Python's do."""
    old = unicodedata.ucd_3_2_0
    return (unicodedata.category(char) == old.category(char) != "Cn" and unicodedata.combining(char) == old.combining(char)
            and char.lower() == char)


def selftest_texts(model, table):
    """(texts, the ids of each): words of the vocabulary too, so that something is found in any language; the empty text."""
    metadata = model.metadata()
    tokens = metadata.get("ranklet.words.tokens", ())
    some = [word for word in tokens[:200] if word.strip() == word][:24]
    hard = [word for word in tokens[:20000] if not word.isalnum() and all(map(_is_settled, word))][:24]
    texts = [*TEXTS, "", *([" ".join(some[:12]), "".join(some[12:])] if some else []), *([" ".join(hard)] if hard else [])]
    return texts, list(map(_tokenize(metadata, table.tokenizer), texts))


class Reference(AnyReference):
    def vector(self, ids):
        """Ids of a text's tokens -> its vector [dim]."""
        tensor, kind = self.source, self.kind
        ids = np.asarray(ids, dtype=np.int64)
        weights = tensor("ranklet.words.token_weight", ids)
        weights = np.ones(len(ids), kind) if weights is None else weights.astype(kind)
        if len(ids) == 0:
            return np.zeros(tensor("ranklet.words.weight", np.zeros(1, np.int64)).shape[1], kind)
        mapping = self.metadata.get("ranklet.words.mapping")
        rows = ids if mapping is None else np.asarray(mapping)[ids]
        vector = weights @ tensor("ranklet.words.weight", rows).astype(kind)
        total = {"mean": kind(len(ids)), "weighted_mean": weights.sum(), "sum": kind(1)}[self.metadata["ranklet.words.pooling"]]
        if total > 0:
            vector = vector / total
        components = tensor("ranklet.words.component")
        for component in () if components is None else components.astype(kind):
            vector = vector - (vector @ component) * component
        if self.metadata["ranklet.words.normalize"]:
            vector = vector / max(np.sqrt(vector @ vector), kind(1e-12))
        return vector


# ---- the model file


def _first(*values):
    """The first that is stated; None where none is."""
    return next((value for value in values if value is not None), None)


def _lowercase(table, stated, note):
    """Whether text is lower-cased before look-up: as stated, else whether no word of the vocabulary has a capital."""
    stated = _first(stated, table.lowercase)
    if stated is not None:
        return stated
    capital = next((word for word in table.words if lower(word) != word), None)
    note("the vocabulary has no capitals: text will be lower-cased (--lowercase no keeps it as it is)" if capital is None else
         f"the vocabulary has capitals ({capital!r}): text is looked up as it is (--lowercase yes lower-cases it)")
    return capital is None


def _say_unreachable(words, note):
    """How many words of the vocabulary no text has, whatever it says."""
    names = list(words.ids)
    lost = [i for i in words.unreachable() if not names[i].startswith(STAND_IN)]
    if lost:
        capitals = sum(lower(names[i]) != names[i] for i in lost) if words.lowercase else 0
        why = f", {capitals} of them because text is lower-cased and they have capitals" if capitals else ""
        note(f"{len(lost)} of the {len(names)} words will be found in no text, {names[lost[0]]!r} for one{why}")


def _truncate(table, given):
    """Keeps the first numbers of each vector: as many as are given, normalised again where the whole vector is; else as the files
    say. Sums of rows that are cut are sums that are cut, so the table is; not where sentence-transformers cuts what it has
    normalised, and does not do so again."""
    size = _first(given, table.truncate)
    if size is None or size >= table.table.shape[1]:
        return
    if table.normalize and table.kind != "model2vec" and given is None:
        raise ConversionError(f"{table.where}: the first {size} numbers of vectors that are normalised before (truncate_dim behind "
                              "Normalize) are not supported for word vectors")
    if size < 1:
        raise ConversionError(f"--truncate-dim {size} is not above 0")
    table.table = table.table[:, :size]


def add_word_vectors(model, source, options, path, settings):
    """The word vectors at `path` into the model, keys and tensors; -> (the table, the vector's size, lines of the summary).

    settings: what ranklet.json states of them."""
    source.stage(f"reading {path}")
    table = read(path, source.note, options.lowercase, options.max_words, bool(options.drop_bad_rows),
                 source.route)
    _truncate(table, options.truncate_dim)
    name = options.name or settings.name or os.path.splitext(os.path.basename(os.path.abspath(path)))[0]
    model.key("general.name", name, "string")
    if table.words is not None:
        unknown_id = next((table.words.index(word) for word in UNKNOWN_WORDS if word in table.words), None)
        unknown = options.unknown or "skip"
        if unknown == "row" and unknown_id is None:
            raise ConversionError(f"{table.where}: --unknown row needs one of the words {', '.join(UNKNOWN_WORDS)}")
        lowercase = _lowercase(table, options.lowercase, source.note)
        stop_words = read_stop_words(options.stop_words, lowercase) if options.stop_words else table.stop_words
        if table.cut == "whitespace" and unknown != "skip":
            raise ConversionError(f"{table.where}: its tokenizer leaves unknown words out, so --unknown {unknown} means nothing")
        for words in (table.words, stop_words or ()):
            tokenizers.check_lengths(words, table.where)
        _say_unreachable(Words(table.words, lowercase, unknown, unknown_id, stop_words or (), table.cut), source.note)
    else:
        unknown = options.unknown or table.unknown
        if unknown == "characters":
            raise ConversionError(f"{table.where}: --unknown characters is for files of whole words")
        if options.stop_words:
            raise ConversionError(f"{table.where}: --stop-words is for files of whole words")
    pooling = options.word_pooling or table.pooling
    normalize = _first(options.normalize, settings.normalize, table.normalize)
    max_length = _first(options.max_length, settings.max_length, table.max_length)
    if max_length is not None and max_length < 1:
        raise ConversionError(f"max_length {max_length} is not above 0")
    weights = table.weights
    if weights is not None and (weights < 0).any():
        raise ConversionError(f"{table.where}: the weight of token {int(np.argmax(weights < 0))} is "
                              f"{weights[np.argmax(weights < 0)]}, expected none below 0")

    model.key("ranklet.encoder.type", "word_vectors", "string")
    model.key("ranklet.words.tokenizer", "cut_words" if table.words is not None else table.pieces, "string")
    model.key("ranklet.words.unknown", unknown, "string")
    model.key("ranklet.words.pooling", pooling, "string")
    model.key("ranklet.words.normalize", normalize, "bool")
    if max_length is not None:
        model.key("ranklet.encoder.max_length", max_length, "u32")
        if table.max_tokens is not None and max_length == table.max_length and unknown == "skip":
            model.key("ranklet.words.max_tokens", table.max_tokens, "u32")
    if table.words is not None:
        model.key("ranklet.words.tokens", table.words, "[string]")
        model.key("ranklet.words.lowercase", lowercase, "bool")
        model.key("ranklet.words.cut", table.cut, "string")
        if stop_words:
            model.key("ranklet.words.stop_words", stop_words, "[string]")
        if unknown == "row":
            model.key("ranklet.words.unknown_id", unknown_id, "u32")
    else:
        tokenizers.add_keys(model, table.tokenizer, source.note)
    if table.mapping is not None:
        model.key("ranklet.words.mapping", table.mapping, "[u32]")
    if table.table.dtype == np.int8 and model.dtype != "i8":
        source.note(f"{table.where}: the vectors have 8 bits; --dtype i8 keeps them so, in a quarter of f32's space")
    model.matrix("ranklet.words.weight", table.table)
    if weights is not None:
        model.exact("ranklet.words.token_weight", weights)
    count, dim = len(table.words or table.tokenizer.tokens), table.table.shape[1]
    lines = [f"  word vectors  {table.kind}, {count:,} {'words' if table.words is not None else f'tokens ({table.model})'}, {dim} wide",
             f"  text          {_casing(table, lowercase if table.words is not None else None)}, unknown words: {unknown}"
             f"{f', {len(stop_words)} stop words left out' if table.words is not None and stop_words else ''}",
             f"  vector        {dim}: {pooling} of {'weighted ' if weights is not None else ''}word vectors"
             f"{', normalize' if normalize else ''}"]
    return table, dim, lines


def read_stop_words(source, lowercase):
    """The words of --stop-words, sorted: 'en', 'zh' or both with a comma between (the project's lists, the same as
    include/ranklet/text/stop_words.hpp), or a file with a word a line. Where text is not lower-cased, a word with its
    first letter a capital counts as well."""
    folder = STOP_WORD_LISTS
    own = [name.strip() for name in source.split(",")]
    paths = [os.path.join(folder, name + ".txt") for name in own] if set(own) <= {"en", "zh"} else [source]
    words = set()
    for path in paths:
        try:
            words.update(filter(None, map(str.strip, read_lines(path))))
        except ConversionError as error:
            raise ConversionError(f"--stop-words {source}: {'' if os.path.exists(path) else 'neither en, zh nor a file: '}{error}"
                                  ) from None
    if not words:
        raise ConversionError(f"--stop-words {source}: there is no word in it")
    return sorted({lower(word) for word in words} if lowercase else words | {word[0].upper() + word[1:] for word in words})


def _casing(table, lowercase):
    lowered = table.tokenizer.lowercase if lowercase is None else lowercase
    return "lower-cased" if lowered else "as written"
