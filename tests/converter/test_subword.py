"""Unigram and BPE tokenizers: tokenizer.json and SentencePiece models to keys, what is refused, and the plain Python reference."""
import copy
import json
import os
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
from weights_converter import sentencepiece, subword  # noqa: E402
from weights_converter import tokenizer as tokenizers  # noqa: E402
from weights_converter.errors import ConversionError  # noqa: E402
from weights_converter.model import Model  # noqa: E402
from weights_converter.subword_reference import Subword  # noqa: E402

UNIGRAM = {
    "added_tokens": [{"id": 0, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True},
                     {"id": 6, "content": "<mask>", "single_word": False, "lstrip": True, "rstrip": False, "normalized": False, "special": True}],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                       "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 0}},
                                {"Sequence": {"id": "B", "type_id": 1}}],
                       "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
    "model": {"unk_id": 1, "vocab": [["<s>", 0.0], ["<unk>", 0.0], ["▁a", -1.5], ["b", -2.1], ["▁", -3.0], ["ab", -2.5]]},
}
BPE = {
    "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
    "post_processor": {"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["a", 0], "trim_offsets": True, "add_prefix_space": False},
    "model": {"dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
              "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": ["a b", ["Ġ", "ab"]]},
}


def read(data):
    return subword.from_json("tokenizer.json", data, tokenizers.model_type(data["model"]), tokenizers.added_tokens("tokenizer.json", data))


def keys_of(tokenizer):
    model = Model("f32", "tokenizer")
    subword.add_keys(model, tokenizer)
    return {name.removeprefix("ranklet.tokenizer.").removeprefix("tokenizer.ggml."): value for name, value in model.metadata().items()}


def changed(data, path, value):
    data = copy.deepcopy(data)
    *parents, last = path
    at = data
    for name in parents:
        at = at[name]
    at[last] = value
    return data


class SubwordTest(unittest.TestCase):
    def refuses(self, data, *shown):
        with self.assertRaises(ConversionError) as caught:
            read(data)
        for part in shown:
            self.assertIn(part, str(caught.exception))

    def test_unigram_of_an_old_form(self):
        keys = keys_of(read(UNIGRAM))
        self.assertEqual((keys["model"], keys["unknown_token_id"], keys["model_tokens"]), ("unigram", 1, 6))
        self.assertEqual(keys["normalizers"], ["nfkc", "lowercase", "replace_regex", " {2,}", " "])
        self.assertEqual(keys["pre_tokenizers"], ["metaspace", "▁", "always", "split"])
        self.assertEqual((keys["single"], keys["pair"]), ([0, 0, -1, 0], [-1, 0, 0, 0, -2, 1]))
        self.assertEqual((keys["added_ids"], keys["added_flags"], keys["token_type"]), ([0, 6], [1, 3], [3, 2, 1, 1, 1, 1, 3]))
        self.assertEqual(keys["tokens"][-1], "<mask>")
        self.assertEqual(np.float32(keys["scores"][3]), np.float32(-2.1))

    def test_scores_that_f32_does_not_hold_are_kept(self):
        model = Model("f32", "tokenizer")
        subword.add_keys(model, read(UNIGRAM))
        self.assertEqual(model.metadata()["ranklet.tokenizer.scores"][3], -2.1)
        subword.add_keys(model := Model("f32", "tokenizer"), read(changed(UNIGRAM, ["model", "vocab", 3, 1], -2.5)))
        self.assertNotIn("ranklet.tokenizer.scores", model.metadata())

    def test_a_number_is_read_as_tokenizers_reads_it(self):
        # digits as an integer, rounded, divided by a power of ten, rounded again
        self.assertEqual(subword.decimal(-3.0123284804704786), -3.012328480470478)
        for number in (0.0, -1.5, 1e-7, -20.25, 3.0):
            self.assertEqual(subword.decimal(number), number)

    def test_bpe(self):
        keys = keys_of(read(BPE))
        self.assertEqual((keys["model"], keys["merges"]), ("bpe", ["a b", "Ġ ab"]))
        self.assertEqual(keys["pre_tokenizers"], ["byte_level", "split"])
        self.assertEqual((keys["single"], keys["pair"]), ([0, 0, -1, 0, 1, 0], [0, 0, -1, 0, 1, 0, 1, 0, -2, 0, 1, 0]))
        self.assertTrue(keys["trim_offsets"])
        self.assertNotIn("trim_keeps_added_space", keys)
        model = Model("f32", "tokenizer")
        subword.add_keys(model, read(BPE))
        self.assertEqual(model.metadata()["tokenizer.ggml.model"], "gpt2")

    def test_metaspace_in_its_forms(self):
        for more, scheme in (({"prepend_scheme": "first"}, "first"), ({"add_prefix_space": False}, "never"), ({}, "always"),
                             ({"prepend_scheme": "never", "add_prefix_space": False}, "never")):
            data = changed(UNIGRAM, ["pre_tokenizer"], {"type": "Metaspace", "replacement": "▁", **more})
            self.assertEqual(keys_of(read(data))["pre_tokenizers"][2], scheme)
        self.refuses(changed(UNIGRAM, ["pre_tokenizer"], {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}), "'last'")

    def test_what_is_not_known_is_shown(self):
        pre, norm, post = ["pre_tokenizer"], ["normalizer"], ["post_processor"]
        self.refuses(changed(BPE, pre, {"type": "UnicodeScripts"}), "UnicodeScripts")
        self.refuses(changed(BPE, pre, {"type": "Split", "pattern": {"Regex": r"\d+x"}, "behavior": "Isolated", "invert": False}), r"\\d+x")
        self.refuses(changed(BPE, pre, {"type": "Digits", "individual_digits": True, "of": 3}), "of 3")
        self.refuses(changed(BPE, pre, {"type": "Punctuation", "behavior": "Doubled"}), "'Doubled'")
        self.refuses(changed(BPE, norm, {"type": "Gothic"}), "Gothic")
        self.refuses(changed(BPE, norm, {"type": "Replace", "pattern": {"Regex": "(a|b)+"}, "content": ""}), "(a|b)+")
        self.refuses(changed(BPE, norm, {"type": "Strip", "strip_left": 1, "strip_right": True}), "strip_left is 1")
        self.refuses(changed(BPE, norm, {"type": "Precompiled", "precompiled_charsmap": "%"}), "base64")
        self.refuses(changed(BPE, post, {"type": "Other"}), "Other")
        self.refuses(changed(BPE, post + ["sep"], ["b", 9]), "id 9")
        self.refuses(changed(BPE, post, {"type": "Sequence", "processors": [BPE["post_processor"], BPE["post_processor"]]}), "after the one")
        self.refuses(changed(BPE, ["model", "dropout"], 0.1), "dropout is 0.1")
        self.refuses(changed(BPE, ["model", "continuing_subword_prefix"], "##"), "'##'")
        self.refuses(changed(BPE, ["model", "end_of_word_suffix"], "</w>"), "'</w>'")
        self.refuses(changed(BPE, ["model", "merges"], ["a c"]), "'c' is no token")
        self.refuses(changed(BPE, ["model", "unk_token"], "?"), "'?'")
        self.refuses(changed(BPE, ["model", "vocab"], {"a": 0, "b": 2}), "ids from 0 on")
        self.refuses(changed(UNIGRAM, ["model", "unk_id"], None), "without an unknown piece")
        self.refuses(changed(UNIGRAM, ["model", "alpha"], 0.5), "alpha 0.5")
        self.refuses(changed(UNIGRAM, ["added_tokens", 1, "id"], 9), "expected 6")
        self.refuses(changed(UNIGRAM, ["added_tokens", 0, "id"], 2), "contradicts")

    def test_reference(self):
        reference = Subword(read(UNIGRAM), 6)
        self.assertEqual(reference.encode("A  b"), [0, 2, 4, 3])
        self.assertEqual(reference.encode("☃☃a <mask>"), [0, 4, 1, 6])
        self.assertEqual(reference.encode("a a a a a a a"), [0, 2, 2, 2, 2, 2])
        self.assertEqual(reference.encode_pair("a a a a", "b b"), ([2, 2, 0, 4, 3, 4], [0, 0, 0, 1, 1, 1]))
        self.assertEqual(Subword(read(BPE)).encode("ab ab b"), [0, 3, 4, 2, 1, 1])

    def test_a_folder_with_unigram_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "tokenizer.json").write_text(json.dumps(UNIGRAM), encoding="utf-8")
            notes = []
            tokenizer = tokenizers.read_tokenizer(folder, None, notes.append)
            self.assertIsInstance(tokenizer, subword.SubwordTokenizer)
            with self.assertRaises(ConversionError) as caught:
                tokenizers.read_tokenizer(folder, True, notes.append)
            self.assertIn("--lowercase is for WordPiece", str(caught.exception))


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def piece(text, score, kind=1):
    return field(1, field(1, text.encode()) + field(2, score) + field(3, kind))


