#!/usr/bin/env python3
"""Writes tests/parity/goldens/hybrid: a tiny model of BGE-M3's make, converted, and what transformers' XLMRobertaModel with its three
forms (as FlagEmbedding's M3Embedder has them) makes of texts, in double precision. Run by hand, in a Python that has torch and
transformers (2.13.0 and 5.24.0 made what is here).

    python3 tests/parity/make_hybrid.py
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent / "layouts"), str(HERE)]

import architectures  # noqa: E402
import make_checkpoints as layouts  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn.functional import normalize  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402
from weights_converter.__main__ import main as convert  # noqa: E402
from weights_converter.gguf import GGUFWriter  # noqa: E402

TEXTS = ["red phone case", "the new red phone, with a red case", "手机壳 for a phone", "coffee bean", "?", "", "fast charger cable " * 30]
MAX_LENGTH, TOKEN_DIM = 24, 6


def main():
    tokens = layouts.tiny_vocabulary()
    out = HERE / "goldens" / "hybrid"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tiny-m3"
        layouts.write_tokenizer(folder, tokens, MAX_LENGTH, kind="PreTrainedTokenizerFast")
        layouts.change_json(folder / "tokenizer_config.json", eos_token="[SEP]")
        model = architectures.make("xlm-roberta", len(tokens))
        model.save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        dim = model.config.hidden_size
        torch.manual_seed(7)
        sparse, colbert = torch.nn.Linear(dim, 1), torch.nn.Linear(dim, TOKEN_DIM)
        inputs = [tokenizer(text, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")["input_ids"] for text in TEXTS]

        def states_of(ids):
            return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]

        with torch.no_grad():
            sparse.weight.normal_(0, 0.5)
            sparse.bias += 0.4 - sparse(states_of(inputs[1])).mean()
            torch.save(sparse.state_dict(), folder / "sparse_linear.pt")
            torch.save(colbert.state_dict(), folder / "colbert_linear.pt")
            if convert([str(folder), str(out / "tiny-m3.gguf"), "--pooling", "cls", "--normalize"]) != 0:
                sys.exit(1)
            model, sparse, colbert = model.double(), sparse.double(), colbert.double()
            dense, weights, vectors = [], [], []
            for ids in inputs:
                states = states_of(ids)
                dense.append(normalize(states[0], dim=-1).numpy())
                best = {}
                unused = {tokenizer.convert_tokens_to_ids(token) for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]")}
                for weight, token in zip(torch.relu(sparse(states))[:, 0].tolist(), ids[0].tolist()):
                    if token not in unused and weight > best.get(token, 0):
                        best[token] = weight
                weights.append(sorted(best.items()))
                vectors.append(normalize(colbert(states[1:]), dim=-1).numpy())
    golden = GGUFWriter(out / "tiny-m3.golden.gguf")
    golden.add("golden.texts", TEXTS, "[string]")
    golden.add("golden.counts", [len(each) for each in weights], "[i32]")
    golden.add("golden.ids", [token for each in weights for token, _ in each], "[i32]")
    golden.add("golden.weights", [weight for each in weights for _, weight in each], "[f32]")
    golden.add("golden.rows", [len(each) for each in vectors], "[i32]")
    golden.add("golden.token_vectors", np.concatenate(vectors).reshape(-1), "[f32]")
    golden.add("golden.dense", np.stack(dense).reshape(-1), "[f32]")
    lexical = [[sum(x * dict(b).get(token, 0.0) for token, x in a) for b in weights] for a in weights]
    golden.add("golden.lexical", np.array(lexical).reshape(-1), "[f32]")
    golden.add("golden.late", np.array([[(a @ b.T).max(1).mean() for b in vectors] for a in vectors]).reshape(-1), "[f32]")
    golden.add_tensor("golden.unused", np.zeros((1, 1), np.float32))
    golden.write()
    print("weights", [len(each) for each in weights], "vectors", [len(each) for each in vectors])


if __name__ == "__main__":
    main()
