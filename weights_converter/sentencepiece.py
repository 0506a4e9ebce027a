"""Reads a SentencePiece model, Unigram or BPE, without the library.

In: a .model file, a protobuf message (sentencepiece_model.proto). Out: a SubwordTokenizer (subword.py) that gives SentencePiece's
own ids. What it cannot say is an error that shows it.
"""
import struct

import numpy as np

from .errors import ConversionError
from .subword import FIRST, SubwordTokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
UNIGRAM, BPE = 1, 2
TYPES = {UNIGRAM: "unigram", BPE: "bpe"}
OTHER_TYPES = {3: "word", 4: "char"}


def _fields(data, path):
    """(field number, value) of a protobuf message: integers, bytes of 32-bit fields, views of what has a length."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ConversionError(f"{path}: not a SentencePiece model (its fields end in the middle of a number)")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size = varint()
        if size is None or at + size > len(data):
            raise ConversionError(f"{path}: not a SentencePiece model (field {tag >> 3} of type {kind} at byte {at} goes beyond its end)")
        yield tag >> 3, data[at:at + size]
        at += size


def _message(data, path):
    """The last value of each field, as protobuf has it."""
    return dict(_fields(data, path)) if data is not None else {}


def _pieces(messages, path):
    """[(text, score, type)]"""
    out = []
    for message in messages:
        piece = _message(message, path)
        try:
            text = bytes(piece.get(1, b"")).decode("utf-8")
            score = struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0
        except (UnicodeDecodeError, struct.error, TypeError):
            raise ConversionError(f"{path}: piece {len(out)} is not a text with a score") from None
        out.append((text, score, piece.get(3, NORMAL)))
    return out


def read(path):
    """The tokenizer without special tokens around a text; its control pieces by name are in `control`."""
    with open(path, "rb") as file:
        data = memoryview(file.read())
    messages, trainer, normalizer = [], None, None
    for number, value in _fields(data, path):
        if number == 1:
            messages.append(value)
        elif number == 2:
            trainer = value
        elif number == 3:
            normalizer = value
    pieces = _pieces(messages, path)
    trainer, normalizer = _message(trainer, path), _message(normalizer, path)
    if not pieces:
        raise ConversionError(f"{path}: not a SentencePiece model (it has no pieces)")
    kind = trainer.get(3, UNIGRAM)
    if kind not in TYPES:
        raise ConversionError(f"{path}: the model is of type {OTHER_TYPES.get(kind, kind)}, only unigram and bpe are supported")
    if trainer.get(24):
        raise ConversionError(f"{path}: treat_whitespace_as_suffix is not supported")
    if not normalizer.get(5, 1):
        raise ConversionError(f"{path}: escape_whitespaces false is not supported")
    for of, what in ((USER_DEFINED, "user-defined"), (UNUSED, "unused")):
        found = next((text for text, _, each in pieces if each == of), None)
        if found is not None:
            raise ConversionError(f"{path}: piece {found!r} is {what}, which is not supported; the tokenizer.json that transformers "
                                  "saves beside the model is")
    unknown = [i for i, (_, _, each) in enumerate(pieces) if each == UNKNOWN]
    if len(unknown) != 1:
        raise ConversionError(f"{path}: has {len(unknown)} unknown pieces, expected one")
    tokens = [text for text, _, _ in pieces]
    if len(set(tokens)) != len(tokens):
        raise ConversionError(f"{path}: a piece stands twice")
    flags = [name for name, field in (("dummy_prefix", 3), ("remove_extra_whitespaces", 4)) if normalizer.get(field, 1)]
    scores = np.array([score for _, score, _ in pieces], np.float64)
    if not np.isfinite(scores).all():
        raise ConversionError(f"{path}: a score is not finite")
    tokenizer = SubwordTokenizer(
        model=TYPES[kind], tokens=tokens, added=[], model_tokens=len(tokens), unk_id=unknown[0], charsmap=bytes(normalizer.get(2, b"")) or None,
        normalizers=[["sentencepiece", " ".join(flags)]], byte_fallback=any(each == BYTE for *_, each in pieces), single=[(FIRST, 0)],
        unmatched=[i for i, (_, _, each) in enumerate(pieces) if each != NORMAL])
    if kind == UNIGRAM:
        tokenizer.scores, tokenizer.single_precision = scores, True
    else:
        tokenizer.merges = _merges(pieces)
        tokenizer.fuse_unk = tokenizer.equal_ranks = True
    tokenizer.control = {text: i for i, (text, _, each) in enumerate(pieces) if each == CONTROL}
    return tokenizer


def _merges(pieces):
    """Every cut of a piece into two, those of the best piece first."""
    ids = {text: i for i, (text, _, each) in enumerate(pieces) if each == NORMAL}
    found = [(-pieces[i][1], i, cut, text) for text, i in ids.items() for cut in range(1, len(text))
             if text[:cut] in ids and text[cut:] in ids]
    return [(text[:cut], text[cut:]) for _, _, cut, text in sorted(found)]
