"""What will be written: keys with their types, tensors with their stored type.

In: values and arrays, in PyTorch's shapes. Out: a model file. Names and meanings: ARCHITECTURE.md.
"""
import numpy as np

from .gguf import GGUFWriter, decode_tensor, encode_tensor

FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}


class Model:
    def __init__(self, dtype):
        self.dtype, self.keys, self.tensors = dtype, {}, {}

    def key(self, name, value, kind):
        self.keys[name] = (value, kind)

    def matrix(self, name, array):
        """Stored in the model's dtype."""
        self.tensors[name] = (array, self.dtype)

    def exact(self, name, array):
        """Stored in f32 whatever the model's dtype is: vectors and small tables that are added to."""
        self.tensors[name] = (array, "f32")

    def metadata(self):
        return {name: value for name, (value, _) in self.keys.items()}

    def tensor(self, name, rows=None):
        """float32 values as a reader of the file will see them (rows: only these), None if there is no such tensor."""
        if name not in self.tensors:
            return None
        array, dtype = self.tensors[name]
        array = array if rows is None else array[rows]
        return decode_tensor(encode_tensor(name, array, dtype), dtype)

    def parameters(self):
        return sum(array.size for array, _ in self.tensors.values())

    def tensor_bytes(self):
        return sum(array.size * (4 if dtype == "f32" else 2) for array, dtype in self.tensors.values())

    def write(self, path, progress=None):
        writer = GGUFWriter(path)
        for name, (value, kind) in self.keys.items():
            writer.add(name, value, kind)
        for name, (array, dtype) in self.tensors.items():
            writer.add_tensor(name, np.asarray(array), dtype)
        writer.write(progress)
