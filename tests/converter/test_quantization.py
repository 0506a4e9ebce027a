import unittest

import numpy as np

from helpers import FolderTest, layouts
from weights_converter import calibration, quantization
from weights_converter.kinds.bert import Reference
from weights_converter.neighbours import compare, nearest
from weights_converter.numpy_reference import ACTIVATIONS, quantize_rows_with_zero


class Rows(unittest.TestCase):
    def test_a_row_with_a_zero_point_lies_on_a_grid_of_its_own_range_with_zero_on_it(self):
        rows = np.random.default_rng(1).uniform(-0.2, 3.0, (5, 40))
        rows[1] = np.abs(rows[1]) + 1
        rows[2] = -rows[1]
        rows[3] = 0
        rounded = quantize_rows_with_zero(rows)
        for row, back in zip(rows, rounded):
            step = (max(row.max(), 0) - min(row.min(), 0)) / 253
            self.assertLessEqual(np.abs(row - back).max(), step / 2 * (1 + 1e-9))
            if step:
                np.testing.assert_allclose(back / step, np.rint(back / step), atol=1e-9)
                self.assertLessEqual(np.ptp(np.rint(back / step)), 254)

    def test_gelu_in_float32_is_the_erf_form(self):
        x = np.linspace(-9, 9, 4001).astype(np.float32)
        np.testing.assert_allclose(quantization.gelu(x), ACTIVATIONS["gelu"](x.astype(np.float64)), atol=2e-6)


class Weights(unittest.TestCase):
    def test_rounding_with_error_feedback_errs_less_on_inputs_of_its_kind_than_rounding_each_weight(self):
        random = np.random.default_rng(2)
        inputs = (random.standard_normal((900, 6)) @ random.standard_normal((6, 200))
                  + 0.1 * random.standard_normal((900, 200))).astype(np.float32)
        weight = random.standard_normal((30, 200)).astype(np.float32)
        weight[3] = 0
        values, scales = quantization.round_weight(weight, (inputs.T @ inputs).astype(np.float64) / len(inputs))
        self.assertEqual(values.dtype, np.int8)
        self.assertLessEqual(np.abs(values.astype(int)).max(), 127)
        self.assertEqual(np.abs(values[3]).max(), 0)
        plain = np.rint(weight / scales[:, None]) * scales[:, None]
        error = lambda rounded: np.mean((inputs @ (rounded - weight).T) ** 2)
        self.assertLess(error(values * scales[:, None]), 0.25 * error(plain))

    def test_where_inputs_tell_nothing_weights_are_rounded_to_the_nearest(self):
        weight = np.random.default_rng(3).standard_normal((4, 9)).astype(np.float32)
        for moments in (np.eye(9), np.zeros((9, 9))):
            values, scales = quantization.round_weight(weight, moments)
            np.testing.assert_array_equal(values, np.rint(weight / scales[:, None]))

    def test_factors_even_inputs_and_columns_out(self):
        inputs, weight = np.array([[4.0, -1.0], [1.0, 0.5]]), np.array([[0.25, 1.0], [0.1, -4.0]])
        factors = quantization.factors_of(inputs, weight)
        np.testing.assert_allclose(np.abs(inputs * factors).max(0), np.abs(weight / factors).max(0), rtol=1e-6)
        self.assertTrue(np.isfinite(quantization.factors_of(np.zeros((2, 2)), np.zeros((1, 2)))).all())


