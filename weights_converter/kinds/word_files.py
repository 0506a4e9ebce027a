"""Reads word vectors: word2vec (text, binary), GloVe, model2vec, sentence-transformers' StaticEmbedding and WordEmbeddings.

In: a file, or a folder. Out: a WordTable.
Formats: word2vec's two (a first line "words dim"), GloVe's (no such line), and safetensors with `embedding.weight` or
`embeddings` (and `weights`, `mapping`) beside a tokenizer.json; `emb_layer.weight` beside whitespacetokenizer_config.json.
"""
import array
import codecs
import mmap
import os
import re
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .. import tokenizer as tokenizers
from ..checkpoint import StateDict, is_count, optional_json, read_json
from ..errors import ConversionError
from ..modules import default_prompt, read_modules
from ..sentence import check_prompts, read_pooling, truncate_dim

TABLES = ("embedding.weight", "embeddings")
HEADER = re.compile(rb"[ \t]*(\d+)[ \t]+(\d+)[ \t]*\r?\n")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_DIM = 1 << 16
MAX_WORD_BYTES = tokenizers.MAX_TOKEN_BYTES
LONGEST_ENTRY = 1 << 16  # bytes within which a binary file's word has to end
STAND_IN = "[unused row "  # of a row without a word; no text has it as a piece between white space
SAMPLE = 1 << 16  # bytes of a file that its form is told by
DROP = "--drop-bad-rows"
MODEL2VEC_LENGTH = 512  # tokens of a text that model2vec's encode() reads unless told otherwise


@dataclass
class WordTable:
    """What the file says; `where` names it in messages."""
    where: str
    kind: str  # word2vec text, word2vec binary, GloVe, model2vec, StaticEmbedding, WordEmbeddings
    table: np.ndarray  # [rows, dim] float32, or int8 as the numbers are
    words: Optional[list] = None  # by row; None: the tokens are the tokenizer's
    tokenizer: Optional[tokenizers.Tokenizer] = None
    weights: Optional[np.ndarray] = None  # of each token
    mapping: Optional[np.ndarray] = None  # token -> row
    unknown: str = "skip"
    normalize: bool = False
    max_length: Optional[int] = None
    max_tokens: Optional[int] = None  # like max_length, but unknown tokens that are left out count as well
    cut: str = "vocabulary"  # how texts are cut into words
    lowercase: Optional[bool] = None  # of words, where the files say it
    stop_words: Optional[list] = None
    pooling: str = "mean"
    truncate: Optional[int] = None  # the vector's first numbers that are kept, after normalisation

    @property
    def pieces(self):
        """`ranklet.words.tokenizer` of a table with a tokenizer."""
        return "wordpiece" if isinstance(self.tokenizer, tokenizers.Tokenizer) else "subword"

    @property
    def model(self):
        return "WordPiece" if self.pieces == "wordpiece" else {"unigram": "Unigram", "bpe": "BPE"}[self.tokenizer.model]


def find_table(state):
    """The name of a static embedding's table when the file holds nothing but one; None otherwise."""
    names = set(state.names())
    found = [name for name in TABLES if name in names]
    return found[0] if len(found) == 1 and names <= {found[0], "weights", "mapping"} else None


def is_word_vectors(path, route=None):
    """Whether these are word vectors; looks at names and a file's beginning only. route: as read_modules has it."""
    if os.path.isdir(path):
        return _kinds(path, route)[:1] == ["WordEmbeddings"] or _static_folder(path, route) is not None
    if not os.path.isfile(path) or path.endswith((".json", ".pth", ".pt")):
        return False
    if path.endswith(".safetensors"):
        return find_table(StateDict(path)) is not None
    if path.endswith((".txt", ".vec")):
        return True
    with open(path, "rb") as file:
        start = file.read(SAMPLE)
    start = start[len(BYTE_ORDER_MARK):] if start.startswith(BYTE_ORDER_MARK) else start
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":  # PyTorch's zip and pickle
        return False
    return HEADER.match(start) is not None or _glove_dim(start) is not None


