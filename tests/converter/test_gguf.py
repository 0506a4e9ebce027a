import struct
import unittest
import warnings
import zlib
from unittest import mock

import numpy as np

from helpers import FolderTest, layouts, needs_torch, same, torch
from weights_converter.errors import ConversionError
from weights_converter.gguf import CHECKSUM_KEY, GGUFWriter, bf16_from_f32, encode_tensor, f32_from_bf16, read_gguf


class Writing(FolderTest):
    def test_values_and_tensors_come_back_as_they_were_written(self):
        path, draw = self.folder / "x.gguf", layouts.Draw("gguf")
        values = {"u32": 4294967295, "i32": -5, "u64": 2**63, "f32": 1.5, "bool": True, "string": "héllo 手机",
                  "[u32]": [1, 2], "[i32]": [-1, 0], "[f32]": [0.5, -2.0], "[string]": ["", "手", "x"]}
        writer = GGUFWriter(path)
        for kind, value in values.items():
            writer.add(f"key.{kind}", value, kind)
        array = draw.normal(5, 7)
        for dtype in ("f32", "f16", "bf16"):
            writer.add_tensor(f"t.{dtype}", array, dtype)
        writer.add_tensor("v", array[0])
        writer.write()
        metadata, tensors = read_gguf(path)
        for kind, value in values.items():
            self.assertEqual(metadata[f"key.{kind}"], value)
        same(self, tensors["t.f32"], array)
        same(self, tensors["t.f16"], array.astype(np.float16))
        same(self, tensors["t.bf16"], f32_from_bf16(bf16_from_f32(array)))
        same(self, tensors["v"], array[0])

    def test_dimensions_are_stored_innermost_first_and_data_is_aligned(self):
        path = self.folder / "x.gguf"
        writer = GGUFWriter(path, alignment=64)
        writer.add_tensor("a", np.ones((3, 5), np.float32))
        writer.add_tensor("b", np.ones(3, np.float32))
        writer.write()
        data = path.read_bytes()
        self.assertEqual(data[:8], b"GGUF" + struct.pack("<I", 3))
        info = struct.pack("<Q", 1) + b"a" + struct.pack("<IQQIQ", 2, 5, 3, 0, 0)
        self.assertIn(info, data)
        self.assertIn(struct.pack("<Q", 1) + b"b" + struct.pack("<IQIQ", 1, 3, 0, 64), data)
        self.assertEqual(len(data) % 64, 0)
        self.assertEqual(read_gguf(path)[0]["general.alignment"], 64)

    def test_the_checksum_is_the_crc32_of_the_data_section(self):
        path = self.folder / "x.gguf"
        writer = GGUFWriter(path)
        writer.add_tensor("a", np.arange(5, dtype=np.float32))
        writer.add_tensor("b", np.arange(3, dtype=np.float32), "f16")
        writer.write()
        section = np.arange(5, dtype="<f4").tobytes() + bytes(12) + np.arange(3, dtype="<f2").tobytes() + bytes(26)
        self.assertEqual(path.read_bytes()[-64:], section)
        self.assertEqual(read_gguf(path)[0][CHECKSUM_KEY], zlib.crc32(section))

    def test_bfloat16_rounds_to_nearest_even_and_keeps_nan(self):
        cases = {0x3F808000: 0x3F80, 0x3F818000: 0x3F82, 0x3F808001: 0x3F81, 0x7F800001: 0x7FC0, 0xFF800000: 0xFF80,
                 0x80000000: 0x8000, 0x7FFFFFFF: 0x7FFF}
        bits = bf16_from_f32(np.array(list(cases), np.uint32).view(np.float32))
        same(self, bits, list(cases.values()))

    @needs_torch
    def test_bfloat16_agrees_with_pytorch(self):
        values = np.random.default_rng(1).integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
        values = values[~np.isnan(values)]
        same(self, bf16_from_f32(values), torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16))

    def test_a_value_that_float16_cannot_hold_names_its_tensor(self):
        writer = GGUFWriter(self.folder / "x.gguf")
        writer.add_tensor("big", np.array([1, 70000], np.float32), "f16")
        with self.assertRaisesRegex(ConversionError, "tensor big: 70000 does not fit into f16"):
            writer.write()
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_float64_that_float32_cannot_hold_names_its_tensor_without_numpys_warning(self):
        for dtype in ("f32", "f16", "bf16", "i8"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with self.assertRaisesRegex(ConversionError, "tensor big: 1e[+]39 does not fit into f32"):
                    encode_tensor("big", np.array([[1, 1e39]]), dtype)
                self.assertTrue(np.isinf(encode_tensor("big", np.array([[1, np.inf]]), "f32")[0, 1]))

    def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(self):
        path = self.folder / "x.gguf"
        path.write_text("old")
        writer = GGUFWriter(path)
        writer.add_tensor("a", np.ones(4, np.float32))
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            with self.assertRaisesRegex(ConversionError, "No space left"):
                writer.write()
        self.assertEqual([p.name for p in self.folder.iterdir()], ["x.gguf"])
        self.assertEqual(path.read_text(), "old")

    def test_wrong_uses_are_errors(self):
        writer = GGUFWriter(self.folder / "x.gguf")
        writer.add("a", 1, "u32")
        writer.add_tensor("t", np.ones(2, np.float32))
        for call, words in (
                (lambda: writer.add("a", 1, "u32"), "key a is written twice"),
                (lambda: writer.add(CHECKSUM_KEY, 1, "u32"), "written twice"),
                (lambda: writer.add("b", -1, "u32"), "key b: the value does not fit its type u32"),
                (lambda: writer.add("b", [1.5], "[i32]"), "key b"),
                (lambda: writer.add("b", 1, "u33"), "unknown type u33"),
                (lambda: writer.add_tensor("t", np.ones(2, np.float32)), "tensor t is written twice"),
                (lambda: writer.add_tensor("u", np.float32(1)), "tensor u: shape"),
                (lambda: writer.add_tensor("u", np.ones((0, 2), np.float32)), "tensor u: shape"),
                (lambda: writer.add_tensor("u" * 64, np.ones(2, np.float32)), "more than 63 bytes"),
                (lambda: writer.add_tensor("u", np.ones(2, np.float32), "f64"), "unknown type f64"),
                (lambda: GGUFWriter("x", alignment=24), "alignment 24")):
            with self.assertRaisesRegex(ConversionError, words):
                call()


class Reading(FolderTest):
    def test_q8_0_blocks_are_scale_times_values(self):
        path = self.folder / "x.gguf"
        values = np.arange(-32, 32, dtype=np.int8).reshape(2, 32)
        header = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"q" + struct.pack("<IQQIQ", 2, 32, 2, 8, 0)
        blocks = b"".join(np.float16(scale).tobytes() + row.tobytes() for scale, row in zip((0.5, 2.0), values))
        path.write_bytes(header + bytes(-len(header) % 32) + blocks)
        same(self, read_gguf(path)[1]["q"], values * np.array([[0.5], [2.0]], np.float32))

    def test_what_is_no_gguf_file_is_an_error(self):
        path = self.folder / "x.gguf"
        for content, words in ((b"", "empty"), (b"GGML....", "not a GGUF file"), (b"GGUF\2\0\0\0", "version 2"),
                               (b"GGUF\3\0\0\0\1", "ends at byte 9")):
            path.write_bytes(content)
            with self.assertRaisesRegex(ConversionError, words):
                read_gguf(path)


if __name__ == "__main__":
    unittest.main()
