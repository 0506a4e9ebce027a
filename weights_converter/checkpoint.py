"""Finds and reads what a checkpoint folder holds.

In: a folder, or a weights file with the folder of its configuration. Out: JSON files as dicts, weights as a StateDict.
Layouts: Hugging Face's (config.json with model.safetensors, its shards, or pytorch_model.bin) and a PyTorch state_dict
(model.pth).
"""
import collections
import json
import os
import pickle
import re

import numpy as np

from .errors import ConversionError
from .gguf import Bf16Array, blocks
from .safetensors import SafeTensors

WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
                "model.pth")
TORCH_SUFFIXES = (".bin", ".pth", ".pt")
NESTED = ("state_dict", "model_state_dict", "model")  # where training loops put a state_dict inside their own dict


def read_text(path, newline=None):
    """The file's text without a byte order mark; newline as open() has it: every kind of line end becomes one newline."""
    try:
        with open(path, encoding="utf-8-sig", newline=newline) as file:
            return file.read()
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConversionError(f"{path}: not UTF-8 at byte {error.start}") from None


def read_lines(path, fields=1):
    """A list with an entry a line, as all of them are read: a byte order mark is no part of the first, blanks (spaces, tabs,
    the carriage return of a line end) around an entry are no part of it, a zero byte is an error. Lines end in a newline;
    the last may do without. fields: of how many, parted by tabs, an entry may be made up; each line is as many then."""
    lines = read_text(path, newline="").split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise ConversionError(f"{path}, line {number}: has a zero byte")
    if fields == 1:
        return [line.strip(" \t\r") for line in lines]
    parted = [[field.strip(" \t\r") for field in line.split("\t", fields - 1)] for line in lines]
    return [each + [""] * (fields - len(each)) for each in parted]


def read_json(path, kind=dict):
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(f"{path}: broken JSON ({error})") from None
    except RecursionError:
        raise ConversionError(f"{path}: broken JSON (nested too deeply)") from None
    if not isinstance(value, kind):
        raise ConversionError(f"{path}: expected a JSON {'object' if kind is dict else 'array'}")
    return value


def optional_json(folder, name, kind=dict):
    """The file's content, None if there is no such file."""
    path = os.path.join(folder, name)
    return read_json(path, kind) if os.path.exists(path) else None


def is_count(value, least=1):
    """Whether a JSON value is a whole number of at least this much."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


A_PROGRAM = "holds a TorchScript program, not tensors alone, and is not loaded"
SAVE_TENSORS = ("save the tensors alone, with torch.save(model.state_dict(), PATH) or "
                "safetensors.torch.save_file(model.state_dict(), PATH)")


def _read_torch(path):
    try:
        import torch
    except ImportError:
        raise ConversionError(f"{path}: reading it needs PyTorch (pip install torch); safetensors files need numpy alone"
                              ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except TypeError:
        raise ConversionError(f"{path}: PyTorch {torch.__version__} has no torch.load(weights_only=True); 1.13 has"
                              ) from None
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise ConversionError(f"{path}: {_torch_reason(error)}; {SAVE_TENSORS}") from None
    if isinstance(state, torch.jit.ScriptModule):  # 1.13 loads it
        raise ConversionError(f"{path}: {A_PROGRAM}; {SAVE_TENSORS}")
    for key in NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise ConversionError(f"{path}: holds a {type(state).__name__}, expected a state_dict")
    arrays = {}
    for name, tensor in state.items():
        if isinstance(tensor, torch.Tensor):
            if tensor.layout != torch.strided or tensor.is_quantized:
                raise ConversionError(f"{path}: tensor {name} is {'quantized' if tensor.is_quantized else 'sparse'}, expected a dense one")
            tensor = tensor.detach().contiguous()
            if tensor.dtype == torch.bfloat16:
                arrays[str(name)] = Bf16Array(tensor.view(torch.int16).numpy().view(np.uint16))
            else:
                arrays[str(name)] = tensor.numpy()
    return arrays


def _torch_reason(error):
    """What is wrong with a file that PyTorch refuses, in words of ours: PyTorch's advise to load it in a way that runs
    whatever code the file holds."""
    if "TorchScript" in str(error):
        return A_PROGRAM
    refused = re.search(r"(?:GLOBAL|global|class) ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and refused:
        return f"holds other things than tensors ({refused[1]}), which could be code, and is not loaded"
    if isinstance(error, RuntimeError) and "weights_only" not in str(error):  # of the archive that the tensors lie in
        return f"not a file of tensors that torch.save wrote whole ({str(error).strip().split('. ')[0]})"
    return "not a file of tensors that torch.save wrote whole"


def _read_shards(path):
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConversionError(f"{path}: expected an object weight_map (tensor name to file)")
    folder, shards, arrays = os.path.dirname(path), {}, {}
    for name, file in weight_map.items():
        if not isinstance(file, str) or os.path.basename(file) != file or file in ("", ".", ".."):
            raise ConversionError(f"{path}: tensor {name} points to {file!r}, expected a file name beside the index")
        if file not in shards:
            shards[file] = read_tensors(os.path.join(folder, file))
        if name not in shards[file]:
            raise ConversionError(f"{path}: {file} has no tensor {name}")
        arrays[name] = _Shard(shards[file], name)
    return arrays


# Opens a shard's tensor only when it is used.
_Shard = collections.namedtuple("_Shard", "mapping name")


def read_tensors(path):
    """name -> array of one weights file or index."""
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise ConversionError(f"{path}: no such file")
    if path.endswith(".index.json"):
        return _read_shards(path)
    if path.endswith(".safetensors"):
        return SafeTensors(path)
    if path.endswith(TORCH_SUFFIXES):
        return _read_torch(path)
    raise ConversionError(f"{path}: unknown kind of weights file, expected .safetensors, {', '.join(TORCH_SUFFIXES)}")


def find_weights(folder):
    """Path of the folder's weights; the first kind that is there, in the order of WEIGHT_FILES."""
    for name in WEIGHT_FILES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    others = [n for n in ("tf_model.h5", "flax_model.msgpack", "model.onnx") if os.path.exists(os.path.join(folder, n))]
    seen = f"; {', '.join(others)} cannot be read" if others else ""
    raise ConversionError(f"{folder}: no weights; looked for {', '.join(WEIGHT_FILES)}{seen}")