def read(path, note, lowercase=None, max_words=None, drop=False, route=None):
    """The file or folder as a WordTable. drop: rows that cannot be used are left out instead of being an error."""
    if os.path.isdir(path) or path.endswith(".safetensors"):
        for option, value in (("--max-words", max_words), (DROP, drop or None)):
            if value is not None:
                raise ConversionError(f"{path}: {option} is for files of whole words")
        if os.path.isdir(path) and _kinds(path, route)[:1] == ["WordEmbeddings"]:
            return _read_word_embeddings(path, route)
        return _read_static(path, note, lowercase, route)
    return _read_words(path, max_words, drop, note)


# ---- files of words


def _numbers_at_end(line):
    """How many numbers end the line, its first part aside: that is a word, whatever it is."""
    numbers = 0
    for part in reversed(line.split()[1:]):
        if not _is_number(part):
            break
        numbers += 1
    return numbers


def _whole_lines(sample):
    """The sample's lines but for the last, which may be cut; of one line that one."""
    lines = sample.split(b"\n")
    return lines[:-1] if len(lines) > 1 else lines


def _glove_dim(start):
    """Numbers after the word, None if the first line is no such line. Words may hold spaces and numbers ("at 20"), so it is
    what most lines have; of two that are as many the smaller."""
    lines = _whole_lines(start)
    if _numbers_at_end(lines[0]) < 2:
        return None
    counts = [count for count in map(_numbers_at_end, lines[:200]) if count >= 2]
    return max(sorted(set(counts)), key=counts.count)


def _read_words(path, max_words, drop, note):
    if max_words is not None and max_words < 1:
        raise ConversionError(f"{path}: --max-words {max_words} is not above 0")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(SAMPLE)
    if not start:
        raise ConversionError(f"{path}: the file is empty")
    mark = len(BYTE_ORDER_MARK) if start.startswith(BYTE_ORDER_MARK) else 0  # no part of the first word
    start = start[mark:]
    header = HEADER.match(start)
    if header is None:
        dim = _glove_dim(start)
        if dim is None:
            raise ConversionError(f"{path}: unknown kind of weights file: line 1 is neither \"words dim\" nor a word with its "
                                  "numbers")
        rows = _Rows(path, max_words, drop, dim, min(max_words or 1024, 1024))
        _read_text(rows, mark, None, dim, note)
        return WordTable(path, "GloVe", *rows.table(note))
    count, dim = int(header.group(1)), int(header.group(2))
    if not 1 <= dim <= MAX_DIM or count < 1:
        raise ConversionError(f"{path}: the header says {count} words of {dim} numbers, expected both above 0")
    text = _is_text(start[header.end():], dim)
    if count * (2 * dim if text else 4 * dim + 2) > size:
        raise ConversionError(f"{path}: truncated: the header says {count} words of {dim} numbers, the file has {size} bytes")
    rows = _Rows(path, max_words, drop, dim, min(count, max_words or count))
    if text:
        _read_text(rows, mark + header.end(), count, dim, note)
    else:
        _read_binary(rows, mark + header.end(), count, dim)
    return WordTable(path, f"word2vec {'text' if text else 'binary'}", *rows.table(note))


def _is_text(sample, dim):
    """Whether what follows a word2vec header is written in digits: half of its lines end in so many numbers (words may hold
    spaces, and some lines may be broken). Else it is text if nothing but characters are there."""
    lines = _whole_lines(sample)[:200]
    if 2 * sum(_numbers_at_end(line) >= dim for line in lines) >= len(lines):
        return True
    try:
        characters = codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\r\n" for char in characters)


