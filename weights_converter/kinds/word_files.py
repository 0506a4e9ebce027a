"""Reads word vectors: word2vec (text, binary), GloVe, model2vec and sentence-transformers' StaticEmbedding.

In: a file, or a folder. Out: a WordTable.
Formats: word2vec's two (a first line "words dim"), GloVe's (no such line), and safetensors with `embedding.weight` or
`embeddings` (and `weights`, `mapping`) beside a tokenizer.json.
"""
import mmap
import os
import re
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .. import tokenizer as tokenizers
from ..checkpoint import StateDict, is_count, optional_json, read_json
from ..errors import ConversionError

TABLES = ("embedding.weight", "embeddings")
HEADER = re.compile(rb"[ \t]*(\d+)[ \t]+(\d+)[ \t]*\r?\n")
MAX_DIM = 1 << 16
MAX_WORD_BYTES = 4096
MODEL2VEC_LENGTH = 512  # tokens of a text that model2vec's encode() reads unless told otherwise


@dataclass
class WordTable:
    """What the file says; `where` names it in messages."""
    where: str
    kind: str  # word2vec text, word2vec binary, GloVe, model2vec, StaticEmbedding
    table: np.ndarray  # [rows, dim] float32
    words: Optional[list] = None  # by row; None: the tokens are the tokenizer's
    tokenizer: Optional[tokenizers.Tokenizer] = None
    weights: Optional[np.ndarray] = None  # of each token
    mapping: Optional[np.ndarray] = None  # token -> row
    unknown: str = "skip"
    normalize: bool = False
    max_length: Optional[int] = None


def find_table(state):
    """The name of a static embedding's table when the file holds nothing but one; None otherwise."""
    names = set(state.names())
    found = [name for name in TABLES if name in names]
    return found[0] if len(found) == 1 and names <= {found[0], "weights", "mapping"} else None


def is_word_vectors(path):
    """Whether these are word vectors; looks at names and a file's beginning only."""
    if os.path.isdir(path):
        return _static_folder(path) is not None
    if not os.path.isfile(path) or path.endswith((".json", ".pth", ".pt")):
        return False
    if path.endswith(".safetensors"):
        return find_table(StateDict(path)) is not None
    if path.endswith((".txt", ".vec")):
        return True
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":  # PyTorch's zip and pickle
        return False
    return HEADER.match(start) is not None or _glove_dim(start) is not None


def read(path, note, lowercase=None, max_words=None):
    """The file or folder as a WordTable."""
    if os.path.isdir(path) or path.endswith(".safetensors"):
        if max_words is not None:
            raise ConversionError(f"{path}: --max-words is for files of whole words")
        return _read_static(path, note, lowercase)
    return _read_words(path, max_words, note)


# ---- files of words


def _glove_dim(start):
    """Numbers after the word in the first line, None if it is no such line."""
    line = start.split(b"\n", 1)[0].rstrip(b"\r")
    parts = line.split()
    numbers = 0
    for part in reversed(parts[1:]):
        try:
            float(part)
        except ValueError:
            break
        numbers += 1
    return numbers if numbers >= 2 else None


def _read_words(path, max_words, note):
    if max_words is not None and max_words < 1:
        raise ConversionError(f"{path}: --max-words {max_words} is not above 0")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    if not start:
        raise ConversionError(f"{path}: the file is empty")
    if start.startswith(b"\xef\xbb\xbf"):
        raise ConversionError(f"{path}: begins with a byte order mark, which would be part of the first word; take it off")
    header = HEADER.match(start)
    if header is None:
        dim = _glove_dim(start)
        if dim is None:
            raise ConversionError(f"{path}: unknown kind of weights file: line 1 is neither \"words dim\" nor a word with its "
                                  "numbers")
        return WordTable(path, "GloVe", *_read_text(path, 0, None, dim, max_words, note))
    count, dim = int(header.group(1)), int(header.group(2))
    if not 1 <= dim <= MAX_DIM or count < 1:
        raise ConversionError(f"{path}: the header says {count} words of {dim} numbers, expected both above 0")
    rest = start[header.end():]
    if _is_text(rest, dim):
        if count * 2 * dim > size:
            raise ConversionError(f"{path}: truncated: the header says {count} words of {dim} numbers, the file has {size} "
                                  "bytes")
        return WordTable(path, "word2vec text", *_read_text(path, header.end(), count, dim, max_words, note))
    if count * (4 * dim + 2) > size:
        raise ConversionError(f"{path}: truncated: the header says {count} words of {dim} numbers, the file has {size} bytes")
    return WordTable(path, "word2vec binary", *_read_binary(path, header.end(), count, dim, max_words))


def _is_text(rest, dim):
    """Whether the first entry after a word2vec header is written in digits. (A binary one has bytes that no number has.)"""
    line = rest.split(b"\n", 1)[0]
    numbers = line.split()[1:]
    return bool(numbers) and all(re.fullmatch(rb"[-+0-9.eEinfatyINFATY]+", part) for part in numbers[:dim])


class _Words:
    """Words by row, each once."""

    def __init__(self, path):
        self.path, self.words, self.places = path, [], {}

    def add(self, data, place):
        try:
            word = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConversionError(f"{self.path}: {place}: the word is not UTF-8 at its byte {error.start}") from None
        if not word:
            raise ConversionError(f"{self.path}: {place}: the word is empty")
        if word in self.places:
            raise ConversionError(f"{self.path}: {place}: the word {word!r} stands twice, first in {self.places[word]}")
        self.places[word] = place
        self.words.append(word)