class StateDict:
    """Weights by name. take() checks a tensor and remembers that it was used, so that the rest can be named."""

    def __init__(self, path):
        self.path, self.arrays, self.used = path, read_tensors(path), set()
        self.changed = {}  # of a name, what makes another array of the stored one
        if not len(self.arrays):
            raise ConversionError(f"{path}: holds no tensors")

    def __contains__(self, name):
        return name in self.arrays

    def names(self):
        return list(self.arrays)

    def unused(self):
        return [name for name in self.arrays if name not in self.used]

    def ignore(self, name):
        self.used.add(name)

    def array(self, name):
        return np.asarray(self._stored(name))

    def _stored(self, name):
        """The array, or a Bf16Array."""
        if name in self.changed:
            return self.changed[name](np.asarray(self._as_it_is(name)))
        return self._as_it_is(name)

    def _as_it_is(self, name):
        arrays = self.arrays
        while not isinstance(arrays, SafeTensors):
            found = arrays[name]
            if not isinstance(found, _Shard):
                return found
            arrays, name = found
        return arrays.stored(name)

    def rank(self, name):
        return self._stored(name).ndim

    def take(self, name, shape, where=""):
        """The floating-point array `name` of this shape (None: any size); finite, or an error naming the tensor.

        where: what the tensor is for, for the error about a missing one.
        """
        return np.asarray(self.take_stored(name, shape, where))

    def take_stored(self, name, shape, where=""):
        """The same, bfloat16 as a Bf16Array: what is only written takes no memory then."""
        if name not in self.arrays:
            raise ConversionError(f"{self.path}: tensor {name} is missing{where}")
        array = self._stored(name)
        if array.dtype.kind != "f":
            raise ConversionError(f"{self.path}: tensor {name} has type {array.dtype}, expected floating point")
        if array.ndim != len(shape) or any(want not in (None, size) for want, size in zip(shape, array.shape)):
            wanted = ", ".join("any" if want is None else str(want) for want in shape)
            raise ConversionError(f"{self.path}: tensor {name} has shape {list(array.shape)}, expected [{wanted}]")
        if array.size == 0:
            raise ConversionError(f"{self.path}: tensor {name} is empty, shape {list(array.shape)}")
        if array.dtype.itemsize > 4:
            with np.errstate(over="ignore"):
                array = array.astype(np.float32)
        if not all(np.isfinite(block).all() for block in blocks(array)):
            array = np.asarray(array)
            at = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise ConversionError(f"{self.path}: tensor {name} has {array[tuple(at)]} at {at}, every weight must be finite")
        self.used.add(name)
        return array

    def leave_out_heads(self, note):
        """At the end of an encoder: heads that are not converted are named and left out."""
        self._name_left_out(self.unused(), note)

    def refuse_rest(self, note):
        """At the end of a recommender: nothing may be left that could change a score."""
        rest = self.unused()
        heads = [name for name in rest if "pooler." in name or name.startswith("cls.") or ".cls." in name]
        other = [name for name in rest if name not in heads]
        if other:
            raise ConversionError(f"{self.path}: what {', '.join(other[:5])}{' ...' if len(other) > 5 else ''} is for is not "
                                  "known, and a recommender without it would score differently")
        self._name_left_out(heads, note)

    @staticmethod
    def _name_left_out(heads, note):
        if heads:
            some = ", ".join(heads[:4]) + (f" and {len(heads) - 4} more" if len(heads) > 4 else "")
            note(f"left out (a pooler and other heads than classifiers are not converted): {some}")
