"""Tokenizers as published encoders have them, trained on the converter's calibration texts, for test_architectures.py.

name -> function that makes one, an object of Hugging Face's `tokenizers`.
"""
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from weights_converter import calibration, subword

CORPUS = [line for name in ("en.txt", "zh.txt") for line in (calibration.FOLDER / name).read_text(encoding="utf-8").split("\n")]
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
    "Llama 3's": lambda: _pairs(_split(subword.PATTERNS[2]), ignore_merges=True),
    "Qwen's": lambda: _pairs(_split(subword.PATTERNS[3]), normalizers.NFC(), processors.ByteLevel(trim_offsets=False)),
    "Unigram with a mark always": lambda: _unigram(normalizers.Replace(Regex(" {2,}"), " "), pre_tokenizers.Metaspace(prepend_scheme="always")),
    "Unigram of T5's words": lambda: _unigram(normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()]), pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])),
    "Unigram with a mark first": lambda: _unigram(normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="first")),
    "Unigram that cuts no words": lambda: _unigram(normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="never", split=False)),
    "Llama 2's": _characters,
}
