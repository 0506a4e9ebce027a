#!/usr/bin/env python3
"""Writes tests/text/goldens/subword-*.gguf: small tokenizers of Unigram and byte pairs, and what Hugging Face's tokenizers makes of
texts. Run by hand, in a Python that has it (0.23.3 made what is here).

    python3 tests/layouts/make_subword_goldens.py
"""
import json
from pathlib import Path

import numpy as np
import test_tokenizers as of
from tokenizers import Tokenizer
from weights_converter import tokenizer
from weights_converter.model import Model

OUT = Path(__file__).resolve().parent.parent / "text" / "goldens"
NAMES = {"RoBERTa's": "roberta", "Llama 3's": "llama3", "Qwen's": "qwen", "Unigram with a mark always": "unigram",
         "Unigram with a mark first": "first", "Llama 2's": "llama2"}


def small(made):
    """The tokenizer with the first 700 tokens, and the merges that are of these."""
    data = json.loads(made.to_str())
    model = data["model"]
    if model["type"] == "BPE":
        model["vocab"] = {token: i for token, i in model["vocab"].items() if i < 700}
        model["merges"] = [each for each in model["merges"] if all(part in model["vocab"] for part in (*each, "".join(each)))]
    else:
        single = [each for each in model["vocab"] if len(each[0]) == 1][:250]
        model["vocab"] = model["vocab"][:450] + [each for each in single if each not in model["vocab"][:450]]
    return json.dumps(data)


def main():
    texts = [text for text in [*of.ODD, *of.CORPUS[:12], *of.random_texts(12)] if len(text) < 300 and "\0" not in text]
    OUT.mkdir(exist_ok=True)
    for name, short in NAMES.items():
        case = of.Tokenizers("read")
        case.setUp()
        content = small(of.MADE[name]())
        model = Model("f32", short)
        tokenizer.add_keys(model, case.read(content), print)
        case.doCleanups()
        encoded = Tokenizer.from_str(content).encode_batch(texts)
        bytes_ = [np.cumsum([0] + [len(char.encode()) for char in text]) for text in texts]
        model.key("golden.texts", texts, "[string]")
        model.key("golden.ids", [i for each in encoded for i in each.ids], "[i32]")
        model.key("golden.counts", [len(each.ids) for each in encoded], "[i32]")
        model.key("golden.offsets", [int(at[place]) for each, at in zip(encoded, bytes_) for span in each.offsets for place in span], "[i32]")
        model.exact("nothing", np.zeros((1, 1), np.float32))
        model.write(str(OUT / f"subword-{short}.gguf"))
        print(short, (OUT / f"subword-{short}.gguf").stat().st_size)


if __name__ == "__main__":
    main()
