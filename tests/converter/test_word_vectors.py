"""Word vectors: word2vec, GloVe, model2vec and StaticEmbedding are read as written; what is broken is named."""
import json
import re
import struct
import unittest
import warnings
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

    def test_a_byte_order_mark_is_no_part_of_the_first_word(self):
        rows, mark = table(), b"\xef\xbb\xbf"
        for name, content in (("words.txt", text_of(WORDS, rows)), ("glove.txt", text_of(WORDS, rows, False)),
                              ("words.data", text_of(WORDS, rows)), ("words.bin", binary_of(WORDS, rows))):
            with self.subTest(name):
                self.check(self.file(mark + (content if isinstance(content, bytes) else content.encode()), name), rows)
        broken = text_of(WORDS, rows).splitlines()
        self.refused(self.file(mark + "\n".join(broken[:3] + [""] + broken[3:]).encode()), "line 4 is empty")

    def test_stop_words(self):
        path = self.file(text_of(WORDS, table()))
        metadata = self.check(path, table(), "--stop-words", "en,zh")
        lists = [(LISTS / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1] for name in ("en", "zh")]
        self.assertEqual(metadata["ranklet.words.stop_words"], sorted(set(lists[0] + lists[1])))
        own = self.file(b"\xef\xbb\xbfThe\r\n\n Red \n", "own.txt")
        self.assertEqual(self.check(path, table(), "--stop-words", own)["ranklet.words.stop_words"], ["red", "the"])
        metadata = self.check(path, table(), "--stop-words", own, "--lowercase", "no")
        self.assertEqual(metadata["ranklet.words.stop_words"], ["Red", "The"])
        self.refused(path, "neither en, zh nor a file", options=("--stop-words", "fr"))
        self.refused(path, "no word in it", options=("--stop-words", self.file("\n", "empty.txt")))
        self.refused(path, "zero.txt, line 2: has a zero byte", options=("--stop-words", self.file(b"a\nb\0\n", "zero.txt")))
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


    def test_words_with_spaces_anywhere(self):
        """Text is told from binary by many lines, so the first word may be anything."""
        words = ["New York", "hello", "is Ivan", "20 000", "7"]
        rows = table(5)
        for order in ([0, 1, 2, 3, 4], [3, 4, 0, 1, 2], [1, 0, 2, 4, 3]):
            some = [words[i] for i in order]
            for header in (True, False):
                self.check(self.file(text_of(some, rows, header)), rows, words=some)
        self.check(self.file(text_of(words, rows)), rows[:1], "--max-words", "1", words=words[:1])

    def test_the_header_counts_whatever_is_kept(self):
        rows = table(4)
        text, binary = text_of(WORDS[:4], rows), binary_of(WORDS[:4], rows)
        for content, words in ((text.replace("4 5", "3 5", 1), ("4 words, more than the 3",)),
                               (text.replace("4 5", "5 5", 1), ("truncated: 4 words, the header says 5",)),
                               (binary.replace(b"4 5", b"3 5", 1), ("left over after the 3 words",)),
                               (binary[:-9], ("truncated", "word 3"))):
            with self.subTest(words):
                self.refused(self.file(content), *words, options=("--max-words", "1"))

    def test_binary_words_hold_any_byte_but_a_space(self):
        words = ["a\nb", "\0", "z\0z", "\n", "\nq", "c", "d", "e", "手机"]
        rows = table(9)
        for end in (b"\n", b""):
            with self.subTest(end):
                self.check(self.file(binary_of(words, rows, end), "words.bin"), rows, words=words)

    def test_rows_that_cannot_be_used_are_dropped_on_request(self):
        rows, good = table(), text_of(WORDS, table()).encode()
        lines = good.split(b"\n")
        cases = (  # content, the error, the row left out, the reason
            (good.replace("é".encode(), b"\xff"), ("line 8", "not UTF-8 at its byte 3"), 6, "whose word is not UTF-8"),
            (good.replace(b"phone", b"the"), ("line 4", "'the' stands twice, first in line 3"), 2, "whose word stands before"),
            (good.replace(b"\nred ", b"\n "), ("line 7", "5 numbers and no word before them"), 5, "without a word"),
            (b"\n".join(lines[:3] + [lines[3].rsplit(b" ", 1)[0]] + lines[4:]), ("line 4", "4 numbers, expected a word and 5"), 2,
             "with fewer than 5 numbers"),
            (b"\n".join(lines[:3] + [b" 1 2 3"] + lines[4:]), ("line 4", "3 numbers and no word, expected a word and 5"), 2,
             "with fewer than 5 numbers"),
            (good.replace(repr(float(rows[2, 3])).encode(), b"nan"), ("line 4", "'phone'", "nan at 3"), 2, "that is not finite"),
            (good.replace(repr(float(rows[2, 3])).encode(), b"1,5"), ("line 4", "'1,5' is not a number"), 2, "what is not a number"),
            (good.replace(b"phone", b"p" * 1025), ("line 4", "1025 bytes, it may have 1024"), 2, "longer than 1024 bytes"))
        for content, words, gone, reason in cases:
            with self.subTest(reason):
                path = self.file(content)
                self.refused(path, *words, "--drop-bad-rows")
                kept = [i for i in range(len(WORDS)) if i != gone]
                self.check(path, rows[kept], "--drop-bad-rows", words=[WORDS[i] for i in kept])
                self.assertIn("1 row left out", self.stderr)
                self.assertIn(reason, self.stderr)

    def test_rows_of_binary_files_are_dropped_too(self):
        words, rows = ["a", "b", "a", "c", "a"], table(5)
        content = binary_of(words, rows).replace(b"\nc ", "\n手 ".encode()[:2] + b" ")
        path = self.file(content, "words.bin")
        self.refused(path, "'a' stands twice, first in word 0")
        self.check(path, rows[:2], "--drop-bad-rows", words=["a", "b"])
        self.assertIn("2 rows left out whose word stands before, the first: word 2", self.stderr)
        self.assertIn("1 row left out whose word is not UTF-8", self.stderr)
        self.check(path, rows[:1], "--drop-bad-rows", "--max-words", "1", words=["a"])
        self.refused(self.file(binary_of(["\0"], rows[:1] * np.float32("nan"))), "no row can be used", options=("--drop-bad-rows",))

    def test_a_number_beyond_float32_is_an_error_of_one_line_without_numpys_warning(self):
        path = self.file(b"2 3\nking 1 2 3\nqueen 1 1e39 2\n")
        for dtype in ("f32", "f16", "bf16", "i8"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.refused(path, "line 3", "'queen'", "inf at 1", "every number must be finite", options=("--dtype", dtype))
        path = self.file(b"2 3\nking 1 2 3\nqueen 1 1e38 -2\n")  # f32 holds it, bf16 too
        for dtype, code in (("f16", 1), ("bf16", 0), ("f32", 0)):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                got, _, stderr = run(path, self.folder / "big.gguf", "--dtype", dtype)
            self.assertEqual(got, code, stderr)
            self.assertEqual("1e+38 does not fit into f16" in stderr, code == 1, stderr)

    def test_words_that_texts_reach(self):
        words = ["u.s.", "node.js", "c++", "new york", "cafe\u0301", "it\u2019s", "οδος", "c"]
        metadata = self.check(self.file(text_of(words, table(8))), table(8), words=words)
        self.assertEqual((metadata["ranklet.words.tokenizer"], metadata["ranklet.words.cut"]), ("cut_words", "vocabulary"))
        self.assertNotIn("found in no text", self.stderr)
        self.assertIn([0, 1, 2, 3, 4, 5], [ids[:6] for ids in self.texts(metadata)])  # the self-test has them

    def test_words_that_no_text_reaches_are_counted(self):
        words = ["a", "Apple", "NASA", " a", "\u200b", "the"]
        path = self.file(text_of(words[:3] + words[5:], table(4)))
        self.check(path, table(4), "--lowercase", "yes", "--stop-words", "en", words=words[:3] + words[5:])
        self.assertIn("2 of the 4 words will be found in no text, 'Apple' for one, 2 of them because text is lower-cased", self.stderr)
        self.check(self.file(text_of(["a", "\u200b"], table(2))), table(2), words=["a", "\u200b"])
        self.assertIn("1 of the 2 words will be found in no text, '\\u200b' for one", self.stderr)


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

    def test_model2vec_that_names_no_model_type(self):
        """As StaticModel.save_pretrained of 0.10 writes a model made by hand: modules.json for sentence-transformers beside it."""
        folder = self.folder_of("model2vec", {"embeddings": self.table})
        layouts.write_json(folder / "config.json", {"normalize": True, "max_length": 9, "embedding_dtype": "float32"})
        layouts.write_json(folder / "modules.json", [
            {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
            {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}])
        metadata, tensors = self.convert(folder)
        same(self, tensors["ranklet.words.weight"], self.table)
        self.assertEqual([metadata[f"ranklet.words.{key}"] for key in ("unknown", "normalize")], ["skip", True])
        self.assertEqual(metadata["ranklet.encoder.max_length"], 9)
        metadata, tensors = self.convert(folder, "--truncate-dim", "4")  # its `dimensionality`: cut, then normalised
        same(self, tensors["ranklet.words.weight"], self.table[:, :4])

    def test_fewer_numbers_of_static_vectors(self):
        folder = self.folder_of("StaticEmbedding", {"embedding.weight": self.table})
        layouts.write_json(folder / "config_sentence_transformers.json", {"truncate_dim": 4})
        same(self, self.convert(folder)[1]["ranklet.words.weight"], self.table[:, :4])
        folder = self.folder_of("StaticEmbedding", {"embedding.weight": self.table}, True, "normalized")
        layouts.write_json(folder / "config_sentence_transformers.json", {"truncate_dim": 4})
        self.refused(folder, "truncate_dim behind Normalize")
        metadata, tensors = self.convert(folder, "--truncate-dim", "4")  # and normalised again
        same(self, tensors["ranklet.words.weight"], self.table[:, :4])
        self.assertEqual(metadata["ranklet.words.normalize"], True)

    def test_what_model2vec_reads_of_a_text(self):
        """model2vec 0.10 obeys the max_length of config.json, else 512; a shorter truncation of tokenizer.json, which those before obey."""
        truncation = {"max_length": 3, "direction": "Right", "strategy": "LongestFirst", "stride": 0}
        for in_tokenizer, in_config, length, tokens in ((None, ..., 512, 512), (truncation, ..., 3, 3), (None, 4, 4, 4),
                                                        (truncation, 4, 4, 4), (truncation, None, None, None),
                                                        ({**truncation, "max_length": 600}, ..., 512, 512)):
            with self.subTest(in_tokenizer=in_tokenizer, in_config=in_config):
                folder = self.folder_of("model2vec", {"embeddings": self.table})
                edit(folder / "tokenizer.json", truncation=in_tokenizer)
                if in_config is not ...:
                    edit(folder / "config.json", max_length=in_config)
                metadata, _ = self.convert(folder)
                self.assertEqual(metadata.get("ranklet.encoder.max_length"), length)
                self.assertEqual(metadata.get("ranklet.words.max_tokens"), tokens)
                ids = [metadata["ranklet.selftest.token_ids"][a:b] for a, b in zip(
                    metadata["ranklet.selftest.token_offsets"], metadata["ranklet.selftest.token_offsets"][1:])]
                self.assertEqual(max(map(len, ids)) <= (length or 999), True)
        metadata, _ = self.convert(folder, "--max-length", "9")
        self.assertEqual((metadata["ranklet.encoder.max_length"], metadata.get("ranklet.words.max_tokens")), (9, None))
        edit(folder / "config.json", max_length=0)
        self.refused(folder, "max_length is 0")

    def test_sequences_of_normalizers_that_only_move_space(self):
        folder = self.folder_of("model2vec", {"embeddings": self.table})
        path = folder / "tokenizer.json"
        bert = json.loads(path.read_text(encoding="utf-8"))["normalizer"]
        plain, _ = self.convert(folder)
        marks = [{"type": "Replace", "pattern": {"String": c}, "content": f" {c} "} for c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
        tail = [{"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Strip", "strip_left": True, "strip_right": True}]

        def sequence(*parts):
            return {"type": "Sequence", "normalizers": list(parts)}

        for normalizer in (sequence(bert), sequence(bert, *marks, *tail), sequence(sequence(bert), tail[1])):
            edit(path, normalizer=normalizer)
            self.assertEqual(self.convert(folder)[0], plain)
        replace = {"type": "Replace", "pattern": {"String": "-"}, "content": ""}
        for normalizer, words in ((sequence(bert, replace), ("normalizer is Replace",)), (sequence(*tail), ("normalizer is Sequence",)),
                                  (sequence(bert, {"type": "NFD"}), ("normalizer is NFD",)), (sequence(), ("Sequence",)),
                                  (sequence(bert, bert), ("2 times BertNormalizer",)), (None, ("normalizer is None",)),
                                  (sequence(bert, {**replace, "pattern": {"Regex": "x"}}), ("normalizer is Replace",)),
                                  (sequence(bert, {**replace, "pattern": {"String": "a"}, "content": " a "}), ("is Replace",))):
            edit(path, normalizer=normalizer)
            self.refused(folder, *words)
        added = [{"id": self.count, "content": "a-b", "special": False, "lstrip": False, "rstrip": False, "single_word": False,
                  "normalized": True}]
        edit(path, normalizer=sequence(bert, *marks), added_tokens=json.loads(path.read_text())["added_tokens"] + added)
        self.refused(folder, "added token 'a-b'")

    def test_tables_of_8_bits_are_the_numbers_that_they_are(self):
        numbers = np.random.default_rng(3).integers(-127, 128, (self.count, 6)).astype(np.int8)
        numbers[5] = [1, 0, -3, 2, 0, 1]  # a row that its own largest number would not scale exactly
        folder = self.folder_of("model2vec", {"embeddings": numbers})
        for options in ((), ("--dtype", "f16")):
            same(self, self.convert(folder, *options)[1]["ranklet.words.weight"].astype(np.float32), numbers)
            self.assertIn("--dtype i8 keeps them so", self.stderr)
        _, tensors = self.convert(folder, "--dtype", "i8")
        same(self, tensors["ranklet.words.weight"], numbers.astype(np.float32))
        self.assertNotIn("note: ", self.stderr)
        numbers[2, 2] = -128  # which the model file's 8 bits do not have
        same(self, self.convert(self.folder_of("model2vec", {"embeddings": numbers}))[1]["ranklet.words.weight"], numbers)
        self.refused(self.folder_of("model2vec", {"embeddings": numbers[0]}), "shape [6]")

    def test_a_default_prompt_is_refused(self):
        folder = self.folder_of("StaticEmbedding", {"embedding.weight": self.table})
        layouts.write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "", "q": "q: "}, "default_prompt_name": None})
        self.convert(folder)
        edit(folder / "config_sentence_transformers.json", default_prompt_name="q")
        self.refused(folder, "default_prompt_name is 'q'")

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


