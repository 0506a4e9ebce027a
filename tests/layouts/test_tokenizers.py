"""Tokenizers of Unigram and byte pairs: the ids and offsets of Hugging Face's own `tokenizers`, for vocabularies trained here and, where
$RANKLET_ASSETS has them, real ones; over every code point, real texts and random ones.

Run by run.sh, in a Python that has them. RANKLET_ALL_CODE_POINTS=1: every code point with each tokenizer, else every 16th.
"""
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(REPOSITORY)]

try:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
except ImportError as missing:
    raise unittest.SkipTest(f"skipped: {missing.name} is not installed") from None

import numpy as np  # noqa: E402
from weights_converter import calibration, engine, subword, tokenizer  # noqa: E402
from weights_converter.errors import ConversionError  # noqa: E402
from weights_converter.model import Model  # noqa: E402

ASSETS = Path(os.environ.get("RANKLET_ASSETS") or REPOSITORY.parent / "shared" / "assets") / "tokenizers"
CORPUS = [line for name in ("en.txt", "zh.txt") for line in (calibration.FOLDER / name).read_text(encoding="utf-8").split("\n")]
ODD = ["", " ", "  ", " a", "a ", "a\r\nb", "don't I'LL it's 'S 'ſ", "1234567 x12 ½²", "\n\n  \n x", "\t\ttab", "hello   world", "e\u0301 cafe\u0301", "ﬁ ①",
       "\u200b\ufeffx", "👨‍👩‍👧 1️⃣", "<s> hi</s>", "a<mask>b <mask> c", "नमस्ते", "가각 각", "\u0000a", "A" * 3000, "ab" * 700 + " " * 50 + "手机" * 300]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
AROUND = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])


def _pairs(pre, normalizer=None, post=None, **more):
    made = Tokenizer(models.BPE(**more))
    made.pre_tokenizer = pre
    if normalizer is not None:
        made.normalizer = normalizer
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=3000, special_tokens=SPECIAL, show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if post is not None:
        made.post_processor = post
    return made


def _unigram(normalizer, pre):
    made = Tokenizer(models.Unigram())
    made.normalizer, made.pre_tokenizer = normalizer, pre
    made.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=4000, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False))
    made.post_processor = AROUND
    return made


def _characters():
    made = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=3000, limit_alphabet=600, show_progress=False, special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]))
    made.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    return made


def _split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


MADE = {
    "RoBERTa's": lambda: _pairs(pre_tokenizers.ByteLevel(add_prefix_space=False), None, processors.RobertaProcessing(("</s>", 2), ("<s>", 0))),
    "ModernBERT's": lambda: _pairs(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC(), AROUND),
    "Llama 3's": lambda: _pairs(_split(subword.LLAMA3), ignore_merges=True),
    "Qwen's": lambda: _pairs(_split(subword.QWEN2), normalizers.NFC(), processors.ByteLevel(trim_offsets=False)),
    "Unigram with a mark always": lambda: _unigram(normalizers.Replace(Regex(" {2,}"), " "), pre_tokenizers.Metaspace(prepend_scheme="always")),
    "Unigram of T5's words": lambda: _unigram(normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()]), pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])),
    "Unigram with a mark first": lambda: _unigram(normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="first")),
    "Unigram that cuts no words": lambda: _unigram(normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="never", split=False)),
    "Llama 2's": _characters,
}


def random_texts(count):
    rng = random.Random(5)

    def char():
        return chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xA0, 0x3000), rng.randrange(0x3000, 0xD800), rng.randrange(0xE000, 0x110000), 32, 10]))
    return ["".join(char() for _ in range(rng.randrange(1, 20))) for _ in range(count)]


def code_points():
    step = 1 if os.environ.get("RANKLET_ALL_CODE_POINTS") == "1" else 16
    for code in (*range(0x3000), *range(0x3000, 0x110000, step)):
        if not 0xD800 <= code < 0xE000:
            yield chr(code)
            yield f"a{chr(code)}b"


