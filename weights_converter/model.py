"""What will be written: keys with their types, tensors with their stored type.

In: values and arrays, in PyTorch's shapes. Out: a model file. Names and meanings: docs/model-file.md.
"""
import numpy as np

from .gguf import ITEM_BYTES, SCALE_SUFFIX, Bf16Array, GGUFWriter, decode_tensor, encode_tensor, i8_scales

FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32, "i8": 1024}  # 1024: GGUF's "see the tensors"
I8_PREFIXES = ("blk.", "token_embd.", "ranklet.words.", "ranklet.gru.")  # what i8 models have in 8 bits; the rest is small and stays f32


class Model:
    def __init__(self, dtype, name):
        """With the keys that every file begins with; a kind may say otherwise with key(), which keeps their place."""
        self.dtype, self.keys, self.tensors = dtype, {}, {}
        self._scales = {}  # of 8-bit tensors that came with them
        self.key("general.architecture", "ranklet", "string")
        self.key("general.name", name, "string")
        self.key("general.file_type", FILE_TYPES[dtype], "u32")
        self.key("general.alignment", 32, "u32")
        self.key("ranklet.version", 1, "u32")

    def key(self, name, value, kind):
        self.keys[name] = (value, kind)

    def matrix(self, name, array):
        """Stored in the model's dtype."""
        exact = self.dtype == "i8" and not name.startswith(I8_PREFIXES)
        self.tensors[name] = (array, "f32" if exact else self.dtype)

    def exact(self, name, array):
        """Stored in f32 whatever the model's dtype is: vectors and small tables that are added to."""
        self.tensors[name] = (array, "f32")

    def quantized(self, name, values, scales):
        """Stored as they are: int8 values [rows, cols] with a scale a row."""
        self.tensors[name] = (values, "i8")
        self._scales[name] = scales

    def metadata(self):
        return {name: value for name, (value, _) in self.keys.items()}

    def tensor(self, name, rows=None):
        """float32 values as a reader of the file will see them (rows: only these), None if there is no such tensor."""
        of_scales = name.endswith(SCALE_SUFFIX)
        stored = name[:-len(SCALE_SUFFIX)] if of_scales else name
        if stored not in self.tensors or of_scales and self.tensors[stored][1] != "i8":
            return None
        array, dtype = self.tensors[stored]
        rows = slice(None) if rows is None else rows
        array = array[rows]
        if dtype != "i8":
            return decode_tensor(encode_tensor(name, array, dtype), dtype)
        scales = self._scales[stored][rows] if stored in self._scales else i8_scales(array)
        return scales if of_scales else decode_tensor(encode_tensor(name, array, dtype), dtype, scales)

    def parameters(self):
        return sum(array.size for array, _ in self.tensors.values())

    def tensor_bytes(self):
        return sum(array.size * ITEM_BYTES[dtype] for array, dtype in self.tensors.values())

    def write(self, path, progress=None):
        writer = GGUFWriter(path)
        for name, (value, kind) in self.keys.items():
            writer.add(name, value, kind)
        for name, (array, dtype) in self.tensors.items():
            writer.add_tensor(name, array if isinstance(array, Bf16Array) else np.asarray(array), dtype, self._scales.get(name))
        writer.write(progress)
