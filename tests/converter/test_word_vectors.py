"""Word vectors: word2vec, GloVe, model2vec and StaticEmbedding are read as written; what is broken is named."""
import json
import re
import struct
import unittest
from pathlib import Path

import numpy as np

from helpers import FolderTest, asset, edit, layouts, run, same
from weights_converter.gguf import round_to
from weights_converter.words import Words

LISTS = Path(__file__).resolve().parents[2] / "weights_converter" / "stop_words"

WORDS = ["<unk>", "the", "phone", "手机", "手机壳", "red", "café"]


def table(rows=len(WORDS), dim=5, seed="words"):
    return layouts.Draw(seed).normal(rows, dim)


def text_of(words, rows, header=True, end="\n"):
    lines = [f"{len(words)} {rows.shape[1]}"] if header else []
    lines += [f"{word} {' '.join(repr(float(x)) for x in row)}" for word, row in zip(words, rows)]
    return end.join(lines) + end


def binary_of(words, rows, end=b"\n"):
    head = f"{len(words)} {rows.shape[1]}\n".encode()
    return head + b"".join(word.encode() + b" " + row.astype("<f4").tobytes() + end for word, row in zip(words, rows))


class Files(FolderTest):
    def file(self, content, name="words.txt"):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def check(self, path, rows, *options, words=WORDS):
        metadata, tensors = self.convert(path, *options)
        self.assertEqual(metadata["general.architecture"], "ranklet")
        self.assertEqual(metadata["ranklet.encoder.type"], "word_vectors")
        self.assertEqual(metadata["ranklet.words.tokens"], list(words))
        same(self, tensors["ranklet.words.weight"], rows)
        return metadata

    def test_word2vec_text_and_glove(self):
        rows = table()
        for header in (True, False):
            for end in ("\n", " \n", "\r\n"):
                with self.subTest(header=header, end=end):
                    metadata = self.check(self.file(text_of(WORDS, rows, header, end)), rows)
                    self.assertEqual(metadata["general.name"], "words")
        self.assertTrue(metadata["ranklet.words.lowercase"])
        self.assertEqual(metadata["ranklet.words.pooling"], "mean")
        self.assertFalse(metadata["ranklet.words.normalize"])
        self.assertIn("no capitals", self.stderr)

    def test_stop_words(self):
        path = self.file(text_of(WORDS, table()))
        metadata = self.check(path, table(), "--stop-words", "en,zh")
        lists = [(LISTS / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1] for name in ("en", "zh")]
        self.assertEqual(metadata["ranklet.words.stop_words"], sorted(set(lists[0] + lists[1])))
        own = self.file("The\nRed\n", "own.txt")
        self.assertEqual(self.check(path, table(), "--stop-words", own)["ranklet.words.stop_words"], ["red", "the"])
        metadata = self.check(path, table(), "--stop-words", own, "--lowercase", "no")
        self.assertEqual(metadata["ranklet.words.stop_words"], ["Red", "The"])
        self.refused(path, "neither en, zh nor a file", options=("--stop-words", "fr"))
        self.refused(path, "no word in it", options=("--stop-words", self.file("\n", "empty.txt")))
        self.refused(path, "not UTF-8", options=("--stop-words", self.file(b"\xff\n", "broken.txt")))
        words = Words(["phone", "的士", "手机", "我"], True, "skip", stop_words=["the", "的", "我们"])
        self.assertEqual(words.encode("The phone 我们的手机 我的士"), [0, 2, 3, 1])

    def test_the_lists_are_those_of_the_library(self):
        header = (LISTS.parents[1] / "include/ranklet/text/stop_words.hpp").read_text(encoding="utf-8")
        for name, language in (("en", "english"), ("zh", "chinese")):
            found = re.search(language + r"_stop_words\{(.*?)\};", header, re.DOTALL)[1]
            listed = (LISTS / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1]
            self.assertEqual(re.findall(r'"([^"]+)"', found), listed)

    def test_word2vec_binary(self):
        rows = table()
        for end in (b"\n", b""):
            self.check(self.file(binary_of(WORDS, rows, end), "words.bin"), rows)

    def test_glove_words_may_hold_spaces(self):
        words = [". . .", "at name@domain.com", "the"]
        rows = table(3)
        self.check(self.file(text_of(words, rows, False)), rows, words=words)

    def test_types(self):
        rows = table()
        path = self.file(text_of(WORDS, rows))
        for dtype in ("f16", "bf16", "i8"):
            metadata, tensors = self.convert(path, "--dtype", dtype)
            expected = rows if dtype == "i8" else round_to(rows, dtype)
            np.testing.assert_allclose(tensors["ranklet.words.weight"].astype(np.float32), expected,
                                       atol=np.abs(rows).max() / 250 if dtype == "i8" else 0)
            self.assertLessEqual(metadata["ranklet.selftest.tolerance"], 1e-4)

    def test_options(self):
        path = self.file(text_of(WORDS, table()))
        metadata, tensors = self.convert(path, "--max-words", "3", "--normalize", "--lowercase", "no", "--unknown", "row",
                                         "--word-pooling", "sum", "--max-length", "9", "--name", "mine")
        self.assertEqual(tensors["ranklet.words.weight"].shape, (3, 5))
        self.assertEqual(metadata["ranklet.words.unknown_id"], 0)
        self.assertEqual([metadata[f"ranklet.words.{key}"] for key in ("normalize", "lowercase", "unknown", "pooling")],
                         [True, False, "row", "sum"])
        self.assertEqual((metadata["ranklet.encoder.max_length"], metadata["general.name"]), (9, "mine"))
        self.assertLessEqual(max(len(ids) for ids in self.texts(metadata)), 9)

    def texts(self, metadata):
        bounds = metadata["ranklet.selftest.token_offsets"]
        return [metadata["ranklet.selftest.token_ids"][a:b] for a, b in zip(bounds, bounds[1:])]

    def test_capitals_keep_the_text_as_it_is(self):
        metadata = self.check(self.file(text_of(["Apple", "a"], table(2))), table(2), words=["Apple", "a"])
        self.assertFalse(metadata["ranklet.words.lowercase"])
        self.assertIn("'Apple'", self.stderr)

    def test_self_test_covers_the_vocabulary_and_the_empty_text(self):
        metadata, _ = self.convert(self.file(text_of(WORDS, table())))
        ids = self.texts(metadata)
        self.assertIn([], ids)
        self.assertEqual({i for each in ids for i in each} >= {1, 2, 3, 5, 6}, True)
        vectors = np.reshape(metadata["ranklet.selftest.vectors"], (len(ids), 5))
        for each, vector in zip(ids, vectors):
            expected = table()[each].mean(0) if each else np.zeros(5)
            np.testing.assert_allclose(vector, expected, atol=1e-6)

    def test_broken_text_files(self):
        rows, good = table(), text_of(WORDS, table())
        lines = good.splitlines()
        for content, words in (
                (b"", ("the file is empty",)),
                (b"\xef\xbb\xbf" + good.encode(), ("byte order mark",)),
                ("hello\n", ("line 1 is neither",)),
                ("\n".join(lines[:5]) + "\n", ("truncated", "4 words, the header says 7")),
                (good + lines[1] + "\n", ("line 9", "more than the 7 words")),
                ("\n".join(lines[:3] + [lines[3].rsplit(" ", 1)[0]] + lines[4:]) + "\n", ("line 4", "4 numbers, expected a word and 5")),
                ("\n".join([lines[0], "a 1 2 3"]) + "\n" + "x" * 200, ("line 2", "3 numbers, expected a word and 5")),
                ("\n".join(lines[:3] + [""] + lines[3:]) + "\n", ("line 4 is empty",)),
                (good.replace("phone", "the"), ("line 4", "'the' stands twice, first in line 3")),
                (good.encode().replace("é".encode(), b"\xff"), ("line 8", "not UTF-8")),
                (good.replace(repr(float(rows[2, 3])), "nan"), ("'phone'", "nan at 3")),
                (good.replace(repr(float(rows[2, 3])), "1e400"), ("'phone'", "inf at 3")),
                (good.replace(repr(float(rows[2, 3])), "1,5"), ("line 4", "'1,5'", "not a number")),
                (good.replace("7 5", "7 0", 1), ("the header says 7 words of 0 numbers",)),
                (good.replace("7 5", "0 5", 1), ("the header says 0 words",)),
                (good.replace("7 5", "99999999999 5", 1), ("truncated", "99999999999 words")),
                (good.replace("7 5", "7 99999999999", 1), ("99999999999 numbers",))):
            with self.subTest(words):
                self.refused(self.file(content), *words)

    def test_broken_binary_files(self):
        rows, good = table(), binary_of(WORDS, table())
        nan = rows.copy()
        nan[4, 1] = np.nan
        for content, words in (
                (good[:-30], ("truncated",)),
                (good[:60], ("truncated", "7 words of 5 numbers")),
                (good + b"more", ("4 bytes are left over",)),
                (good.replace(b"phone", b"the"), ("the word 'the' stands twice",)),
                (good.replace("é".encode(), b"\xff"), ("word 6", "not UTF-8")),
                (binary_of(WORDS, nan), ("'手机壳'", "nan at 1")),
                (good.replace(b"the ", b" ", 1), ("word 1", "empty")),
                (b"9999999999 300\n" + good[4:], ("truncated", "9999999999 words"))):
            with self.subTest(words):
                self.refused(self.file(content, "words.bin"), *words)

    def test_every_truncation_is_an_error(self):
        rows = table(3)
        binary, text = binary_of(WORDS[:3], rows), text_of(WORDS[:3], rows).encode()
        for good, end in ((binary, len(binary) - 1), (text, text.rindex(b" "))):
            for size in range(0, end, 5):
                code, _, err = run(self.file(good[:size], "cut.txt" if good is text else "cut.bin"), self.folder / "cut.gguf")
                self.assertEqual(code, 1, (size, err))
                self.assertIn("error: ", err)
        self.convert(self.file(text[:-3], "cut.txt"))  # a shorter last number is a number
        self.assertIn("no line end", self.stderr)

    def test_options_that_mean_nothing(self):
        path = self.file(text_of(WORDS[1:], table(6)))
        for options, words in ((("--pooling", "cls"), ("--pooling",)), (("--scoring", "dot_product"), ("--scoring",)),
                               (("--unknown", "row"), ("--unknown row", "<unk>")), (("--max-words", "0"), ("--max-words",)),
                               (("--max-length", "0"), ("max_length 0",))):
            with self.subTest(options):
                self.refused(path, *words, options=options)
        folder, state = self.encoder()
        self.refused(folder, "no word vectors", options=("--pooling", "mean", "--unknown", "skip"))

    def test_tencent_character_vectors(self):
        """Real ones (CC BY 3.0): 4,762 characters of 200 numbers, as word2vec text."""
        from weights_converter.safetensors import SafeTensors
        rows = SafeTensors(asset("vectors/tencent-char-4762x200.safetensors"))["embeddings"]
        words = asset("vectors/tencent-char-vocab.txt").read_text(encoding="utf-8").split("\n")[:len(rows)]
        kept = [i for i, word in enumerate(words) if word.strip()]  # the format cannot say a blank
        words, rows = [words[i] for i in kept], np.asarray(rows)[kept]
        metadata = self.check(self.file(text_of(words, rows)), rows, "--normalize", words=words)
        vectors = np.reshape(metadata["ranklet.selftest.vectors"], (-1, 200))
        cosine = lambda a, b: rows[words.index(a)] @ rows[words.index(b)] / np.linalg.norm(rows[words.index(a)]) / np.linalg.norm(
            rows[words.index(b)])
        self.assertGreater(cosine("男", "女"), cosine("男", "路"))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1)[0], 1, atol=1e-5)
        expected = rows[[words.index("手"), words.index("机")]].mean(0)
        np.testing.assert_allclose(vectors[0], expected / np.linalg.norm(expected), atol=1e-5)