class Neighbours(unittest.TestCase):
    def test_the_share_of_neighbours_is_counted_among_all_for_those_asked(self):
        angles = np.radians([0, 10, 20, 90, 100, 110])
        exact = np.stack([np.cos(angles), np.sin(angles)], 1)
        np.testing.assert_array_equal(nearest(exact, 2, np.arange(6)), [[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])
        other = exact.copy()
        other[2] = -exact[2]  # nobody's neighbour now, and all others are as far from it as can be
        kept = compare(exact, 3 * other, 2)
        self.assertAlmostEqual(kept.worst, -1, 6)
        self.assertAlmostEqual(kept.mean, 4 / 6, 6)
        self.assertAlmostEqual(kept.kept, (1 + 1 + 0 + 2 + 2 + 2) / 12)
        np.testing.assert_allclose(compare(exact, other, 2, of=[3, 4]), (1, 1, 1), atol=1e-6)
        self.assertEqual(compare(exact[:2], exact[:2]).kept, 1.0)  # fewer others than ten


class Files(FolderTest):
    def test_a_fitted_file_says_so_and_is_closer_to_the_exact_one_than_plain_rounding(self):
        folder, state = self.encoder()
        metadata, tensors = self.convert(folder, "--pooling", "mean", "--dtype", "i8")
        self.assertEqual(metadata["ranklet.version"], 2)
        self.assertEqual(metadata["ranklet.encoder.quantization"], "zero_point")
        self.assertRegex(self.stdout, r"8 bits +fitted to \d+ texts of its own: keeps \d+ of 100 nearest neighbours, cosine [01]\.\d+")
        layers = metadata["bert.block_count"]
        factors = sorted(name for name in tensors if name.endswith("_factor"))
        self.assertEqual(factors, sorted(f"blk.{n}.{name}.weight_factor" for n in range(layers)
                                         for name in ("attn_q", "ffn_up", "ffn_down")))
        self.assertTrue(all((np.asarray(tensors[name]) > 0).all() for name in factors))
        fitted = Reference.of_file(self.folder / "out.gguf")
        again, _ = self.convert(folder, "--pooling", "mean", "--dtype", "i8")
        self.assertEqual(again["ranklet.checksum.crc32"], metadata["ranklet.checksum.crc32"])  # the same bytes each time
        plain_metadata, exact_tensors = self.convert(folder, "--pooling", "mean")
        self.assertNotIn("ranklet.encoder.quantization", plain_metadata)
        self.assertEqual(plain_metadata["ranklet.version"], 1)
        exact = Reference.of_file(self.folder / "out.gguf")

        def rounded(name, rows=None):  # as i8 files of before have it: rows of weights and of inputs to the nearest step
            of_scale = name.endswith("_scale")
            array = exact_tensors.get(name[:-len("_scale")] if of_scale else name)
            if array is None or of_scale and not name.startswith("blk."):
                return None
            if array.ndim == 2 and name.startswith(("blk.", "token_embd.weight")):
                scale = np.abs(array).max(1, keepdims=True) / 127
                array = np.rint(array / scale) * scale
            return array if rows is None else array[rows]

        plain = Reference(plain_metadata, rounded)
        random = np.random.default_rng(5)
        texts = [[2, *random.integers(5, metadata["bert.context_length"], n).tolist(), 3] for n in (3, 6, 9, 12, 15) * 6]
        vectors = [np.stack([each.vector(states) for states in each.token_states(texts)]) for each in (exact, fitted, plain)]
        errors = [np.linalg.norm(other - vectors[0]) for other in vectors[1:]]
        self.assertGreater(errors[0], 0)
        self.assertLess(errors[0], 0.8 * errors[1])

    def test_texts_of_ones_own(self):
        folder, _ = self.encoder()
        texts = self.folder / "texts.txt"
        texts.write_text("\ufeff" + "\n".join(f"text {n} of ours " * (n % 4 + 1) for n in range(30)) + "\n\n  \ntext 0 of ours\n")
        self.convert(folder, "--pooling", "mean", "--dtype", "i8", "--calibration", str(texts))
        self.assertIn("fitted to 30 of your texts", self.stdout)
        options = ("--pooling", "mean", "--dtype", "i8", "--calibration", str(texts))
        texts.write_text("one\ntwo\none\n")
        self.refused(folder, texts, "2 different texts", "20 at least", options=options)
        texts.write_bytes(b"one\n\xff\n")
        self.refused(folder, texts, "not UTF-8 at byte 4", options=options)
        texts.unlink()
        self.refused(folder, texts, options=options)
        self.refused(folder, "--calibration is for --dtype i8; this is --dtype f32", options=("--pooling", "mean", *options[4:]))
        gru, _ = self.checkpoint("items", layouts.tiny_items)
        self.refused(gru, "has no text encoder, so --calibration means nothing", options=("--dtype", "i8", *options[4:]))

    def test_of_long_files_texts_are_spread_evenly_and_the_time_is_bounded(self):
        texts = self.folder / "texts.txt"
        texts.write_text("".join(f"{n}\n" for n in range(5000)))
        short = calibration.read_texts(texts, lambda text: [int(text)] * 4)
        self.assertEqual(len(short), calibration.MOST_TEXTS)
        self.assertEqual(short[0][0], 0)
        self.assertGreater(short[-1][0], 4990)
        long = calibration.read_texts(texts, lambda text: [int(text)] * 100)
        self.assertLessEqual(sum(map(len, long)), quantization.MOST_TOKENS)
        self.assertGreater(long[-1][0], 4900)
        own = calibration.read_texts(None, lambda text: [text])
        self.assertGreater(len(own), 250)
        self.assertTrue(any("\u4e00" <= text[0][0] <= "\u9fff" for text in own))


if __name__ == "__main__":
    unittest.main()