class WordEmbeddings(FolderTest):
    """sentence-transformers' average_word_embeddings_* folders."""
    VOCABULARY = ["the", "phone", "case", "red", "Red", "phone"]

    def model(self, weights=None, normalize=False, pooling=None, words=(), tokens=()):
        folder = self.folder / "average"
        names = ["WordEmbeddings", *(["WordWeights"] if weights is not None else []), "Pooling", *(["Normalize"] * normalize)]
        folders = [folder / f"{i}_{name}" for i, name in enumerate(names)]
        for each in folders:
            each.mkdir(parents=True, exist_ok=True)
        layouts.write_json(folder / "modules.json", [{"idx": i, "name": str(i), "path": each.name,
                                                      "type": f"sentence_transformers.models.{name}"}
                                                     for i, (name, each) in enumerate(zip(names, folders))])
        layouts.write_json(folders[0] / "wordembedding_config.json", {
            "tokenizer_class": "sentence_transformers.models.tokenizer.WhitespaceTokenizer.WhitespaceTokenizer",
            "update_embeddings": False, "max_seq_length": 1000000, **dict(words)})
        layouts.write_json(folders[0] / "whitespacetokenizer_config.json", {
            "vocab": self.VOCABULARY, "stop_words": ["the", ""], "do_lower_case": False, **dict(tokens)})
        layouts.write_safetensors(folders[0] / "model.safetensors", {"emb_layer.weight": table(7, 3)})
        if weights is not None:
            layouts.write_safetensors(folders[1] / "model.safetensors", {"emb_layer.weight": np.float32(weights)[:, None]})
        pools = folders[names.index("Pooling")] / "config.json"
        layouts.write_json(pools, pooling or {"word_embedding_dimension": 3, "pooling_mode_mean_tokens": True})
        return folder

    def test_a_mean_of_word_embeddings(self):
        metadata, tensors = self.convert(self.model())
        same(self, tensors["ranklet.words.weight"], table(7, 3))
        self.assertNotIn("found in no text", self.stderr)
        words = metadata["ranklet.words.tokens"]
        self.assertEqual(words, ["the", "[unused row 1]", "case", "red", "Red", "phone", "[unused row 6]"])
        self.assertEqual([metadata[f"ranklet.words.{key}"] for key in ("tokenizer", "cut", "lowercase", "unknown", "pooling", "normalize")],
                         ["cut_words", "whitespace", False, "skip", "mean", False])
        self.assertEqual(metadata["ranklet.words.stop_words"], ["the"])
        self.assertEqual(metadata["ranklet.encoder.max_length"], 1000000)
        cutter = Words(words, False, "skip", stop_words=["the"], cut="whitespace")
        for text, ids in (("the red phone", [3, 5]), ('"Red" PHONE, case.', [4, 5, 2]), ("(THE) red-phone", []), ("", [])):
            self.assertEqual(cutter.encode(text), ids, text)
        self.assertEqual(Words(words, True, "skip", cut="whitespace").encode("Red\x1cRED!"), [3, 3])

    def test_weights_and_normalize(self):
        weights = [1, 0.5, 2, 0, 1, 3]
        metadata, tensors = self.convert(self.model(weights, True))
        same(self, tensors["ranklet.words.token_weight"], np.float32(weights + [1]))
        self.assertEqual((metadata["ranklet.words.pooling"], metadata["ranklet.words.normalize"]), ("weighted_mean", True))

    def test_what_is_refused(self):
        for arguments, words in (
                ({"tokens": {"vocab": ["a", "b" * 1025]}}, ("token 1, ", "has 1025 bytes, it may have 1024")),
                ({"pooling": {"pooling_mode_max_tokens": True}}, ("pooling is max, only mean",)),
                ({"words": {"tokenizer_class": "x.PhraseTokenizer"}}, ("PhraseTokenizer, only WhitespaceTokenizer",)),
                ({"words": {"max_seq_length": 0}}, ("max_seq_length is 0",)),
                ({"tokens": {"vocab": ["a"] * 8}}, ("7 rows, but the vocabulary has 8",)),
                ({"tokens": {"vocab": "a"}}, ("vocab is 'a'",)),
                ({"tokens": {"do_lower_case": 1}}, ("do_lower_case is 1",)),
                ({"weights": [1, 2]}, ("expected [6, 1]",))):
            with self.subTest(words):
                self.refused(self.model(**arguments), *words)
        folder = self.model()
        self.refused(folder, "--unknown characters means nothing", options=("--unknown", "characters"))
        self.refused(folder, "--max-words is for files", options=("--max-words", "3"))
        modules = json.loads((folder / "modules.json").read_text())
        layouts.write_json(folder / "modules.json", modules + [{"type": "x.Dense", "path": "2_Dense"}])
        self.refused(folder, "Pooling, Dense")


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