class _Rows:
    """Rows of a file as they are read, each word once. Of those that cannot be used the first is an error, or all are left out
    and counted."""

    def __init__(self, path, limit, drop, dim, room):
        """limit: rows that are wanted, None: all. room: how many there may be; the table grows where there are more."""
        self.path, self.limit, self.drop = path, limit, drop
        self.words, self.places, self.left_out = [], {}, {}
        self.rows = np.empty((room, dim), np.float32)

    def full(self):
        return self.limit is not None and len(self.words) == self.limit

    def bad(self, place, kind, what):
        """kind: the same for all rows with that fault; what: this one's."""
        if not self.drop:
            raise ConversionError(f"{self.path}: {place}: {what} ({DROP} leaves such rows out)")
        count, first = self.left_out.get(kind, (0, f"{place}: {what}"))
        self.left_out[kind] = count + 1, first

    def add(self, data, vector, place):
        """data: the word's bytes."""
        try:
            word = data.decode("utf-8")
        except UnicodeDecodeError as error:
            return self.bad(place, "whose word is not UTF-8", f"the word is not UTF-8 at its byte {error.start}")
        if not word:
            return self.bad(place, "without a word", "the word is empty")
        if len(data) > MAX_WORD_BYTES:
            return self.bad(place, f"whose word is longer than {MAX_WORD_BYTES} bytes",
                            f"the word has {len(data)} bytes, it may have {MAX_WORD_BYTES}")
        if word in self.places:
            return self.bad(place, "whose word stands before", f"the word {word!r} stands twice, first in {self.places[word]}")
        finite = np.isfinite(vector)
        if not finite.all():
            column = int(np.argmin(finite))
            return self.bad(place, "with a number that is not finite",
                            f"the vector of {word!r} has {vector[column]} at {column}, every number must be finite")
        if len(self.words) == len(self.rows):
            self.rows = np.resize(self.rows, (2 * len(self.rows), self.rows.shape[1]))
        self.rows[len(self.words)] = vector
        self.places[word] = place
        self.words.append(word)

    def table(self, note):
        """(table, words)"""
        for kind, (count, first) in self.left_out.items():
            note(f"{self.path}: {count} row{'s' * (count > 1)} left out {kind}, the first: {first}")
        if not self.words:
            raise ConversionError(f"{self.path}: no row can be used")
        return self.rows[:len(self.words)], self.words


def _read_text(rows, offset, count, dim, note):
    """The numbers are a line's last `dim`; what is before them is the word, spaces included."""
    path, read = rows.path, 0
    with open(path, "rb") as file:
        file.seek(offset)
        number = 0 if count is None else 1
        for line in file:
            number += 1
            if rows.full():
                if count is None:
                    return
                read += bool(line.strip())  # the header's number is compared all the same
                continue
            if not line.strip():
                if not rows.drop:
                    raise ConversionError(f"{path}: line {number} is empty")
                rows.bad(f"line {number}", "that are empty", "empty")
                continue
            if read == count:
                raise ConversionError(f"{path}: line {number}: more than the {count} words of the header")
            read += 1
            _add_line(rows, line, dim, f"line {number}")
            if not line.endswith(b"\n"):
                note(f"{path}: line {number}, the last, has no line end: if the file was cut off, its last number may be too")
    if count is not None and read < count:
        raise ConversionError(f"{path}: truncated: {read} words, the header says {count}")
    if count is not None and read > count:
        raise ConversionError(f"{path}: {read} words, more than the {count} of the header")


def _add_line(rows, line, dim, place):
    parts = line.rsplit(None, dim)
    if len(parts) != dim + 1:
        has_word = line[:1] not in (b" ", b"\t")
        if not has_word and len(parts) == dim:
            return rows.bad(place, "without a word", f"{dim} numbers and no word before them")
        found = len(parts) - has_word
        return rows.bad(place, f"with fewer than {dim} numbers",
                        f"{found} numbers{'' if has_word else ' and no word'}, expected a word and {dim}")
    try:
        with np.errstate(over="ignore"):  # rows.add says which number does not fit
            vector = np.array([float(part) for part in parts[1:]], dtype=np.float32)
    except ValueError:
        bad = next(part for part in parts[1:] if not _is_number(part))
        return rows.bad(place, "with what is not a number",
                        f"{bad[:40].decode('utf-8', 'replace')!r} is not a number (expected {dim} after the word)")
    rows.add(parts[0].strip(b" \t"), vector, place)


