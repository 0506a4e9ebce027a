"""Writes and reads GGUF version 3 files.

In: keys with typed values and tensors as numpy arrays in PyTorch's [rows, cols] order. Out: the file, and back.
Format: the GGUF specification (little-endian; dimensions innermost first; tensor data aligned), see docs/model-file.md.
"""
import mmap
import os
import struct
import zlib

import numpy as np

from .errors import ConversionError

MAGIC, VERSION = b"GGUF", 3
CHECKSUM_KEY = "ranklet.checksum.crc32"
MAX_NAME_BYTES = 63  # other engines keep tensor names in 64 bytes, the last of them zero

# Value types: name -> (number in the file, struct format)
SCALARS = {"u8": (0, "<B"), "i8": (1, "<b"), "u16": (2, "<H"), "i16": (3, "<h"), "u32": (4, "<I"), "i32": (5, "<i"),
           "f32": (6, "<f"), "bool": (7, "<?"), "u64": (10, "<Q"), "i64": (11, "<q"), "f64": (12, "<d")}
STRING, ARRAY = 8, 9
SCALAR_BY_NUMBER = {number: (name, code) for name, (number, code) in SCALARS.items()}

# Tensor types: name -> number in the file
TENSOR_TYPES = {"f32": 0, "f16": 1, "i8": 24, "bf16": 30}
ITEM_BYTES = {"f32": 4, "f16": 2, "i8": 1, "bf16": 2}
SCALE_SUFFIX = "_scale"  # an i8 tensor NAME has its scales, one f32 a row, in NAME_scale
Q8_0, Q8_0_BLOCK = 8, 32
BLOCK = 1 << 20  # numbers of a tensor that are converted at once


def bf16_from_f32(array):
    """float32 -> bfloat16's bits as uint16, rounded to nearest even. NaN stays NaN (quiet, sign and payload's top kept)."""
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4")
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype("<u2")
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(is_nan, (bits >> np.uint32(16)).astype("<u2") | np.uint16(0x40), rounded)


def f32_from_bf16(bits):
    """bfloat16's bits as uint16 -> float32, exactly."""
    return (np.ascontiguousarray(bits, dtype="<u2").astype("<u4") << np.uint32(16)).view("<f4")


class Bf16Array:
    """bfloat16 numbers as a file has them, float32 where they are looked at. Slices stay as they are; NumPy's functions see a
    float32 array."""
    dtype = np.dtype("<f4")

    def __init__(self, bits):
        self.bits = bits  # uint16
        self.shape, self.ndim, self.size = bits.shape, bits.ndim, bits.size

    def __len__(self):
        return len(self.bits)

    def __getitem__(self, key):
        return Bf16Array(self.bits[key]) if isinstance(key, slice) else f32_from_bf16(self.bits[key])

    def __array__(self, dtype=None, copy=None):
        single = f32_from_bf16(self.bits)
        return single if dtype is None else single.astype(dtype, copy=False)


def blocks(array):
    """The array's rows in slices of some BLOCK numbers; one without rows as a whole."""
    if array.ndim < 2 or array.size <= BLOCK:
        return iter([array])
    rows = max(1, BLOCK // (array.size // len(array)))
    return (array[first:first + rows] for first in range(0, len(array), rows))


def i8_scales(array):
    """One scale a row: its largest magnitude / 127, so that rounded values lie in [-127, 127]. What is int8 already (-128
    aside) stays as it is, with scales of 1."""
    if array.dtype == np.int8:
        return np.ones(array.shape[:-1], "<f4")
    return np.concatenate(list(map(_i8_scales, blocks(array)))) if array.ndim > 1 else _i8_scales(array)


def _i8_scales(array):
    with np.errstate(over="ignore"):  # encode_tensor says what does not fit
        single = np.ascontiguousarray(array, dtype="<f4")
    return (np.max(np.abs(single), axis=-1) / np.float32(127)).astype("<f4")


def encode_tensor(name, array, dtype):
    """The array as it stands in the file ('<f4', '<f2', 'i1' or bfloat16's bits); a finite value must stay finite."""
    if dtype == "bf16" and isinstance(array, Bf16Array):
        return np.ascontiguousarray(array.bits, dtype="<u2")
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, dtype="<f4")
    if array.dtype == np.float64 and (lost := np.isinf(single) & np.isfinite(array)).any():
        raise ConversionError(f"tensor {name}: {array[lost][0]:g} does not fit into f32")
    if dtype == "f32":
        return single
    if dtype == "i8":
        scales = i8_scales(array)
        return np.rint(single / np.where(scales == 0, 1, scales)[..., None]).clip(-127, 127).astype("i1")
    with np.errstate(over="ignore"):
        stored = single.astype("<f2") if dtype == "f16" else bf16_from_f32(single)
    largest = np.float32(np.max(np.abs(single[np.isfinite(single)]), initial=0))
    with np.errstate(over="ignore"):
        overflow = not np.isfinite(largest.astype(np.float16) if dtype == "f16" else f32_from_bf16(bf16_from_f32(largest)))
    if overflow:
        raise ConversionError(f"tensor {name}: {largest:g} does not fit into {dtype}; use a wider --dtype")
    return stored


