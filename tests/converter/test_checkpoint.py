import json
import struct
import unittest
import warnings
from pathlib import Path

import numpy as np

from helpers import FolderTest, layouts, needs_torch, same, torch
from weights_converter.checkpoint import StateDict, read_tensors
from weights_converter.errors import ConversionError
from weights_converter.safetensors import SafeTensors


def raw_safetensors(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class SafeTensorsFiles(FolderTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "model.safetensors"

    def refused(self, words):
        with self.assertRaisesRegex(ConversionError, words):
            SafeTensors(self.path)

    def test_every_type_is_read(self):
        arrays = {name: np.array([[0, 1, 2], [3, 4, 100]], kind) for name, kind in (
            ("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("I64", "<i8"), ("I32", "<i4"), ("I16", "<i2"), ("I8", "i1"),
            ("U8", "u1"), ("BOOL", "?"))}
        header, data = {"__metadata__": {"format": "pt"}}, b""
        for name, array in arrays.items():
            header[name] = entry(name, [2, 3], len(data), len(data) + array.nbytes)
            data += array.tobytes()
        header["BF16"] = entry("BF16", [2], len(data), len(data) + 4)
        raw_safetensors(self.path, header, data + struct.pack("<HH", 0x3F80, 0xC000))
        tensors = SafeTensors(self.path)
        self.assertEqual(set(tensors), {*arrays, "BF16"})
        for name, array in arrays.items():
            same(self, tensors[name], array)
        same(self, tensors["BF16"], [1.0, -2.0])

    def test_broken_headers_are_named(self):
        good = entry("F32", [2], 0, 8)
        for header, data, words in (
                (b"{", b"", "the header is broken"), (b"[]", b"", "not a JSON object"), (b"\xff", b"", "broken"),
                (b"[" * 100_000, b"", "broken"),
                (b'{"a": 1, "a": 2}', b"", "stands twice: a"),
                ({"a": 5}, b"", "tensor a: the header needs"),
                ({"a": entry("F32", [2], 0, 4)}, bytes(4), r"tensor a: F32 \[2\] does not fit"),
                ({"a": entry("F32", [-2], 0, 8)}, bytes(8), "tensor a: the header needs"),
                ({"a": good}, bytes(4), "truncated: a ends at byte 8, the data at 4"),
                ({"a": good}, bytes(12), "4 bytes are left over"),
                ({"a": good, "b": entry("F32", [2], 4, 12)}, bytes(12), "b .* overlaps a"),
                ({"a": good, "b": entry("F32", [1], 12, 16)}, bytes(16), "b .* leaves a gap after a")):
            raw_safetensors(self.path, header, data)
            self.refused(words)

    def test_every_truncation_is_an_error(self):
        layouts.write_safetensors(self.path, {"a": np.ones((2, 2), np.float32), "b": np.ones(3, np.float16)})
        whole = self.path.read_bytes()
        for size in range(len(whole)):
            self.path.write_bytes(whole[:size])
            with self.assertRaises(ConversionError):
                SafeTensors(self.path)

    def test_a_header_longer_than_the_file_is_an_error(self):
        self.path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
        self.refused("truncated or not a safetensors file")

    def test_a_type_that_is_not_read_is_named_when_it_is_used(self):
        raw_safetensors(self.path, {"a": entry("F8_E4M3", [2], 0, 2)}, bytes(2))
        tensors = SafeTensors(self.path)
        with self.assertRaisesRegex(ConversionError, "tensor a: type F8_E4M3 is not supported"):
            tensors["a"]


class Weights(FolderTest):
    def test_a_tensor_is_checked_when_it_is_taken(self):
        path = self.folder / "model.safetensors"
        layouts.write_safetensors(path, {
            "a": np.array([[1, 2], [3, np.nan]], np.float32), "i": np.arange(3), "inf": np.array([np.inf], np.float16),
            "fine": np.ones((2, 3), np.float32)})
        state = StateDict(path)
        for name, shape, words in (
                ("a", [2, 2], r"tensor a has nan at \[1, 1\]"), ("inf", [1], "tensor inf has inf at"),
                ("i", [3], "tensor i has type int64"), ("b", [1], "tensor b is missing"),
                ("fine", [3, 2], r"tensor fine has shape \[2, 3\], expected \[3, 2\]"),
                ("fine", [None], r"expected \[any\]")):
            with self.assertRaisesRegex(ConversionError, words):
                state.take(name, shape)
        same(self, state.take("fine", [None, 3]), np.ones((2, 3)))
        self.assertEqual(state.unused(), ["a", "i", "inf"])

    def test_double_precision_that_overflows_is_an_error(self):
        path = self.folder / "model.safetensors"
        raw_safetensors(path, {"a": entry("F64", [2], 0, 16)}, struct.pack("<2d", 0.5, 1e39))
        with self.assertRaisesRegex(ConversionError, "tensor a has inf"):
            StateDict(path).take("a", [2])

    def test_a_broken_index_is_named(self):
        index = self.folder / "model.safetensors.index.json"
        layouts.write_safetensors(self.folder / "s.safetensors", {"a": np.ones(2, np.float32)})
        for value, words in (({}, "weight_map"), ({"weight_map": {"a": "../s.safetensors"}}, "tensor a points to"),
                             ({"weight_map": {"a": "missing.safetensors"}}, "missing.safetensors: no such file"),
                             ({"weight_map": {"b": "s.safetensors"}}, "s.safetensors has no tensor b")):
            index.write_text(json.dumps(value))
            with self.assertRaisesRegex(ConversionError, words):
                read_tensors(str(index))

    @needs_torch
    def test_pytorch_files_give_their_tensors(self):
        state = {"a": torch.ones(2, 3), "half": torch.ones(2).half(), "brain": torch.ones(2).bfloat16(), "n": 5}
        for name, value in (("x.pth", state), ("x.bin", {"state_dict": state, "epoch": 3})):
            torch.save(value, self.folder / name)
            arrays = read_tensors(str(self.folder / name))
            self.assertEqual(set(arrays), {"a", "half", "brain"})
            same(self, arrays["a"], np.ones((2, 3)))
            self.assertEqual(arrays["brain"].dtype, np.float32)

    @needs_torch
    def test_pytorch_files_that_are_no_state_dict_are_errors(self):
        path = self.folder / "x.pth"
        for value in (torch.nn.Linear(2, 2), {"a": torch.ones(2), "where": Path("x")}, {"a": torch.ones(2), "n": np.float64(1)}):
            torch.save(value, path)
            with self.assertRaisesRegex(ConversionError, r"x.pth: holds other things than tensors \([\w.]+\), which could be code, and "
                                        r"is not loaded; save the tensors alone, with torch.save\(model.state_dict") as raised:
                read_tensors(str(path))
            self.assertNotRegex(str(raised.exception), "weights_only|safe_globals|trust")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, of what is deprecated
            torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
            with self.assertRaisesRegex(ConversionError, "x.pth: holds a TorchScript program") as raised:
                read_tensors(str(path))
            self.assertNotRegex(str(raised.exception), "weights_only|trust")
            torch.save({"a": torch.sparse_coo_tensor([[0], [1]], [1.0], (2, 2))}, path)
            with self.assertRaisesRegex(ConversionError, "tensor a is sparse, expected a dense one"):
                read_tensors(str(path))
        torch.save([1, 2], path)
        with self.assertRaisesRegex(ConversionError, "holds a list"):
            read_tensors(str(path))
        torch.save({"a": torch.ones(50)}, path)
        whole = path.read_bytes()
        for size in (0, 1, 10, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            with self.assertRaisesRegex(ConversionError, "not a file of tensors that torch.save wrote whole"):
                read_tensors(str(path))


if __name__ == "__main__":
    unittest.main()