def _is_number(part):
    try:
        float(part)
        return True
    except ValueError:
        return False


def _read_binary(rows, offset, count, dim):
    """Of each entry the word, a space, dim float32 (little-endian), and in most files a line end. Words may hold any other byte,
    zero and line ends among them."""
    path, begins, ends = rows.path, array.array("q"), array.array("q")  # of each entry: where it begins, where its word ends
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = offset
        for n in range(count):
            place = f"word {n} (byte {at})"
            end = data.find(b" ", at, at + LONGEST_ENTRY)
            if end < 0:
                what = "truncated" if at + LONGEST_ENTRY > len(data) else f"no word within {LONGEST_ENTRY} bytes"
                raise ConversionError(f"{path}: {what}: {place} of {count}")
            begins.append(at)
            ends.append(end)
            at = end + 1 + 4 * dim
            if at > len(data):
                raise ConversionError(f"{path}: truncated: the vector of {place} of {count} ends at byte {at}, the file at "
                                      f"{len(data)}")
        rest = data[at:].strip(b"\r\n")
        if rest:
            raise ConversionError(f"{path}: {len(rest)} bytes are left over after the {count} words of the header")
        # A line end before a word closes the entry before it where most have one; elsewhere it is the word's own.
        closed = 2 * sum(data[begin] == 10 for begin in begins[1:]) > count - 1
        for n, (begin, end) in enumerate(zip(begins, ends)):
            if rows.full():
                break
            skipped = closed and n > 0 and data[begin] == 10
            vector = np.frombuffer(data[end + 1:end + 1 + 4 * dim], "<f4")
            rows.add(data[begin + skipped:end], vector, f"word {n} (byte {begin})")


# ---- static embeddings


def _is_model2vec(path):
    """Whether a folder is model2vec's: its config.json says so, or names no other kind and stands beside a table with
    model2vec's name (that of a StaticModel made by hand or learned by tokenlearn names none)."""
    config = optional_json(path, "config.json")
    if config is None or "model_type" in config:
        return config is not None and config["model_type"] == "model2vec"
    weights = os.path.join(path, "model.safetensors")
    return os.path.isfile(weights) and find_table(StateDict(weights)) == "embeddings"


def _static_folder(path, route=None):
    """(folder of table and tokenizer, 'model2vec' or 'StaticEmbedding', whether Normalize follows); None: no such model."""
    if _is_model2vec(path):
        return path, "model2vec", None
    modules = read_modules(path, route)
    if not modules or modules[0].kind != "StaticEmbedding":
        return None
    rest = [module.kind for module in modules[1:] if module.kind != "Dropout"]
    if rest not in ([], ["Normalize"]):
        raise ConversionError(f"{path}/modules.json: after StaticEmbedding comes {', '.join(rest)}; only Normalize is supported")
    return modules[0].folder, "StaticEmbedding", bool(rest)