def decode_tensor(stored, dtype, scales=None):
    """What encode_tensor made, as float32 (i8: with i8_scales)."""
    if dtype == "i8":
        return stored.astype("<f4") * scales[..., None]
    return f32_from_bf16(stored) if dtype == "bf16" else stored.astype("<f4")


def round_to(array, dtype):
    """float32 values after a round trip through the stored type."""
    return decode_tensor(encode_tensor("", array, dtype), dtype)


def _string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(key, value, kind):
    """Type number and bytes of a value."""
    try:
        if kind == "string":
            return struct.pack("<I", STRING) + _string(value)
        if kind in SCALARS:
            number, code = SCALARS[kind]
            return struct.pack("<I", number) + struct.pack(code, value)
        element = kind[1:-1] if kind.startswith("[") and kind.endswith("]") else None
        if element == "string":
            return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(_string, value))
        if element in SCALARS:
            number, code = SCALARS[element]
            values = np.asarray(value).reshape(-1).tolist()
            return struct.pack("<IIQ", ARRAY, number, len(values)) + struct.pack(f"<{len(values)}{code[1]}", *values)
    except (struct.error, OverflowError, AttributeError, TypeError) as error:
        raise ConversionError(f"key {key}: the value does not fit its type {kind} ({error})") from None
    raise ConversionError(f"key {key}: unknown type {kind}")


class GGUFWriter:
    """Collects keys and tensors, then writes the file in one go. Keys and tensors keep the order they were added in.

    Arrays are kept as given and converted some rows at a time while writing, so memory-mapped ones are never all in memory.
    """

    def __init__(self, path, alignment=32):
        if alignment < 8 or alignment & (alignment - 1):
            raise ConversionError(f"alignment {alignment} is not a power of two of at least 8")
        self.path, self.alignment = os.fspath(path), alignment
        self.values, self.tensors = {}, {}
        if alignment != 32:
            self.add("general.alignment", alignment, "u32")

    def add(self, key, value, kind):
        """kind: u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool string, or one of them in square brackets for an array."""
        if key in self.values or key == CHECKSUM_KEY:
            raise ConversionError(f"key {key} is written twice")
        self.values[key] = _value(key, value, kind)

    def add_tensor(self, name, array, dtype="f32", scales=None):
        """array [rows, cols] (one to four dimensions); dtype: f32, f16, bf16, or i8, which adds the scales' tensor too.
        scales: of an int8 array, stored as it is; None: i8_scales."""
        if name in self.tensors:
            raise ConversionError(f"tensor {name} is written twice")
        if dtype not in TENSOR_TYPES:
            raise ConversionError(f"tensor {name}: unknown type {dtype}")
        if not 1 <= array.ndim <= 4 or array.size == 0:
            raise ConversionError(f"tensor {name}: shape {list(array.shape)}, expected one to four dimensions, none empty")
        if len(name.encode("utf-8")) > MAX_NAME_BYTES:
            raise ConversionError(f"tensor {name}: the name has more than {MAX_NAME_BYTES} bytes")
        self.tensors[name] = (array, dtype)
        if dtype == "i8":
            self.add_tensor(name + SCALE_SUFFIX, i8_scales(array) if scales is None else scales, "f32")

    def _header(self):
        parts = [MAGIC, struct.pack("<IQQ", VERSION, len(self.tensors), len(self.values) + 1)]
        for key, value in self.values.items():
            parts += [_string(key), value]
        parts += [_string(CHECKSUM_KEY), struct.pack("<II", SCALARS["u32"][0], 0)]
        checksum_at = sum(map(len, parts)) - 4
        offset = 0
        for name, (array, dtype) in self.tensors.items():
            parts += [_string(name), struct.pack("<I", array.ndim),
                      struct.pack(f"<{array.ndim}Q", *reversed(array.shape)),
                      struct.pack("<IQ", TENSOR_TYPES[dtype], offset)]
            size = array.size * ITEM_BYTES[dtype]
            offset += size + self._padding(size)
        header = b"".join(parts)
        return header + bytes(self._padding(len(header))), checksum_at

    def _padding(self, size):
        return -size % self.alignment

    def write(self, progress=None):
        """Writes beside the target and renames, so the target is either as before or complete.

        progress(bytes_written, tensor_name) is called after each tensor.
        """
        header, checksum_at = self._header()
        temporary = f"{self.path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "xb") as file:
                file.write(header)
                checksum = 0
                for name, (array, dtype) in self.tensors.items():
                    written = 0
                    for block in blocks(array):
                        data = memoryview(encode_tensor(name, block, dtype)).cast("B")
                        checksum = zlib.crc32(data, checksum)
                        written += file.write(data)
                    padding = bytes(self._padding(written))
                    checksum = zlib.crc32(padding, checksum)
                    file.write(padding)
                    if progress:
                        progress(file.tell(), name)
                file.seek(checksum_at)
                file.write(struct.pack("<I", checksum))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException as error:
            if not isinstance(error, FileExistsError):
                try:
                    os.unlink(temporary)
                except OSError:
                    pass
            if isinstance(error, OSError):
                raise ConversionError(f"{self.path}: cannot be written ({error.strerror or error})") from None
            raise


