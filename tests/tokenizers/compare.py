"""Compares the library's tokenizers, converted and read from a model file, with Hugging Face's `tokenizers`: ids, token types, offsets
and words, over every code point alone and between letters, corpora, and seeded random texts.

usage: compare.py --goldens FOLDER     what goldens_test.cpp reads, small tokenizers of our own
       compare.py [NAME ...] [--quick] [--list] [--speed] [--vocabularies FOLDER] [--work FOLDER]

NAME: the tokenizers to compare; none: all that can be had. --quick: a tenth of the texts. --speed: seconds for the corpora instead,
one thread each. Vocabularies: ../shared/assets or $RANKLET_ASSETS; FOLDER (else $RANKLET_VOCABULARIES) may hold llama.cpp's
ggml-vocab-*.gguf, and static_model/ of tokenlearn-static-model. What is not there is skipped, and said. Exit code 77: nothing was
compared. Needs numpy and tokenizers (sentencepiece for the tokenizers that it trains).
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ASSETS = Path(os.environ.get("RANKLET_ASSETS", ROOT.parent / "shared" / "assets"))

try:
    import numpy as np
    import tokenizers
    from tokenizers import Tokenizer
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed")
    sys.exit(77)

from weights_converter import subword  # noqa: E402
from weights_converter.gguf import read_gguf  # noqa: E402
from weights_converter.model import Model  # noqa: E402
from weights_converter.tokenizer import added_tokens, model_type  # noqa: E402

NONE = 0xFFFFFFFF
LLAMA3 = subword.PATTERNS[2]
QWEN2 = subword.PATTERNS[3]
QWEN35 = subword.PATTERNS[4]

# ---------------------------------------------------------------- tokenizers


def added(content, i, special=True, **flags):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special, **flags}


def document(model, normalizer=None, pre=None, post=None, extra=()):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(extra), "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": None, "model": model}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def byte_level(prefix=False, regex=True, trim=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": regex}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def metaspace(scheme="always", splits=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": splits}


def template(before=(), after=(), between=None, types=(0, 0), ids=None):
    def special(names, kind):
        return [{"SpecialToken": {"id": name, "type_id": kind}} for name in names]
    text = [{"Sequence": {"id": "A", "type_id": types[0]}}]
    other = [{"Sequence": {"id": "B", "type_id": types[1]}}]
    single = special(before, types[0]) + text + special(after, types[0])
    pair = single + special(between or (), types[0]) + other + special(after, types[1])
    return {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in (ids or {}).items()}}


def from_gguf(path):
    keys = read_gguf(path)[0]
    tokens, types = list(keys["tokenizer.ggml.tokens"]), keys["tokenizer.ggml.token_type"]
    special = [added(token, i, kind == 3) for i, (token, kind) in enumerate(zip(tokens, types)) if kind in (3, 4)]
    return keys, tokens, special


def byte_bpe(path, pre, normalizer=None, post=None, **model):
    _, tokens, special = from_gguf(path)
    keys = read_gguf(path)[0]
    known = dict.fromkeys(tokens)
    count = len(tokens)
    contents = {each["id"] for each in special}
    while count - 1 in contents:
        count -= 1
    assert len(known) == len(tokens)
    merges = [merge for merge in keys["tokenizer.ggml.merges"]]
    return document({"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                     "fuse_unk": False, "byte_fallback": False, "vocab": {token: i for i, token in enumerate(tokens[:count])},
                     "merges": merges, **model}, normalizer, pre, post, special)


def merges_of_scores(tokens, scores, types):
    """The merges of a SentencePiece BPE model: every cut of a token in two tokens, the best token first."""
    ids = {token: i for i, token in enumerate(tokens)}
    merges = []
    for token, i in ids.items():
        if types[i] != 1:
            continue
        cuts = [(token[:c], token[c:]) for c in range(1, len(token)) if token[:c] in ids and token[c:] in ids]
        merges += [(-scores[i], i, ids[a], ids[b], a, b) for a, b in cuts]
    return [[a, b] for *_, a, b in sorted(merges)]


def llama2(path):
    keys, tokens, _ = from_gguf(path)
    types = keys["tokenizer.ggml.token_type"]
    special = [added(tokens[i], i, normalized=True) for i in (0, 1, 2)]
    return document({"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                     "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
                     "vocab": {token: i for i, token in enumerate(tokens)},
                     "merges": merges_of_scores(tokens, keys["tokenizer.ggml.scores"], types)},
                    sequence("normalizers", {"type": "Prepend", "prepend": "▁"},
                             {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), None,
                    template(["<s>"], [], ["<s>"], (0, 1), {"<s>": 1}), special)


def gemma(path):
    keys, tokens, special = from_gguf(path)
    return document({"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                     "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
                     "vocab": {token: i for i, token in enumerate(tokens)},
                     "merges": [merge.split(" ") for merge in keys["tokenizer.ggml.merges"]]},
                    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                    split(" ", "MergedWithPrevious", kind="String"),
                    template(["<bos>"], ["<eos>"], [], (0, 1), {"<bos>": 2, "<eos>": 1}), special)


def xlm_roberta(path, pre, newer=False):
    import base64
    keys, tokens, _ = from_gguf(path)
    count = 250002
    charsmap = base64.b64encode(bytes(keys["tokenizer.ggml.precompiled_charsmap"])).decode()
    special = [added(tokens[i], i) for i in range(4)] + [added(tokens[250001], 250001, lstrip=True)]
    steps = [{"type": "Precompiled", "precompiled_charsmap": charsmap}]
    if newer:
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    return document({"type": "Unigram", "unk_id": 3, "vocab": [[token, float(score)] for token, score in zip(
        tokens[:count], keys["tokenizer.ggml.scores"])], "byte_fallback": False},
        sequence("normalizers", *steps), pre, template(["<s>"], ["</s>"], ["</s>"], (0, 0), {"<s>": 0, "</s>": 2}), special)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def texts_of_corpora():
    lines = []
    for name in ("books.tsv", "zh-news-titles.txt", "sst-train.tsv", "sst-dev.tsv", "sst-test.tsv"):
        lines += (ASSETS / "corpora" / name).read_text(encoding="utf-8").splitlines()
    people = (ASSETS / "corpora" / "zh-resume-ner-train.bmes").read_text(encoding="utf-8").split("\n\n")
    lines += ["".join(line[:1] for line in each.splitlines()) for each in people]
    return [line for line in lines if line]


def trained_unigram(size, byte_fallback=False, normalizer=None, pre=None):
    from tokenizers import models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(texts_of_corpora(), trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    data = json.loads(tokenizer.to_str())
    if byte_fallback:
        low = min(score for _, score in data["model"]["vocab"])
        data["model"]["vocab"] += [[f"<0x{byte:02X}>", low] for byte in range(256)]
        data["model"]["byte_fallback"] = True
    data["normalizer"], data["pre_tokenizer"] = normalizer, pre or data["pre_tokenizer"]
    return data


def trained_bpe(size, pre, normalizer=None, unknown=None, **model):
    from tokenizers import models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if unknown is None else pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(texts_of_corpora(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=[unknown or "<s>", "</s>"], show_progress=False, limit_alphabet=2000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if unknown is None else []))
    data = json.loads(tokenizer.to_str())
    data["model"] |= {"unk_token": unknown, **model}
    data["normalizer"], data["pre_tokenizer"] = normalizer, pre
    return data


def charsmap_of(rules):
    """A SentencePiece charsmap of these rules, text -> what replaces it: a Darts double array with a block of 256 units a node."""
    values, texts = {}, b""
    for key, text in rules.items():
        values[key.encode()] = len(texts)
        texts += text.encode() + b"\0"
    units, nodes = [0] * 256, {b"": 0}  # of a node's key: its unit
    prefixes = sorted({key[:end] for key in values for end in range(len(key) + 1)}, key=len)
    children = {}
    for key in prefixes[1:]:
        children.setdefault(key[:-1], []).append(key[-1])
    for key in prefixes:
        base = len(units)
        units += [0] * 256
        unit = units[nodes[key]] & 0xFF if key else 0
        units[nodes[key]] = unit | (nodes[key] ^ base) << 10 | (key in values) << 8
        if key in values:
            units[base] = values[key] | 1 << 31
        for byte in children.get(key, ()):
            nodes[key + bytes([byte])] = base ^ byte
            units[base ^ byte] = byte
    assert len(units) < 1 << 21
    blob = np.array(units, "<u4").tobytes()
    return np.array([len(blob)], "<u4").tobytes() + blob + texts


RULES = {"a": "X", "\u0915": "K", "\u0995": "", "\u0958": "kk", "©": "(c)", "1": "one", "\r": "R", "\n": "N", "\u1100": "G", "\u0600": "", "e\u0301": "é",
         "\u0301": "", "가": "ga", "手": "shou", "\u200d": "", "\U0001F1E9": "D", "ab": "AB", "\u0903": "h", "\u00ad": "", "ﬁ": "fi", "½": "1/2", "\u0e33": "\u0e4d\u0e32"}


def bytes_alone(normalizer, pre=None):
    """A token a byte: everything that a normalizer does can be seen."""
    alphabet = sorted(map(chr, subword.byte_characters()))
    return document({"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                     "fuse_unk": False, "byte_fallback": False, "vocab": {c: i for i, c in enumerate(alphabet)}, "merges": []},
                    normalizer, pre or byte_level(regex=False))


def fancy(data):
    """With added tokens of every flag."""
    vocabulary = data["model"]["vocab"]
    known = vocabulary if isinstance(vocabulary, dict) else {token: i for i, (token, _) in enumerate(vocabulary)}
    following = len(known)
    flags = [{}, {"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}, {"single_word": True},
             {"normalized": True}, {"normalized": True, "single_word": True}, {"normalized": True, "lstrip": True, "rstrip": True}]
    contents = ["[MASK]", "<l>", "<r>", "<lr>", "new", "NEW York", "Éte", "x_y"]
    for i, (content, each) in enumerate(zip(contents, flags)):
        data["added_tokens"].append(added(content, known.get(content, following), special=i % 2 == 0, **each))
        following += content not in known
    return data


def tokenizers_of(vocabularies):
    """name -> function that makes its tokenizer.json"""
    out = {}

    def offer(name, path, make):
        if path is None or path.exists():
            out[name] = make
        else:
            print(f"{name}: skipped, {path} is not there")

    def ggml(name):
        return (vocabularies or Path("no-vocabularies")) / f"ggml-vocab-{name}.gguf"

    files = ASSETS / "tokenizers"
    for name in ("roberta-base", "t5-small"):
        offer(name, files / name / "tokenizer.json", lambda name=name: read(files / name / "tokenizer.json"))
    static = (vocabularies or Path("no-vocabularies")) / "static_model" / "model" / "tokenizer.json"
    offer("tokenlearn", static, lambda: {**read(static), "padding": None})
    roberta = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": True}
    offer("gpt2", ggml("gpt-2"), lambda: byte_bpe(ggml("gpt-2"), byte_level(), post=byte_level()))
    offer("gpt2-prefix", ggml("gpt-2"), lambda: byte_bpe(ggml("gpt-2"), byte_level(prefix=True), post=roberta))
    offer("modernbert", ggml("gpt-2"), lambda: byte_bpe(ggml("gpt-2"), byte_level(), {"type": "NFC"}, template(
        ["Hello"], ["World"], [], (0, 0), {"Hello": 15496, "World": 10603})))
    qwen = (sequence("pretokenizers", split(QWEN2), byte_level(regex=False, trim=False)), {"type": "NFC"},
            byte_level(regex=False, trim=False))
    offer("qwen2", ggml("qwen2"), lambda: byte_bpe(ggml("qwen2"), *qwen))
    offer("qwen35", ggml("qwen2"), lambda: byte_bpe(
        ggml("qwen2"), sequence("pretokenizers", split(QWEN35), byte_level(regex=False, trim=False)), *qwen[1:]))
    offer("llama3", ggml("llama-bpe"), lambda: byte_bpe(
        ggml("llama-bpe"), sequence("pretokenizers", split(LLAMA3), byte_level(regex=False)), None,
        sequence("processors", byte_level(), template(["<|begin_of_text|>"], [], ["<|begin_of_text|>"], (0, 1),
                                                      {"<|begin_of_text|>": 128000})), ignore_merges=True))
    offer("starcoder", ggml("starcoder"), lambda: byte_bpe(
        ggml("starcoder"), sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level())))
    offer("falcon", ggml("falcon"), lambda: byte_bpe(
        ggml("falcon"), sequence("pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(),
                                 {"type": "Digits", "individual_digits": False})))
    offer("llama2", ggml("llama-spm"), lambda: llama2(ggml("llama-spm")))
    offer("gemma", ggml("gemma-4"), lambda: gemma(ggml("gemma-4")))
    offer("xlm-roberta", ggml("nomic-bert-moe"), lambda: xlm_roberta(ggml("nomic-bert-moe"), sequence(
        "pretokenizers", {"type": "WhitespaceSplit"}, metaspace())))
    offer("xlm-roberta-new", ggml("nomic-bert-moe"), lambda: xlm_roberta(ggml("nomic-bert-moe"), metaspace(), True))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        offer(f"bytes-{form.lower()}", None, lambda form=form: bytes_alone({"type": form}))
    import base64
    rules = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap_of(RULES)).decode()}
    offer("bytes-charsmap", None, lambda: bytes_alone(rules))
    offer("bytes-steps", None, lambda: bytes_alone(sequence(
        "normalizers", {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "NFC"}, rules, {"type": "Lowercase"},
        {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Replace", "pattern": {"String": "x"}, "content": "手y"},
        {"type": "Replace", "pattern": {"Regex": r"\s{2,}"}, "content": ""}, {"type": "Nmt"}, {"type": "Prepend", "prepend": "手>"})))
    offer("bytes-seen", None, lambda: bytes_alone(sequence("normalizers", {"type": "NFC"}, {"type": "ByteLevel"}), metaspace("never")))
    offer("bytes-pieces", None, lambda: bytes_alone(rules, sequence(
        "pretokenizers", {"type": "WhitespaceSplit"}, split(subword.PATTERNS[5], "Removed", True), metaspace("first"),
        {"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Digits", "individual_digits": True},
        split("a", "Contiguous", kind="String"), split("b", "MergedWithPrevious", kind="String"), byte_level(prefix=True))))
    corpora = ASSETS / "corpora"
    strips = sequence("normalizers", {"type": "Nmt"}, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                      {"type": "Strip", "strip_left": True, "strip_right": True},
                      {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "})
    offer("trained-unigram", corpora, lambda: trained_unigram(20000, pre=metaspace("first")))
    offer("trained-unigram-bytes", corpora, lambda: trained_unigram(8000, True, {"type": "NFD"}, metaspace("never", False)))
    offer("trained-unigram-large", corpora, lambda: trained_unigram(120000, normalizer={"type": "NFKC"}))
    offer("trained-unigram-fancy", corpora, lambda: fancy(trained_unigram(8000, normalizer=strips, pre=sequence(
        "pretokenizers", {"type": "Punctuation", "behavior": "MergedWithPrevious"}, metaspace("first")))))
    offer("trained-bpe-large", corpora, lambda: trained_bpe(100000, byte_level(prefix=True), {"type": "NFKC"}))
    offer("trained-bpe-fancy", corpora, lambda: fancy(trained_bpe(8000, byte_level(prefix=True), strips)) | {
        "post_processor": byte_level(prefix=True)})
    offer("trained-bpe-unknown", corpora, lambda: trained_bpe(8000, {"type": "Whitespace"}, None, "<unk>", fuse_unk=True))
    offer("trained-bpe-unknowns", corpora, lambda: trained_bpe(8000, sequence(
        "pretokenizers", {"type": "BertPreTokenizer"}, {"type": "Digits", "individual_digits": False}),
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}, "<unk>"))
    return out


# ---------------------------------------------------------------- goldens

SENTENCES = ["The quick brown fox jumps over the lazy dog's tail, again and again.", "We'll see what they've written: 'm, 're, 'd and so on.",
             "Phone case with a soft lining, 128 GB, dual SIM.", "手机保护壳 防摔 透明", "我们今天去北京，明天回来。", "Crème brûlée à la carte, naïve façade; Ångström.",
             "한국어 사람은 학교에 갑니다.", "日本語のテキストです。", "Привет, мир! Тест.", "1234567890 3.14 $9.99 100%", "newer new york tents and coffee machines"]


def small_bpe(pre, normalizer=None, post=None, extra=(), spm=False, **model):
    """Of few tokens, trained on the sentences."""
    from tokenizers import models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace() if spm else pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] * spm
    tokenizer.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=900 if spm else 420, special_tokens=special, show_progress=False,
        initial_alphabet=[] if spm else pre_tokenizers.ByteLevel.alphabet()))
    data = json.loads(tokenizer.to_str())
    vocabulary = data["model"]["vocab"]
    data["model"] |= {"unk_token": "<unk>" if spm else None, "fuse_unk": spm, **model}
    data["added_tokens"] = [added(content, vocabulary[content]) for content in special[:3]]
    return data | {"normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post}


def small_unigram(normalizer, pre, post=None, byte_fallback=False):
    from tokenizers import models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(SENTENCES, trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    data = json.loads(tokenizer.to_str())
    if byte_fallback:
        data["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    data["model"]["byte_fallback"] = byte_fallback
    return data | {"normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post}


def goldens():
    import base64
    rules = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap_of(RULES)).decode()}
    ends = {"<s>": 0, "</s>": 2}
    bpe_ends = {"<s>": 1, "</s>": 2}
    roberta = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": True}
    unseen = byte_level(regex=False, trim=False)
    return {
        "unigram": small_unigram(sequence("normalizers", rules, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
                                 metaspace(), template(["<s>"], ["</s>"], ["</s>"], (0, 0), ends)),
        "unigram-fancy": fancy(small_unigram(
            sequence("normalizers", {"type": "Nmt"}, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                     {"type": "Strip", "strip_left": True, "strip_right": True}),
            sequence("pretokenizers", {"type": "Punctuation", "behavior": "MergedWithPrevious"},
                     {"type": "Digits", "individual_digits": True}, metaspace("first")),
            template([], ["</s>"], ["</s>"], (0, 1), ends), True)),
        "roberta": fancy(small_bpe(byte_level(prefix=True), {"type": "NFC"}, roberta)),
        "qwen": small_bpe(sequence("pretokenizers", split(QWEN2), unseen), {"type": "NFC"}, unseen),
        "qwen35": small_bpe(sequence("pretokenizers", split(QWEN35), unseen), None, unseen),
        "llama3": small_bpe(sequence("pretokenizers", split(LLAMA3), byte_level(regex=False)), None, sequence(
            "processors", byte_level(), template(["<s>"], [], ["<s>"], (0, 1), bpe_ends)), ignore_merges=True),
        "gemma": small_bpe(split(" ", "MergedWithPrevious", kind="String"), {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                           template(["<s>"], ["</s>"], [], (0, 1), bpe_ends), spm=True, byte_fallback=True),
        "llama2": small_bpe(None, sequence("normalizers", {"type": "Prepend", "prepend": "▁"},
                                           {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
                            template(["<s>"], [], ["<s>"], (0, 1), bpe_ends), spm=True),
        "steps": bytes_alone(
            sequence("normalizers", {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False,
                                     "lowercase": False}, {"type": "NFKC"}),
            sequence("pretokenizers", {"type": "BertPreTokenizer"}, split(subword.PATTERNS[5], "Removed", True),
                     split("a", "Contiguous", kind="String"), split("b", "MergedWithNext", kind="String"),
                     {"type": "Whitespace"}, metaspace("never"), byte_level(prefix=True))),
    }


def escape(text):
    return "".join({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"}.get(c, c) for c in text)


def write_goldens(folder):
    """NAME.gguf, a tokenizer, and NAME.tsv: a case a line, as tests/text/oracle has them, with offsets in bytes."""
    texts = SENTENCES + HARD + random_texts(5, 12)
    draw = random.Random(13)
    texts += ["".join(draw.choice(JOINERS) for _ in range(draw.randrange(12))) for _ in range(30)]
    cases = [(text, None, None, True) for text in texts if len(text) < 400]
    some = [text for text in texts if len(text) < 60]
    cases += [(a, b, None, i % 2 == 0) for i, (a, b) in enumerate(zip(some[::2], reversed(some)))]
    cases += [(a, b if i % 2 else None, 5 + i % 7, i % 3 > 0) for i, (a, b) in enumerate(zip(some[::2], some[1::3]))]
    for name, data in goldens().items():
        convert(data, folder / f"{name}.gguf")
        lines = [f"# made by tests/tokenizers/compare.py with tokenizers {tokenizers.__version__}"]
        for (a, b, limit, special), rows in zip(cases, expected(Tokenizer.from_str(json.dumps(data)), cases)):
            lines.append("\t".join([escape(a), "\\N" if b is None else escape(b), str(-1 if limit is None else limit), str(int(special)),
                                    " ".join(",".join(map(str, row)) for row in rows.tolist())]))
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


# ---------------------------------------------------------------- texts

HARD = ["", " ", "   ", "\t\n\r ", " a", "a ", "  a  b  ", "\n\n a \n", "a\n \n b\r\n\r\n", "Hello, World!", "I'm you'RE she'LL 'S 'ſ it's",
        "x'", "''''", "1234567890 12 1 ½²", "a\u0301\u0316b", "e\u0301", "Ａ ﬁ ﷺ", "ﬁ\u0301", "ª\u0301", "\u0600a", "a\u0903", "©\u200d©", "\r\n\r",
        "한국어 \u1112\u1161\u11AB", "가\u0301", "क्षत्रिय क़\u0301", "👨‍👩‍👧‍👦 👍🏽 🇩🇪🇨🇳", "手机壳 iPhone手机", "\u3000全角\u3000", "a\u00a0b\u2003c", "▁ ▁a▁b",
        "<s> </s> <unk> <pad> <mask>", "<s>a</s>", " <mask> ", "a <mask>b", "[MASK] <l>x <r>  y  <lr>  z new newer x_y  NEW York new york Éte éte", "<0x41>",
        "\u0000a\u0001", "\ufeffx", "\u200b", "a\u00adb", "İI ΑΣ ß ẞ", "…", "``x''", "http://a.b/c?d=e&f", "\u0344\u0344", "ก็ ไทย", "\U0001D165\U0001D1BB",
        "x" * 300, "ab " * 100, "手" * 200, "\n" * 50, " " * 70, "☃☃ ☃", "a" * 33 + "☃" * 33, "日本語テキスト。" * 20, "x'ſab 'SAB 'lLa", "क्क\u0316 क्\u200cक\u0316 ক\u1039ক\u0316"]
PIECES = [*"aabehlo HELO  .,!#'\t\n\r09", "\u0301", "\u0316", "\u0323", "\u0344", "é", "手", "机", "한", "\u1112", "\u1161", "\u11a8", "ﬁ", "ﷺ", "½", "²", "\u00a0", "\u3000",
          "\u200d", "\u200b", "\ufeff", "\u0000", "😀", "👍🏽", "\u0600", "\u0903", "\u094d", "क", "ß", "İ", "Σ", "ſ", "'s", "'LL", " the", "ing", "▁", "<s>", "</s>", "<mask>", "<unk>", "<pad>",
          "[MASK]", "<l>", "<r>", "<lr>", "new", "NEW York", "x_y", "Éte", "  ", "\n\n", "©", "ª", "Ａ", "각", "\u115f", "\u2028", "\U0001F1E9", "\U00020000", "☃", "٣", "৪", "Ⅷ", "_", "\u0e33"]


# Of each class that grapheme clusters are made of.
JOINERS = [*"ab1e\r\n", "\u0001", "\u00ad", "\u0301", "\u0316", "\u200c", "\u200d", "\u0600", "\u0903", "\u0915", "\u0958", "\u0995", "\u094d", "\u09cd", "\u093c",
           "\u1100", "\u1161", "\u11a8", "가", "각", "\U0001F1E9", "©", "❤", "\ufe0f", "😀", "\U0001F3FD", "\u0e33", "手", "ﬁ", "½", "\u0d4d", "\u0d15", "\u1039", "\u1000", "\u1a20", "\u1a60", "\U00011103", "\U00011133"]


def every_code_point(step):
    return [chr(c) for c in range(0, 0x110000, step) if not 0xD800 <= c < 0xE000 and (c < 0x40000 or 0xE0000 <= c < 0xE0200 or c % 64 < 2)]


def random_texts(seed, count, most=24):
    draw = random.Random(seed)
    out = ["".join(draw.choice(PIECES) for _ in range(draw.randrange(most))) for _ in range(count)]
    out += ["".join(chr(draw.choice((draw.randrange(0x80), draw.randrange(0x300), draw.randrange(0x3000), draw.randrange(0xD800))))
                    for _ in range(draw.randrange(12))) for _ in range(count)]
    return out + [bytes(draw.randrange(256) for _ in range(draw.randrange(40))).decode("utf-8", "ignore") for _ in range(count // 4)]


def case_sets(quick):
    """name -> list of (text, second or None, max_length or None, special tokens)"""
    step = 10 if quick else 1
    points = every_code_point(step)
    out = {"hard": [(text, None, None, True) for text in HARD], "alone": [(text, None, None, False) for text in points]}
    for name, before, after in (("letters", "a", "b"), ("spaces", " ", " "), ("chinese", "手", "机"), ("digits", "1", "2")):
        joined = [" ".join(before + c + after for c in points[i:i + 50]) for i in range(0, len(points), 50)]
        out[name] = [(text, None, None, True) for text in joined]
    out["accented"] = [("".join("e" + c + "\u0301" for c in points[i:i + 50]), None, None, True) for i in range(0, len(points), 50)]
    texts = random_texts(7, 40000 // step)
    out["random"] = [(text, None, None, True) for text in texts]
    draw = random.Random(11)
    out["graphemes"] = [("".join(draw.choice(JOINERS) for _ in range(draw.randrange(14))), None, None, True) for _ in range(60000 // step)]
    some = HARD + texts[:2000]
    out["pairs"] = [(a, b, None, i % 3 > 0) for i, (a, b) in enumerate(zip(some, reversed(some)))]
    # Of two texts that are both too long 0.23.3 compares the whole lengths, 0.23.2 what it has read of them: the library's rule.
    pairs = tokenizers.__version__ == "0.23.2"
    if not pairs:
        print("pairs that are cut: skipped, they are compared with tokenizers 0.23.2")
    out["cut"] = [(a, b if i % 2 and pairs else None, 4 + i % 9, i % 3 > 0) for i, (a, b) in enumerate(zip(some, reversed(some)))]
    if (ASSETS / "corpora").exists():
        lines = texts_of_corpora()
        out["corpora"] = [(text, None, None, True) for text in lines[::step]]
        out["whole"] = [("\n".join(lines[i:i + 400]), None, None, True) for i in range(0, len(lines), 400 * 20)]
    return out


# ---------------------------------------------------------------- comparing


def write_cases(path, cases):
    with open(path, "wb") as file:
        for a, b, limit, special in cases:
            texts = [a.encode()] + ([] if b is None else [b.encode()])
            file.write(np.array([NONE if limit is None else limit, special, len(texts[0]), NONE if b is None else len(texts[1])],
                                dtype="<u4").tobytes() + b"".join(texts))


def byte_places(text):
    """Of each code point of the text, and its end, the byte."""
    sizes = np.fromiter((1 + (c > 0x7F) + (c > 0x7FF) + (c > 0xFFFF) for c in map(ord, text)), np.int64, len(text))
    return np.concatenate([[0], np.cumsum(sizes)])


def expected(tokenizer, cases):
    """Of each case an array [tokens, 5], as encode.cpp writes it; in batches of like cases."""
    out, at = [], 0
    while at < len(cases):
        kind = (cases[at][1] is None, *cases[at][2:])
        end = at
        while end < len(cases) and end - at < 5000 and (cases[end][1] is None, *cases[end][2:]) == kind:
            end += 1
        if kind[1] is None:
            tokenizer.no_truncation()
        else:
            tokenizer.enable_truncation(kind[1])
        inputs = [a if kind[0] else (a, b) for a, b, *_ in cases[at:end]]
        for one, (a, b, *_) in zip(tokenizer.encode_batch(inputs, add_special_tokens=kind[2]), cases[at:end]):
            rows = np.zeros((len(one.ids), 5), np.int64)
            rows[:, 0], rows[:, 1] = one.ids, one.type_ids
            rows[:, 4] = [-1 if word is None else word for word in one.word_ids]
            offsets = np.array(one.offsets, np.int64).reshape(-1, 2)
            which = np.array([-1 if each is None else each for each in one.sequence_ids])
            for index, text in enumerate((a, b)):
                if text is not None and (which == index).any():
                    places = byte_places(text)
                    rows[which == index, 2:4] = places[offsets[which == index]]
            out.append(rows)
        at = end
    return out


def compare(name, data, program, sets, work):
    path = work / f"{name}.gguf"
    convert(data, path)
    reference = Tokenizer.from_str(json.dumps(data))
    wrong = total = tokens = 0
    for set_name, cases in sets.items():
        write_cases(work / "cases", cases)
        made = subprocess.run([program, path, work / "cases", work / "out"], capture_output=True, text=True)
        if made.returncode:
            print(f"{name}: {set_name}: {made.stderr.strip()}")
            return False
        got, at = np.fromfile(work / "out", "<i4").astype(np.int64), 0
        failures = 0
        for case, rows in zip(cases, expected(reference, cases)):
            count = int(got[at])
            found = got[at + 1:at + 1 + 5 * count].reshape(count, 5)
            at += 1 + 5 * count
            tokens += count
            if not np.array_equal(found, rows):
                failures += 1
                if failures <= 3:
                    print(f"{name}: {set_name}: {ascii(case)[:300]}\n  expected {show(rows, found)}\n  got      {show(found, rows)}")
        total += len(cases)
        wrong += failures
        if failures:
            print(f"{name}: {set_name}: {failures} of {len(cases)} differ")
    print(f"{name}: {total} texts, {tokens} tokens, {wrong} differ", flush=True)
    return wrong == 0


def show(rows, other):
    first = next((i for i in range(min(len(rows), len(other))) if not np.array_equal(rows[i], other[i])), min(len(rows), len(other)))
    return f"[{first}:] {rows[first:first + 6].tolist()}"


def convert(data, path):
    model = Model("f32", "tokenizer")
    tokenizer = subword.from_json("tokenizer.json", data, model_type(data["model"]), added_tokens("tokenizer.json", data))
    subword.add_keys(model, tokenizer)
    model.exact("unused", np.zeros((1, 1), np.float32))
    model.write(path)


def speed(name, data, program, work):
    path = work / f"{name}.gguf"
    convert(data, path)
    texts = texts_of_corpora()
    write_cases(work / "cases", [(text, None, None, True) for text in texts])
    reference = Tokenizer.from_str(json.dumps(data))
    own, other = [], []
    for _ in range(3):
        took, tokens = subprocess.run([program, path, work / "cases", "--time", "2"], capture_output=True, text=True,
                                      check=True).stdout.split()[-2:]
        own.append(float(took))
        start = time.perf_counter()
        reference.encode_batch_fast(texts)
        other.append(time.perf_counter() - start)
    print(f"{name}: {len(texts)} texts, {tokens} tokens, {sorted(own)[1]:.3f} s; tokenizers {sorted(other)[1]:.3f} s, "
          f"{sorted(other)[1] / sorted(own)[1]:.1f} times as long", flush=True)


# ---------------------------------------------------------------- SentencePiece's own models

SENTENCEPIECE = {
    "sp-unigram": {"model_type": "unigram", "vocab_size": 8000},
    "sp-unigram-bytes": {"model_type": "unigram", "vocab_size": 4000, "byte_fallback": True, "normalization_rule_name": "nfkc_cf"},
    "sp-unigram-spaces": {"model_type": "unigram", "vocab_size": 4000, "normalization_rule_name": "identity", "add_dummy_prefix": False,
                          "remove_extra_whitespaces": False},
    "sp-bpe": {"model_type": "bpe", "vocab_size": 8000},
    "sp-bpe-bytes": {"model_type": "bpe", "vocab_size": 4000, "byte_fallback": True, "normalization_rule_name": "identity",
                     "remove_extra_whitespaces": False, "character_coverage": 0.99},
}


def compare_sentencepiece(name, program, sets, work):
    """A model trained by sentencepiece and read by the converter, against sentencepiece itself: ids."""
    try:
        import sentencepiece
    except ImportError:
        print(f"{name}: skipped, sentencepiece is not installed")
        return True
    from weights_converter import sentencepiece as reader
    prefix = work / name
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts_of_corpora()), model_prefix=str(prefix), minloglevel=2,
                                             **SENTENCEPIECE[name])
    reference = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    model = Model("f32", name)
    subword.add_keys(model, reader.read(f"{prefix}.model"))
    model.exact("unused", np.zeros((1, 1), np.float32))
    model.write(work / f"{name}.gguf")
    texts = sorted({each for cases in sets.values() for a, b, *_ in cases for each in (a, b) if each is not None and "\0" not in each})
    write_cases(work / "cases", [(text, None, None, True) for text in texts])
    made = subprocess.run([program, work / f"{name}.gguf", work / "cases", work / "out"], capture_output=True, text=True)
    if made.returncode:
        print(f"{name}: {made.stderr.strip()}")
        return False
    got, at, wrong = np.fromfile(work / "out", "<i4"), 0, 0
    for text, ids in zip(texts, reference.encode(texts)):
        count = int(got[at])
        found = got[at + 1:at + 1 + 5 * count].reshape(count, 5)[:, 0].tolist()
        at += 1 + 5 * count
        if found != ids:
            wrong += 1
            if wrong <= 4:
                print(f"{name}: {ascii(text)[:200]}\n  expected {ids[:20]}\n  got      {found[:20]}")
    print(f"{name}: {len(texts)} texts, {wrong} differ", flush=True)
    return wrong == 0


def build(work):
    program = work / "encode"
    source = Path(__file__).with_name("encode.cpp")
    eigen = os.environ.get("EIGEN", "/usr/include/eigen3")
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O3", "-march=native", f"-I{ROOT / 'include'}", "-isystem", eigen,
                    source, "-o", program], check=True)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    for flag in ("--quick", "--list", "--speed"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--vocabularies", type=Path, default=os.environ.get("RANKLET_VOCABULARIES"))
    parser.add_argument("--work", type=Path)
    parser.add_argument("--program", type=Path, help="encode.cpp, compiled")
    parser.add_argument("--goldens", type=Path)
    options = parser.parse_args()
    if options.goldens:
        if tokenizers.__version__ != "0.23.2":
            sys.exit(f"tokenizers {tokenizers.__version__}: the goldens are made with 0.23.2")
        write_goldens(options.goldens)
        return 0
    known = tokenizers_of(options.vocabularies and Path(options.vocabularies))
    if options.list or not known:
        print(*known, *SENTENCEPIECE, sep="\n")
        return 0 if options.list else 77
    if options.speed:
        os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        program = options.program or build(work)
        sets = case_sets(options.quick) if not options.speed else {}
        if options.sets:
            sets = {name: sets[name] for name in options.sets}
        print(f"tokenizers {tokenizers.__version__}")
        good = True
        own_models = SENTENCEPIECE if (ASSETS / "corpora").exists() else {}
        for name in options.names or [*known, *own_models]:
            if name in SENTENCEPIECE:
                good = (options.speed or compare_sentencepiece(name, program, sets, work)) and good
            elif options.speed:
                speed(name, known[name](), program, work)
            else:
                good = compare(name, known[name](), program, sets, work) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