def _check_finite(path, table, words):
    finite = np.isfinite(table).all(1)
    if not finite.all():
        row = int(np.argmin(finite))
        column = int(np.argmin(np.isfinite(table[row])))
        raise ConversionError(f"{path}: the vector of {words[row]!r} has {table[row, column]} at {column}, every number must "
                              "be finite")


def _read_text(path, offset, count, dim, max_words, note):
    """(table, words). The numbers are a line's last `dim`; what is before them is the word, spaces included (GloVe)."""
    words, rows = _Words(path), []
    with open(path, "rb") as file:
        file.seek(offset)
        number = 1 if offset else 0
        for line in file:
            number += 1
            if max_words is not None and len(rows) == max_words:
                break
            if not line.strip():
                raise ConversionError(f"{path}: line {number} is empty")
            parts = line.rsplit(None, dim)
            if len(parts) != dim + 1:
                raise ConversionError(f"{path}: line {number}: {len(parts) - 1} numbers, expected a word and {dim}")
            try:
                row = np.array([float(part) for part in parts[1:]], dtype=np.float32)
            except ValueError:
                bad = next(part for part in parts[1:] if not _is_number(part))
                raise ConversionError(f"{path}: line {number}: {bad[:40]!r} is not a number (expected {dim} after the word)"
                                      ) from None
            if count is not None and len(rows) == count:
                raise ConversionError(f"{path}: line {number}: more than the {count} words of the header")
            words.add(parts[0].strip(b" \t"), f"line {number}")
            rows.append(row)
            if not line.endswith(b"\n"):
                note(f"{path}: line {number}, the last, has no line end: if the file was cut off, its last number may be too")
    if count is not None and len(rows) < min(count, max_words or count):
        raise ConversionError(f"{path}: truncated: {len(rows)} words, the header says {count}")
    table = np.stack(rows)
    _check_finite(path, table, words.words)
    return table, words.words


def _is_number(part):
    try:
        float(part)
        return True
    except ValueError:
        return False


def _read_binary(path, offset, count, dim, max_words):
    """(table, words): of each entry the word, a space, dim float32 (little-endian), and in most files a line end."""
    words, kept = _Words(path), min(count, max_words or count)
    table = np.empty((kept, dim), np.float32)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = offset
        for n in range(kept):
            place = f"word {n} (byte {at})"
            while data[at:at + 1] == b"\n":
                at += 1
            end = data.find(b" ", at, at + MAX_WORD_BYTES)
            if end < 0:
                what = "truncated" if at + MAX_WORD_BYTES > len(data) else f"no word within {MAX_WORD_BYTES} bytes"
                raise ConversionError(f"{path}: {what}: {place} of {count}")
            if end + 1 + 4 * dim > len(data):
                raise ConversionError(f"{path}: truncated: the vector of {place} of {count} ends at byte {end + 1 + 4 * dim}, "
                                      f"the file at {len(data)}")
            words.add(data[at:end], place)
            table[n] = np.frombuffer(data[end + 1:end + 1 + 4 * dim], "<f4")
            at = end + 1 + 4 * dim
        rest = data[at:].strip(b"\r\n") if kept == count else b""
    if rest:
        raise ConversionError(f"{path}: {len(rest)} bytes are left over after the {count} words of the header")
    _check_finite(path, table, words.words)
    return table, words.words


# ---- static embeddings


def _static_folder(path):
    """(folder of table and tokenizer, 'model2vec' or 'StaticEmbedding', whether Normalize follows); None: no such model."""
    modules = os.path.join(path, "modules.json")
    config = optional_json(path, "config.json")
    if config is not None and config.get("model_type") == "model2vec":
        return path, "model2vec", None
    if os.path.exists(modules):
        entries = read_json(modules, list)
        first = entries[0] if entries else None
        if not isinstance(first, dict) or str(first.get("type", "")).rsplit(".", 1)[-1] != "StaticEmbedding":
            return None
        inside = first.get("path") or ""
        if not isinstance(inside, str) or os.path.isabs(inside) or ".." in inside.split("/"):
            raise ConversionError(f"{modules}: module 0 has the path {inside!r}, expected a folder inside")
        rest = [str(each.get("type", "")).rsplit(".", 1)[-1] if isinstance(each, dict) else str(each) for each in entries[1:]]
        if rest not in ([], ["Normalize"]):
            raise ConversionError(f"{modules}: after StaticEmbedding comes {', '.join(rest)}; only Normalize is supported")
        return os.path.join(path, inside) if inside else path, "StaticEmbedding", bool(rest)
    return None


def _read_static(path, note, lowercase):
    found = _static_folder(path) if os.path.isdir(path) else None
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
    table = state.take(name, [None, None])
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
    if kind == "model2vec":
        return WordTable(state.path, kind, table, None, tokenizer, weights, mapping, "skip", normalize, MODEL2VEC_LENGTH)
    truncation = read_json(path).get("truncation")
    length = truncation.get("max_length") if isinstance(truncation, dict) else None
    if length is not None and not is_count(length):
        raise ConversionError(f"{path}: truncation.max_length is {length!r}, expected a positive number")
    return WordTable(state.path, kind, table, None, tokenizer, weights, mapping, "row", bool(normalize), length)