class Static(FolderTest):
    def folder_of(self, kind, tensors, normalize=False, name="static"):
        folder, tokens = self.folder / name, layouts.tiny_vocabulary()
        inner = folder if kind == "model2vec" else folder / "0_StaticEmbedding"
        inner.mkdir(parents=True, exist_ok=True)
        layouts.write_tokenizer(inner, tokens, 512)
        layouts.write_safetensors(inner / "model.safetensors", tensors)
        if kind == "model2vec":
            layouts.write_json(folder / "config.json", {"model_type": "model2vec", "normalize": normalize})
        else:
            modules = [{"type": "sentence_transformers.models.StaticEmbedding", "path": "0_StaticEmbedding"}]
            modules += [{"type": "sentence_transformers.models.Normalize", "path": "1_Normalize"}] * normalize
            layouts.write_json(folder / "modules.json", modules)
        return folder

    def setUp(self):
        super().setUp()
        self.count = len(layouts.tiny_vocabulary())
        self.table = table(self.count, 6)

    def test_static_embedding(self):
        for name in ("embedding.weight", "embeddings"):
            for normalize in (False, True):
                folder = self.folder_of("StaticEmbedding", {name: self.table}, normalize, f"s{name}{normalize}")
                metadata, tensors = self.convert(folder)
                same(self, tensors["ranklet.words.weight"], self.table)
                self.assertEqual([metadata[f"ranklet.words.{key}"] for key in ("tokenizer", "unknown", "normalize")],
                                 ["wordpiece", "row", normalize])
                self.assertNotIn("ranklet.encoder.max_length", metadata)
                self.assertNotIn("tokenizer.ggml.cls_token_id", metadata)

    def test_truncation_of_the_tokenizer_counts(self):
        folder = self.folder_of("StaticEmbedding", {"embedding.weight": self.table})
        edit(folder / "0_StaticEmbedding" / "tokenizer.json", truncation={"max_length": 7, "direction": "Right"})
        self.assertEqual(self.convert(folder)[0]["ranklet.encoder.max_length"], 7)

    def test_model2vec(self):
        weights = np.abs(layouts.Draw("w").normal(self.count))
        mapping = np.arange(self.count) % 20
        folder = self.folder_of("model2vec", {"embeddings": self.table[:20], "weights": weights, "mapping": mapping}, True)
        metadata, tensors = self.convert(folder)
        same(self, tensors["ranklet.words.token_weight"], weights)
        same(self, metadata["ranklet.words.mapping"], mapping)
        self.assertEqual([metadata[f"ranklet.words.{key}"] for key in ("unknown", "normalize")], ["skip", True])
        self.assertEqual(metadata["ranklet.encoder.max_length"], 512)

    def test_no_special_tokens_are_needed(self):
        folder = self.folder_of("model2vec", {"embeddings": self.table})
        edit(folder / "tokenizer.json", post_processor=None)
        self.convert(folder)

    def test_broken_folders(self):
        bad = np.abs(layouts.Draw("w").normal(self.count))
        bad[5] = -1
        ids = np.arange(self.count)
        for tensors, words in (
                ({"embeddings": self.table[:-1]}, (f"{self.count - 1} rows, but the tokenizer has {self.count} tokens",)),
                ({"other": self.table}, ("expected embedding.weight or embeddings", "other")),
                ({"embeddings": self.table, "embedding.weight": self.table}, ("expected embedding.weight or embeddings",)),
                ({"embeddings": self.table * np.float32(np.nan)}, ("embeddings", "finite")),
                ({"embeddings": self.table, "weights": bad}, ("weight of token 5 is -1",)),
                ({"embeddings": self.table, "weights": bad[:9]}, (f"9 entries for {self.count} tokens",)),
                ({"embeddings": self.table[:9], "mapping": ids}, (f"row {self.count - 1} of 9",)),
                ({"embeddings": self.table, "mapping": ids[:9]}, ("mapping has shape [9]",))):
            with self.subTest(words):
                self.refused(self.folder_of("model2vec", tensors), *words)

    def test_modules_that_are_not_supported(self):
        folder = self.folder_of("StaticEmbedding", {"embedding.weight": self.table})
        modules = json.loads((folder / "modules.json").read_text())
        layouts.write_json(folder / "modules.json", modules + [{"type": "x.Dense", "path": "1"}])
        self.refused(folder, "Dense", "only Normalize")
        layouts.write_json(folder / "modules.json", [{**modules[0], "path": "../elsewhere"}])
        self.refused(folder, "expected a folder inside")
        layouts.write_json(folder / "modules.json", modules)
        (folder / "0_StaticEmbedding" / "tokenizer.json").unlink()
        self.refused(folder, "no tokenizer.json")
        (folder / "0_StaticEmbedding" / "model.safetensors").unlink()
        self.refused(folder, "no weights")

    def test_other_tokenizers_are_named(self):
        folder = self.folder_of("model2vec", {"embeddings": self.table})
        edit(folder / "tokenizer.json", pre_tokenizer={"type": "ByteLevel"})
        self.refused(folder, "pre_tokenizer is ByteLevel")


