"""Comparing a converted file with its original: what is read and counted, without the libraries (tests/layouts has them)."""
import os
import sys
import unittest
from unittest import mock

import numpy as np

from helpers import FolderTest, run
from weights_converter import compare, engine
from weights_converter.compare import Original
from weights_converter.errors import ConversionError


class Counting(unittest.TestCase):
    def test_neighbours_that_stay_are_counted(self):
        exact = np.eye(6, 4)[:, :3] + np.arange(18).reshape(6, 3) / 10
        self.assertEqual(compare.kept(exact, exact, 2), 1.0)
        self.assertEqual(compare.kept(exact, 5 * exact, 2), 1.0)  # the angle is what counts
        angles = np.deg2rad([0, 10, 30, 60, 100])
        circle = lambda a: np.stack([np.cos(a), np.sin(a)], 1)  # noqa: E731
        moved = angles.copy()
        moved[1] = np.deg2rad(50)  # the nearest were 1, 0, 1, 2, 3 and are 2, 3, 1, 1, 3
        self.assertEqual(compare.kept(circle(angles), circle(moved), 1), 2 / 5)

    def test_which_of_two_equal_texts_is_nearer_is_not_asked(self):
        rows = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
        other = rows + np.array([[0, 0], [0, 1e-9], [0, -1e-9], [0, 0]])
        self.assertEqual(compare.kept(rows, other, 1), 1.0)

    def test_what_is_printed(self):
        exact = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
        original = Original("a library 1.0", "vectors", exact, [])
        lines = compare.report("vectors", exact + np.float32(1e-3), [], original, [f"text {n}" for n in range(20)])
        self.assertRegex(lines[0], r"difference    0\.001 at most, 0\.001 on average; the largest number is \d\.\d+")
        self.assertRegex(lines[1], r"cosine        (1\.0|0\.99)\d+ on average, 0\.99999\d at worst \('text \d+'\)")
        self.assertRegex(lines[2], r"nearest       [\d.]+ % of each text's 10 nearest are the same")
        scores = Original("a library", "scores", exact, [])
        self.assertIn("first label   the same for 100.00 % of texts", compare.report("scores", exact, [], scores, ["t"] * 20)[1])
        for found, counts, words in ((exact[:, :4], [], r"vectors \[20, 4\]"), (exact * np.nan, [], "a NaN or an infinity")):
            with self.assertRaisesRegex(ConversionError, words):
                compare.report("vectors", found, counts, original, ["t"] * 20)
        tokens = Original("a library", "tokens", exact, [12, 8])
        with self.assertRaisesRegex(ConversionError, "the first text that is cut otherwise: 'a'"):
            compare.report("tokens", exact, [11, 9], tokens, ["a", "b"])

    def test_a_text_without_a_known_word_is_as_near_as_it_can_be(self):
        rows = np.array([[0.0, 0], [1, 0], [0, 1]])
        self.assertIn("1.000000 at worst", compare.report("vectors", rows, [], Original("x", "vectors", rows, []), ["a", "b", "c"])[1])


class Asking(FolderTest):
    def test_texts_are_lines_each_once_and_pairs_have_a_tab(self):
        path = self.folder / "texts"
        path.write_text("one text\n\ntwo\none text\r\n", encoding="utf-8")
        self.assertEqual(compare.read_texts(path), (["one text", "two"], False))
        path.write_text("a\tb\nc\td\n", encoding="utf-8")
        self.assertEqual(compare.read_texts(path), ([("a", "b"), ("c", "d")], True))
        path.write_text("\n", encoding="utf-8")
        with self.assertRaisesRegex(ConversionError, "there is no text in it"):
            compare.read_texts(path)

    def test_what_cannot_be_compared_is_told(self):
        folder, _ = self.encoder()
        texts = self.folder / "texts"
        texts.write_text("red\nphone\n", encoding="utf-8")
        self.convert(folder, "--pooling", "mean")
        out = self.folder / "out.gguf"

        def told(words, *arguments):
            code, _, stderr = run("--check", *arguments)
            self.assertEqual(code, 1)
            self.assertIn(words, stderr)

        told("no such file", self.folder / "nothing.gguf", folder, texts)
        told("expected a folder", out, folder / "model.safetensors", texts)
        told("texts: cannot be read", out, folder, self.folder / "nothing/texts")
        with mock.patch.dict(os.environ, {"CXX": "no-such-compiler"}):
            told("there is no compiler no-such-compiler", out, folder, texts)
        with mock.patch.object(engine, "program", lambda stage: "x"), mock.patch.object(engine, "run", lambda *a: ("vectors", np.ones((2, 48)), [])), \
                mock.patch.dict(sys.modules, {"sentence_transformers": None}):
            told("which is not installed (pip install sentence-transformers)", out, folder, texts)