class Tokenizers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = engine.program(lambda text: print(text, file=sys.stderr), str(HERE / "tokens.cpp"))

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ranklet-tokens-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def read(self, content):
        (self.folder / "tokenizer.json").write_text(content, encoding="utf-8")
        with contextlib.redirect_stderr(io.StringIO()):
            return tokenizer.read_tokenizer(str(self.folder), None, lambda text: None)

    def same(self, content, texts, offsets_may_differ=0):
        made = self.read(content)
        model = Model("f32", "tokens")
        tokenizer.add_keys(model, made, lambda text: None)
        model.exact("nothing", np.zeros((1, 1), np.float32))
        model.write(str(self.folder / "tokens.gguf"))
        texts = list(texts)
        (self.folder / "texts").write_bytes(b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts))
        done = subprocess.run([self.program, *(str(self.folder / name) for name in ("tokens.gguf", "texts", "out"))], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        found, at, other_offsets = np.fromfile(self.folder / "out", "<i4"), 0, []
        own = Tokenizer.from_str(self.new_form(content))
        own.no_truncation()
        own.no_padding()
        run = subword.SubwordRunner(made)
        for n, (text, wanted) in enumerate(zip(texts, own.encode_batch(texts))):
            count = found[at]
            ids, offsets = found[at + 1:at + 1 + count].tolist(), found[at + 1 + count:at + 1 + 3 * count].reshape(-1, 2).tolist()
            at += 1 + 3 * count
            self.assertEqual(ids, wanted.ids, repr(text))
            bytes_ = np.cumsum([0] + [len(char.encode()) for char in text])
            if offsets != [[bytes_[a], bytes_[b]] for a, b in wanted.offsets]:
                other_offsets.append(text)
            if n < 300 and len(text) < 200:  # the converter's own, which self-tests are made with
                self.assertEqual(run.encode(text), wanted.ids, repr(text))
        self.assertLessEqual(len(other_offsets), offsets_may_differ, other_offsets[:5])

    @staticmethod
    def new_form(content):
        """Files of before a model had a type are read by an older library; what is theirs is what it is now."""
        data = json.loads(content)
        if "type" in data["model"]:
            return content
        kind = "BPE" if "merges" in data["model"] else "Unigram"
        at = content.index('"model"')
        at = content.index("{", at) + 1
        return f'{content[:at]}"type":"{kind}",{content[at:]}'

    def test_trained_vocabularies(self):
        for name, make in MADE.items():
            with self.subTest(name):
                # Of marks in another order than the canonical one the library gives each its own place, Hugging Face's its neighbour's.
                self.same(make().to_str(), [*CORPUS[::3], *ODD, *random_texts(1500)], offsets_may_differ=3)

    def test_code_points(self):
        for name in ("Qwen's", "Llama 3's", "RoBERTa's", "Unigram of T5's words", "Llama 2's"):
            with self.subTest(name):
                self.same(MADE[name]().to_str(), code_points(), offsets_may_differ=2000)

    def test_real_vocabularies(self):
        for name in ("roberta-base", "t5-small"):
            path = ASSETS / name / "tokenizer.json"
            if not path.exists():
                self.skipTest(f"skipped: {path} is not there")
            with self.subTest(name):
                self.same(path.read_text(encoding="utf-8"), [*CORPUS, *ODD, *random_texts(3000)], offsets_may_differ=3)
                self.same(path.read_text(encoding="utf-8"), code_points(), offsets_may_differ=2000)

    def test_what_is_not_built_is_refused_and_shown(self):
        base = json.loads(MADE["RoBERTa's"]().to_str())
        for change, words in (
                ({"normalizer": {"type": "NFKC"}}, "NFKC"),
                ({"normalizer": {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"}}, "a\\+"),
                ({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "x|y"}, "behavior": "Isolated", "invert": False}}, "x\\|y"),
                ({"pre_tokenizer": {"type": "UnicodeScripts"}}, "UnicodeScripts"),
                ({"post_processor": {"type": "Other"}}, "Other"),
                ({"model": {**base["model"], "dropout": 0.1}}, "dropout is 0.1"),
                ({"model": {**base["model"], "merges": [["zz", "q!"]]}}, "merge of 'zz' and 'q!'"),
                ({"model": {**base["model"], "end_of_word_suffix": "</w>"}}, "end_of_word_suffix"),
                ({"model": {**base["model"], "type": "WordLevel"}}, "WordLevel")):
            with self.subTest(words), self.assertRaisesRegex(ConversionError, words):
                self.read(json.dumps({**base, **change}))


if __name__ == "__main__":
    unittest.main()