class _Cursor:
    def __init__(self, data, path):
        self.data, self.path, self.at = data, path, 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise ConversionError(f"{self.path}: ends at byte {len(self.data)}, {size} bytes were expected at {self.at}")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, code):
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def string(self):
        return self.take(self.number("<Q")).decode("utf-8", errors="surrogateescape")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element, count = self.number("<I"), self.number("<Q")
            if element in SCALAR_BY_NUMBER:
                code = SCALAR_BY_NUMBER[element][1]
                return np.frombuffer(self.take(count * struct.calcsize(code)), dtype=np.dtype(code)).tolist()
            return [self.value(element) for _ in range(count)]
        if kind in SCALAR_BY_NUMBER:
            return self.number(SCALAR_BY_NUMBER[kind][1])
        raise ConversionError(f"{self.path}: unknown value type {kind} at byte {self.at}")


def _read_tensor(data, path, name, shape, kind, start):
    count = int(np.prod(shape, dtype=np.uint64))
    by_kind = {0: ("<f4", 4), 1: ("<f2", 2), 24: ("i1", 1), 30: ("<u2", 2)}
    if kind == Q8_0:
        size = count // Q8_0_BLOCK * (Q8_0_BLOCK + 2)
    elif kind in by_kind:
        size = count * by_kind[kind][1]
    else:
        raise ConversionError(f"{path}: tensor {name} has type {kind}, known are F32, F16, BF16, I8 and Q8_0")
    if start + size > len(data):
        raise ConversionError(f"{path}: tensor {name} ends at byte {start + size}, the file at {len(data)}")
    raw = data[start:start + size]
    if kind == Q8_0:
        blocks = np.frombuffer(raw, dtype=[("scale", "<f2"), ("values", "i1", Q8_0_BLOCK)])
        return (blocks["scale"].astype(np.float32)[:, None] * blocks["values"]).reshape(shape)
    array = np.frombuffer(raw, dtype=by_kind[kind][0])
    return (f32_from_bf16(array) if kind == TENSOR_TYPES["bf16"] else array).reshape(shape)


def read_gguf(path):
    """(metadata, tensors): plain values and lists by key; arrays in [rows, cols] order by name, own memory.

    F32 gives float32, F16 float16, BF16 and Q8_0 float32; I8 float32, multiplied with its scales.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ConversionError(f"{path}: the file is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(data, path)


def _read(data, path):
    cursor = _Cursor(data, path)
    if cursor.take(4) != MAGIC:
        raise ConversionError(f"{path}: not a GGUF file (it does not begin with GGUF)")
    version = cursor.number("<I")
    if version != VERSION:
        raise ConversionError(f"{path}: GGUF version {version}, expected {VERSION}")
    tensor_count, value_count = cursor.number("<Q"), cursor.number("<Q")
    metadata = {}
    for _ in range(value_count):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.number("<I"))
    infos = []
    for _ in range(tensor_count):
        name = cursor.string()
        dimensions = [cursor.number("<Q") for _ in range(cursor.number("<I"))]
        infos.append((name, dimensions[::-1], cursor.number("<I"), cursor.number("<Q")))
    alignment = metadata.get("general.alignment", 32)
    start = cursor.at + -cursor.at % alignment
    tensors = {name: _read_tensor(data, path, name, shape, kind, start + offset) for name, shape, kind, offset in infos}
    for name, array in tensors.items():
        if array.dtype == np.int8:
            scales = tensors.get(name + SCALE_SUFFIX)
            if scales is None:
                raise ConversionError(f"{path}: tensor {name}{SCALE_SUFFIX} is missing: the scales of an I8 tensor")
            tensors[name] = decode_tensor(array, "i8", scales)
    return metadata, tensors
