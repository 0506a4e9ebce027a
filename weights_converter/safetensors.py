"""Reads safetensors files with numpy alone.

In: a file. Out: its tensors by name, memory-mapped; bfloat16 is widened to float32 when a tensor is asked for, or (`stored`)
when its numbers are.
Format: u64 length (little-endian), a JSON header of that many bytes, then the tensors' bytes (huggingface/safetensors).
"""
import collections.abc
import json
import math
import os
import struct

import numpy as np

from .errors import ConversionError
from .gguf import Bf16Array

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8",
          "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "BF16": "<u2"}
MAX_HEADER = 100_000_000  # the format's own limit


def _no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name stands twice: " + next(n for n in names if names.count(n) > 1))
    return dict(pairs)


class SafeTensors(collections.abc.Mapping):
    """name -> array in the file's own type (bfloat16 as float32). Arrays are read-only views of the file."""

    def __init__(self, path):
        self.path = os.fspath(path)
        try:
            size = os.path.getsize(path)
            with open(path, "rb") as file:
                head = file.read(8)
                length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
                if len(head) < 8 or length > min(size - 8, MAX_HEADER):
                    self._fail(f"truncated or not a safetensors file ({size} bytes, header of {length})")
                text = file.read(length)
            entries = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        except OSError as error:
            self._fail(f"cannot be read ({error.strerror})")
        except (ValueError, RecursionError) as error:
            if isinstance(error, ConversionError):
                raise
            self._fail(f"the header is broken ({error})")
        if not isinstance(entries, dict):
            self._fail("the header is not a JSON object")
        entries.pop("__metadata__", None)
        self.start = 8 + length
        self.entries = {name: self._entry(name, entry) for name, entry in entries.items()}
        self._check_layout(size - self.start)
        self.data = np.memmap(path, dtype=np.uint8, mode="r") if size else None

    def _fail(self, what):
        raise ConversionError(f"{self.path}: {what}")

    def _entry(self, name, entry):
        """(dtype name, shape, first byte, last byte) of one header entry, checked by itself."""
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            numbers = [*shape, begin, end]
            if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            self._fail(f"tensor {name}: the header needs dtype, shape and data_offsets [begin, end]")
        if dtype in DTYPES and end - begin != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
            self._fail(f"tensor {name}: {dtype} {shape} does not fit data_offsets [{begin}, {end}]")
        return dtype, shape, begin, end

    def _check_layout(self, size):
        at, previous = 0, "the header"
        for name, (_, _, begin, end) in sorted(self.entries.items(), key=lambda item: item[1][2:]):
            if begin != at:
                word = "overlaps" if begin < at else "leaves a gap after"
                self._fail(f"tensor {name} (from byte {begin}) {word} {previous} (to byte {at})")
            at, previous = end, name
        if at > size:
            self._fail(f"truncated: {previous} ends at byte {at}, the data at {size}")
        if at < size:
            self._fail(f"{size - at} bytes are left over after the last tensor, {previous}")

    def __getitem__(self, name):
        return np.asarray(self.stored(name))

    def stored(self, name):
        """The same, bfloat16 as a Bf16Array."""
        dtype, shape, begin, end = self.entries[name]
        if dtype not in DTYPES:
            self._fail(f"tensor {name}: type {dtype} is not supported")
        array = self.data[self.start + begin:self.start + end].view(DTYPES[dtype]).reshape(shape)
        return Bf16Array(array) if dtype == "BF16" else array

    def __contains__(self, name):
        return name in self.entries

    def __iter__(self):
        return iter(self.entries)

    def __len__(self):
        return len(self.entries)