def _read_static(path, note, lowercase, route):
    found = _static_folder(path, route) if os.path.isdir(path) else None
    if os.path.isdir(path):
        folder, kind, normalize = found
        names = [name for name in ("model.safetensors", "pytorch_model.bin") if os.path.isfile(os.path.join(folder, name))]
        if not names:
            raise ConversionError(f"{folder}: no weights; looked for model.safetensors and pytorch_model.bin")
        state = StateDict(os.path.join(folder, names[0]))
    else:  # a file alone: its folder says what it is
        state, folder = StateDict(path), os.path.dirname(path) or "."
        _, kind, normalize = _static_folder(folder) or (folder, "StaticEmbedding", False)
    name = find_table(state)
    if name is None:
        raise ConversionError(f"{state.path}: expected {' or '.join(TABLES)}, and weights and mapping at most; it has "
                              f"{', '.join(state.names()[:5])}")
    table = _take_table(state, name)
    settings = _sentence_settings(path if os.path.isdir(path) else folder, route)
    if kind == "model2vec":
        config = read_json(os.path.join(folder, "config.json"))
        normalize = config.get("normalize", False)
        if not isinstance(normalize, bool):
            raise ConversionError(f"{folder}/config.json: normalize is {normalize!r}, expected true or false")
    path = os.path.join(folder, "tokenizer.json")
    if not os.path.isfile(path):
        raise ConversionError(f"{folder}: no tokenizer.json")
    tokenizer = tokenizers.read_tokenizer(folder, lowercase, note, special_tokens=False)
    count = len(tokenizer.tokens)
    mapping = None
    if "mapping" in state:
        mapping = np.asarray(state.array("mapping"))
        state.ignore("mapping")
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or len(mapping) < count:
            raise ConversionError(f"{state.path}: tensor mapping has shape {list(mapping.shape)} and type {mapping.dtype}, "
                                  f"expected a row for each of {count} tokens")
        if mapping.min() < 0 or mapping.max() >= len(table):
            bad = mapping.min() if mapping.min() < 0 else mapping.max()
            raise ConversionError(f"{state.path}: tensor mapping names row {bad} of {len(table)}")
        tokenizers.fit_to_rows(tokenizer, len(mapping), f"{state.path}: mapping")
    else:
        tokenizers.fit_to_rows(tokenizer, len(table), f"{state.path}: {name}")
    weights = None
    if "weights" in state:
        weights = state.take("weights", [None])
        if len(weights) != len(tokenizer.tokens):
            raise ConversionError(f"{state.path}: tensor weights has {len(weights)} entries for {len(tokenizer.tokens)} tokens")
    stated = read_json(path).get("truncation")
    truncation = stated.get("max_length") if isinstance(stated, dict) else None
    if truncation is not None and not is_count(truncation):
        raise ConversionError(f"{path}: truncation.max_length is {truncation!r}, expected a positive number")
    if kind == "StaticEmbedding":
        return WordTable(state.path, kind, table, None, tokenizer, weights, mapping, "row", bool(normalize), truncation,
                         truncate=settings)
    # model2vec 0.10 writes its limit into config.json (null: none) and gives it to the tokenizer, whose own it replaces; that counts
    # unknown tokens too. Folders of before have no limit there: 512 is assumed, and a shorter one of their tokenizer obeyed.
    length = config["max_length"] if "max_length" in config else min(truncation or MODEL2VEC_LENGTH, MODEL2VEC_LENGTH)
    if length is not None and not is_count(length):
        raise ConversionError(f"{folder}/config.json: max_length is {length!r}, expected a positive number or null")
    if "max_length" not in config and (truncation or MODEL2VEC_LENGTH) < MODEL2VEC_LENGTH:
        note(f"{path}: texts are cut after {truncation} tokens, as model2vec before 0.10 does; since then it reads "
             f"{MODEL2VEC_LENGTH} (--max-length)")
    return WordTable(state.path, kind, table, None, tokenizer, weights, mapping, "skip", normalize, length, length)


def _take_table(state, name):
    """[rows, dim]. model2vec's 8-bit tables have no scale: the numbers themselves are what it adds up."""
    stored = state.array(name)
    if stored.dtype != np.int8:
        return state.take(name, [None, None])
    if stored.ndim != 2 or stored.size == 0:
        raise ConversionError(f"{state.path}: tensor {name} has shape {list(stored.shape)}, expected [any, any]")
    state.ignore(name)
    return stored if stored.min() > -128 else stored.astype(np.float32)


def _sentence_settings(folder, route):
    """How many numbers of a vector are kept, None: all. A prompt would be put before every text, which nothing here does."""
    path = os.path.join(folder, "config_sentence_transformers.json")
    config = optional_json(folder, "config_sentence_transformers.json") or {}
    prompts, name = check_prompts(config.get("prompts"), config.get("default_prompt_name"), path)
    name, prompt = default_prompt(route, prompts, name)
    if prompt:
        raise ConversionError(f"{path}: {'default_prompt_name is' if route is None else 'has the prompt'} {name!r}; prompts are not "
                              "supported for word vectors")
    return truncate_dim(config, path)