class SentencePieceTest(unittest.TestCase):
    PIECES = piece("<unk>", 0.0, 2) + piece("<s>", 0.0, 3) + piece("▁a", -1.0) + piece("b", -2.0) + piece("▁", -3.0) + piece("a", -4.0)

    def read(self, data):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "spiece.model")
            Path(path).write_bytes(data)
            return sentencepiece.read(path)

    def refuses(self, data, shown):
        with self.assertRaises(ConversionError) as caught:
            self.read(data)
        self.assertIn(shown, str(caught.exception))

    def test_unigram(self):
        tokenizer = self.read(self.PIECES + field(3, field(4, 0)))
        self.assertEqual((tokenizer.model, tokenizer.tokens[2], tokenizer.unk_id), ("unigram", "▁a", 0))
        self.assertEqual((tokenizer.unmatched, tokenizer.control), ([0, 1], {"<s>": 1}))
        self.assertEqual(tokenizer.normalizers, [["sentencepiece", "dummy_prefix"]])
        self.assertTrue(tokenizer.single_precision)

    def test_bpe_has_every_cut_of_a_piece_the_best_first(self):
        pieces = piece("<unk>", 0.0, 2) + piece("ab", -1.0) + piece("aba", -0.5) + piece("a", -2.0) + piece("b", -3.0) + piece("ba", -2.5)
        tokenizer = self.read(pieces + field(2, field(3, 2)))
        self.assertEqual(tokenizer.merges, [("a", "ba"), ("ab", "a"), ("a", "b"), ("b", "a")])
        self.assertTrue(tokenizer.equal_ranks and tokenizer.fuse_unk)

    def test_reference(self):
        ends = piece("</s>", 0.0, 3)
        self.assertEqual(Subword(self.read(self.PIECES + ends)).encode("  a   b☃ <s> "), [2, 4, 3, 0, 4, 0])
        pieces = piece("<unk>", 0.0, 2) + piece("▁a", -1.0) + piece("▁", -2.0) + piece("a", -3.0) + piece("b", -4.0)
        self.assertEqual(Subword(self.read(pieces + field(2, field(3, 2)))).encode("ab☃☃a"), [1, 4, 0, 3])

    def test_a_folder_with_a_model(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "spiece.model").write_bytes(self.PIECES + piece("</s>", 0.0, 3))
            config = Path(folder, "tokenizer_config.json")
            for kind, single in (("T5Tokenizer", [(-1, 0), (6, 0)]), ("LlamaTokenizerFast", [(1, 0), (-1, 0)])):
                config.write_text(json.dumps({"tokenizer_class": kind}), encoding="utf-8")
                notes = []
                self.assertEqual(tokenizers.read_tokenizer(folder, None, notes.append).single, single)
                self.assertIn("ordinary text", notes[0])
            config.write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer"}), encoding="utf-8")
            with self.assertRaises(ConversionError) as caught:
                tokenizers.read_tokenizer(folder, None, print)
            self.assertIn("tokenizer_class is XLMRobertaTokenizer", str(caught.exception))

    def test_what_it_does_not_say(self):
        self.refuses(b"", "no pieces")
        self.refuses(self.PIECES[:-2], "beyond its end")
        self.refuses(b"\xFF", "in the middle of a number")
        self.refuses(self.PIECES + field(2, field(3, 4)), "type char")
        self.refuses(self.PIECES + field(2, field(24, 1)), "treat_whitespace_as_suffix")
        self.refuses(self.PIECES + field(3, field(5, 0)), "escape_whitespaces")
        self.refuses(self.PIECES + piece("[X]", 0.0, 4), "'[X]' is user-defined")
        self.refuses(self.PIECES + piece("a", 0.0), "stands twice")
        self.refuses(piece("a", 0.0), "0 unknown pieces")
        self.refuses(self.PIECES + piece("c", float("inf")), "not finite")


if __name__ == "__main__":
    unittest.main()