class Recommenders(FolderTest):
    def recommender(self, scoring="dot_product", **settings):
        folder = self.folder / "shop"
        folder.mkdir(exist_ok=True)
        (folder / "words.txt").write_text(text_of(WORDS, table()), encoding="utf-8")
        state = layouts.gru_state(layouts.Draw("gru"), 5, 5)
        layouts.write_safetensors(folder / "model.safetensors", state)
        layouts.write_json(folder / "ranklet.json", {"scoring": scoring, "encoder": "words.txt", **settings})
        return folder

    def test_a_gru_over_word_vectors(self):
        metadata, tensors = self.convert(self.recommender(normalize=True, name="tiny shop"))
        self.assertEqual(metadata["ranklet.recommender.scoring"], "dot_product")
        self.assertTrue(metadata["ranklet.words.normalize"])
        self.assertEqual(metadata["general.name"], "tiny shop")
        self.assertEqual(len(metadata["ranklet.selftest.scores"]), len(metadata["ranklet.selftest.texts"]))
        self.assertIn("ranklet.gru.0.weight_ih", tensors)

    def test_what_does_not_fit(self):
        self.refused(self.recommender("text_gru"), "text_gru needs BERT")
        self.refused(self.recommender("next_event"), "out.weight is missing")
        self.refused(self.recommender(encoder="nothing.txt"), "no ", "nothing.txt")
        self.refused(self.recommender(encoder="../words.txt"), "expected a file or folder inside")
        self.refused(self.recommender(encoder="ranklet.json"), "not word vectors")
        folder = self.recommender()
        layouts.write_safetensors(folder / "model.safetensors", layouts.gru_state(layouts.Draw("gru"), 7, 5))
        self.refused(folder, "the GRU reads 7 values", "a text's vector of 5")


class Reference(unittest.TestCase):
    def test_words_of_texts(self):
        words = ["a", "don't", "well", "made", "1.5", "人民", "人民共和国", "国", "t恤", "恤", "x", "é"]
        cutter = Words(words, True, "skip")
        for text, expected in (("A don't well-made 1.5", "a don't well made 1.5"), ("人民共和国国", "人民共和国 国"),
                               ("人民共和", "人民"), ("T恤 白T恤", "t恤 t恤"), ("x'zz 1,5", "x"), ("", "")):
            self.assertEqual([words[i] for i in cutter.encode(text)], expected.split(), text)
        self.assertEqual([words[i] for i in Words(words, True, "characters").encode("xéq")], ["x", "é"])
        self.assertEqual(Words(words, False, "row", 3).encode("A a"), [3, 0])


if __name__ == "__main__":
    unittest.main()