# ---- sentence-transformers' WordEmbeddings


def _kinds(path, route=None):
    """The classes of the modules; none without modules.json."""
    return [module.kind for module in read_modules(path, route) or ()]


def _module_weights(folder):
    names = [name for name in ("model.safetensors", "pytorch_model.bin") if os.path.isfile(os.path.join(folder, name))]
    if not names:
        raise ConversionError(f"{folder}: no weights; looked for model.safetensors and pytorch_model.bin")
    return StateDict(os.path.join(folder, names[0]))


def _strings(config, name, path):
    value = config.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConversionError(f"{path}: {name} is {value!r:.40}, expected a list of words")
    return value


def _read_word_embeddings(path, route):
    """WordEmbeddings with a WhitespaceTokenizer, then WordWeights or not, Pooling (mean), Normalize or not."""
    kinds = [kind for kind in _kinds(path, route) if kind != "Dropout"]
    weighted, normalized = "WordWeights" in kinds, kinds[-1:] == ["Normalize"]
    if kinds != ["WordEmbeddings"] + ["WordWeights"] * weighted + ["Pooling"] + ["Normalize"] * normalized:
        raise ConversionError(f"{path}/modules.json: after WordEmbeddings comes {', '.join(kinds[1:]) or 'nothing'}; expected Pooling, "
                              "with WordWeights before it and Normalize behind it at most")
    folders = {module.kind: module.folder for module in read_modules(path, route)}
    truncate = _sentence_settings(path, route)
    folder = folders["WordEmbeddings"]
    config = read_json(os.path.join(folder, "wordembedding_config.json"))
    kind = str(config.get("tokenizer_class", "")).rsplit(".", 1)[-1]
    if kind != "WhitespaceTokenizer":
        raise ConversionError(f"{folder}/wordembedding_config.json: tokenizer_class is {kind}, only WhitespaceTokenizer is supported")
    length = config.get("max_seq_length")
    if length is not None and not is_count(length):
        raise ConversionError(f"{folder}/wordembedding_config.json: max_seq_length is {length!r}, expected a positive number")
    pooling = os.path.join(folders["Pooling"], "config.json")
    names, _ = read_pooling(pooling)
    if names != ["mean"]:
        raise ConversionError(f"{pooling}: pooling is {', '.join(names)}, only mean is supported over word embeddings")
    file = os.path.join(folder, "whitespacetokenizer_config.json")
    config = read_json(file)
    vocabulary, stop_words = _strings(config, "vocab", file), _strings(config, "stop_words", file)
    lowercase = config.get("do_lower_case", False)
    if not isinstance(lowercase, bool):
        raise ConversionError(f"{file}: do_lower_case is {lowercase!r}, expected true or false")
    state = _module_weights(folder)
    table = state.take("emb_layer.weight", [None, None])
    if len(table) < len(vocabulary):
        raise ConversionError(f"{state.path}: {len(table)} rows, but the vocabulary has {len(vocabulary)} words")
    rows = {word: row for row, word in enumerate(vocabulary)}  # of a word that stands twice the later row counts
    rows.pop("", None)
    words = [word if rows.get(word) == row else f"{STAND_IN}{row}]" for row, word in enumerate(vocabulary)]
    words += [f"{STAND_IN}{row}]" for row in range(len(vocabulary), len(table))]
    weights = None
    if weighted:
        state = _module_weights(folders["WordWeights"])
        weights = state.take("emb_layer.weight", [len(vocabulary), 1])[:, 0]
        weights = np.concatenate([weights, np.ones(len(words) - len(vocabulary), np.float32)])
    return WordTable(state.path, "WordEmbeddings", table, words, weights=weights, normalize=normalized, max_length=length,
                     cut="whitespace", lowercase=lowercase, stop_words=sorted({*stop_words} - {""}),
                     pooling="weighted_mean" if weighted else "mean", truncate=truncate)
