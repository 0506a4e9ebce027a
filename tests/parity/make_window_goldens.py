#!/usr/bin/env python3
"""Writes goldens/windows.golden.gguf: long texts read in windows, by transformers and sentence-transformers themselves.

    python3 tests/parity/make_window_goldens.py [OUT]

tokenizers' Encoding.truncate cuts (what return_overflowing_tokens is made of; with tokenizers 0.23 that itself gives one
overflow at most, since it stops at the first word beyond max_length), the checkpoint's class computes each window in float64, and the
rules of include/ranklet/text/windows.hpp are applied with numpy, a token and a window at a time. Checkpoints are those of
make_checkpoints.py; the library reads them from goldens/NAME.gguf. Versions are in the file under golden.*.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np
import sentence_transformers
import tokenizers
import torch
import transformers

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(REPOSITORY), str(HERE)]

import make_checkpoints  # noqa: E402
from weights_converter.gguf import GGUFWriter, read_gguf  # noqa: E402

WORDS = "the new phone case 手机 books, waterproof running shoes and a small red boat for unwatchable coffee beans 咖啡豆 tent".split()


def long_text(words, first):
    return " ".join(WORDS[(first + 7 * i) % len(WORDS)] for i in range(words))


TEXTS = ["", "red phone", long_text(30, 1), long_text(50, 3), long_text(97, 5)]
PAIRS = [(1, 3), (1, 4), (2, 1), (4, 3), (1, 1)]


def context(token, first, last, tokens):
    """How far the nearest cut is."""
    return min(token - first if first > 0 else 10**9, last - 1 - token if last < tokens else 10**9)


def joined_tokens(windows, starts, tokens):
    """Rows of [CLS], the tokens and [SEP], each token's from the window with the most context. windows: [rows, values]."""
    best = [(-1, None)] * tokens
    for rows, first in zip(windows, starts):
        last = first + len(rows) - 2
        for token in range(first, last):
            found = context(token, first, last, tokens)
            if found > best[token][0]:
                best[token] = (found, rows[1 + token - first])
    return np.stack([windows[0][0], *[row for _, row in best], windows[-1][-1]])


def whole(tokenizer, text):
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    return backend.encode(text, add_special_tokens=False)


def cut(tokenizer, limit, overlap, text, first=None):
    """(ids, type ids) of each window of a text, or of a pair whose first text has these ids."""
    before = [tokenizer.cls_token_id] + ([] if first is None else [*first, tokenizer.sep_token_id])
    encoding = whole(tokenizer, text)
    encoding.truncate(limit - len(before) - 1, stride=overlap)
    ids = [[*before, *part.ids, tokenizer.sep_token_id] for part in (encoding, *encoding.overflowing)]
    types = [[0] * len(before) + [0 if first is None else 1] * (len(each) - len(before)) for each in ids]
    return [torch.tensor([each]) for each in ids], [torch.tensor([each]) for each in types]


def starts_of(windows, overlap):
    return np.cumsum([0] + [ids.shape[1] - 2 - overlap for ids in windows[:-1]])


def make_tagger(writer, folder, limit, overlap):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval().double()
    for i, text in enumerate(TEXTS):
        windows, _ = cut(tokenizer, limit, overlap, text)
        tokens = len(whole(tokenizer, text).ids)
        logits = [torch.softmax(model(ids).logits[0], -1).numpy() for ids in windows]
        store(writer, f"tagger.scores.{i}", joined_tokens(logits, starts_of(windows, overlap), tokens))
        writer.add(f"tagger.windows.{i}", len(windows), "u32")


def make_classifier(writer, folder, limit, overlap):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval().double()
    inputs = [(TEXTS[i],) for i in range(len(TEXTS))]
    for name, inputs in (("texts", inputs), ("pairs", [(TEXTS[a], TEXTS[b]) for a, b in PAIRS])):
        means, greatest = [], []
        for given in inputs:
            first = None
            if len(given) == 2:  # the first text whole, or what fits half of a window, or all that the second leaves
                first, fits = whole(tokenizer, given[0]).ids, limit - 3
                second = len(whole(tokenizer, given[1]).ids)
                if len(first) + second > fits:
                    first = first[:max(fits // 2, fits - second)]
            windows, types = cut(tokenizer, limit, overlap, given[-1], first)
            logits = [model(ids, token_type_ids=kinds).logits[0].numpy() for ids, kinds in zip(windows, types)]
            means.append(np.mean(logits, axis=0))
            greatest.append(np.max(logits, axis=0))
        store(writer, f"classifier.{name}.mean", np.stack(means))
        store(writer, f"classifier.{name}.max", np.stack(greatest))


def make_encoder(writer, folder, limit, overlap):
    """sentence-transformers' own Pooling on each window, their mean by tokens, then its own modules behind it."""
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu").double()
    transformer, pooling, *rest = list(model)
    vectors = []
    for text in TEXTS:
        windows, _ = cut(transformer.tokenizer, limit, overlap, text)
        pooled, tokens = [], []
        for ids in windows:
            mask = torch.ones_like(ids)
            states = transformer.auto_model(ids, mask).last_hidden_state
            features = pooling({"token_embeddings": states, "attention_mask": mask, "cls_token_embeddings": states[:, 0]})
            pooled.append(features["sentence_embedding"][0])
            tokens.append(ids.shape[1])
        weights = torch.tensor(tokens, dtype=torch.float64)
        features = {"sentence_embedding": (torch.stack(pooled) * weights[:, None]).sum(0, keepdim=True) / weights.sum()}
        for module in rest:
            features = module(features)
        vectors.append(features["sentence_embedding"][0].numpy())
    store(writer, "encoder.vectors", np.stack(vectors))


def store(writer, name, values):
    writer.add_tensor(name, np.ascontiguousarray(values.astype(np.float32)), "f32")


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "goldens"
    torch.set_num_threads(1)
    writer = GGUFWriter(out / "windows.golden.gguf")
    writer.add("general.architecture", "golden", "string")
    writer.add("golden.made_by", "tests/parity/make_window_goldens.py", "string")
    for module in (torch, transformers, tokenizers, sentence_transformers):
        writer.add(f"golden.{module.__name__}", module.__version__, "string")
    writer.add("golden.texts", TEXTS, "[string]")
    writer.add("golden.pairs", [i for pair in PAIRS for i in pair], "[i32]")
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        for name, make, overlap in (("tiny-tokens", make_tagger, 7), ("tiny-cross-encoder", make_classifier, 5),
                                    ("tiny-dense", make_encoder, 6)):
            make_checkpoints.make(name, Path(scratch), make_checkpoints.find_assets())
            limit = read_gguf(HERE / "goldens" / f"{name}.gguf")[0]["ranklet.encoder.max_length"]
            writer.add(f"{make.__name__.removeprefix('make_')}.overlap", overlap, "u32")
            make(writer, Path(scratch) / name, limit, overlap)
            print(name, limit)
    writer.write()


if __name__ == "__main__":
    main()
