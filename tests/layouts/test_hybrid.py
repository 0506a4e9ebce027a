"""BGE-M3's three kinds of vectors: a module of transformers' XLMRobertaModel, written here after FlagEmbedding's, saved as that saves
it (sparse_linear.pt, colbert_linear.pt), converted and run by the library.

Run by run.sh, in a Python that has them.
"""
import subprocess
import sys

import torch
import transformers
from test_architectures import LONG, Architectures
from test_layouts import DIM, HERE, TEXTS, LayoutTest, Normalize, Transformer, engine, np, st


class M3(torch.nn.Module):
    """The dense, sparse and multi-vector forms of one pass."""

    def __init__(self, folder, tokens=10):
        super().__init__()
        self.model = transformers.XLMRobertaModel.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.sparse_linear = torch.nn.Linear(DIM, 1)
        self.colbert_linear = torch.nn.Linear(DIM, tokens)
        with torch.no_grad():  # some tokens weigh something, others do not
            self.sparse_linear.weight.normal_(0, 0.4)
            states = self.model(**self.tokenizer(LONG, truncation=True, max_length=50, return_tensors="pt")).last_hidden_state
            self.sparse_linear.bias -= self.sparse_linear(states).mean()

    def save(self, folder, colbert=True):
        torch.save(self.sparse_linear.state_dict(), folder / "sparse_linear.pt")
        if colbert:
            torch.save(self.colbert_linear.state_dict(), folder / "colbert_linear.pt")

    @torch.no_grad()
    def encode(self, text):
        """(dense [dim], {token id: weight}, token vectors [tokens - 1, size])"""
        inputs = self.tokenizer(text, truncation=True, max_length=50, return_tensors="pt")
        states = self.model(**inputs).last_hidden_state
        dense = torch.nn.functional.normalize(states[:, 0], dim=-1)[0]
        unused = {self.tokenizer.convert_tokens_to_ids(self.tokenizer.special_tokens_map[name])
                  for name in ("cls_token", "eos_token", "pad_token", "unk_token") if name in self.tokenizer.special_tokens_map}
        weights = {}
        for weight, token in zip(torch.relu(self.sparse_linear(states))[0, :, 0].tolist(), inputs["input_ids"][0].tolist()):
            if token not in unused and weight > weights.get(token, 0):
                weights[token] = weight
        vectors = self.colbert_linear(states[:, 1:]) * inputs["attention_mask"][:, 1:, None].float()
        return dense.numpy(), weights, torch.nn.functional.normalize(vectors, dim=-1)[0].numpy()


class Hybrid(LayoutTest):
    with_tokenizer = Architectures.with_tokenizer

    def checkpoint(self, colbert=True, **settings):
        folder, _ = self.with_tokenizer("xlm-roberta", "Unigram with a mark always", **settings)
        own = dict(cls_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
        transformers.PreTrainedTokenizerFast.from_pretrained(folder, **own).save_pretrained(folder)
        saved = self.save(Transformer(str(folder), max_seq_length=50), st.Pooling(DIM, "cls"), Normalize())
        model = M3(saved)
        model.save(saved, colbert)
        return saved, model

    def run_library(self, out, texts):
        """(dense, [{id: weight}], [token vectors], [late interaction, lexical] of all pairs)"""
        program = engine.program(lambda text: print(text, file=sys.stderr), str(HERE / "hybrid.cpp"))
        given, rows = self.folder / "texts", self.folder / "rows"
        given.write_bytes(b"".join(text.encode() + b"\0" for text in texts))
        done = subprocess.run([program, out, given, rows], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [line.split() for line in done.stdout.splitlines()]
        counts = [int(line[0]) for line in lines]
        sparse = [{int(id): float(weight) for id, weight in (each.split(":") for each in line[1:])} for line in lines]
        numbers = np.fromfile(rows, "<f4")
        dense, rest = np.split(numbers, [len(texts) * DIM])
        tokens, scores = np.split(rest, [len(rest) - 2 * len(texts) ** 2])
        tokens = np.split(tokens.reshape(sum(counts), -1) if sum(counts) else tokens, np.cumsum(counts)[:-1])
        return dense.reshape(-1, DIM), sparse, tokens, scores.reshape(len(texts), len(texts), 2)

    def test_all_three_are_those_of_the_module(self):
        saved, model = self.checkpoint()
        texts = [*(text for text in TEXTS if text), LONG, "phone phone a red red red phone", "\u2603 \U0001f600"]
        for dtype, bound in (("f32", 1e-5), ("bf16", 5e-2)):
            out, _ = self.convert(saved, "--dtype", dtype)
            dense, sparse, tokens, scores = self.run_library(out, texts)
            expected = [model.encode(text) for text in texts]
            np.testing.assert_allclose(dense, np.stack([each[0] for each in expected]), atol=bound)
            for t, (_, weights, vectors) in enumerate(expected):
                with self.subTest(dtype, text=texts[t]):
                    if dtype == "f32":
                        self.assertEqual(set(sparse[t]), set(weights))
                    for token, weight in weights.items():
                        self.assertAlmostEqual(sparse[t].get(token, 0), weight, delta=bound * max(1, *weights.values()))
                    np.testing.assert_allclose(tokens[t], vectors, atol=bound)
                    for u, (_, others, document) in enumerate(expected):
                        lexical = sum(weight * others[token] for token, weight in weights.items() if token in others)
                        late = (vectors @ document.T).max(1).sum() / len(vectors)
                        np.testing.assert_allclose(scores[t, u], [late, lexical], atol=bound * max(1, abs(lexical)) * 3)
        counts = [len(each[1]) for each in expected]
        self.assertGreater(max(counts), 5)
        self.assertLess(counts[-2], 7)  # a token that stands there often is one

    def test_sparse_weights_alone(self):
        saved, model = self.checkpoint(colbert=False)
        out, metadata = self.convert(saved)
        self.assertNotIn("ranklet.token_vectors.normalize", metadata)
        self.assertEqual(metadata["ranklet.sparse.skipped_ids"], [0, 1, 2, 3])
        _, sparse, _, _ = self.run_library(out, ["red phone case"])
        self.assertEqual(set(sparse[0]), set(model.encode("red phone case")[1]))

    def test_heads_of_another_shape_are_refused(self):
        saved, _ = self.checkpoint()
        torch.save(torch.nn.Linear(DIM, 2).state_dict(), saved / "sparse_linear.pt")
        self.refused(saved, "sparse_linear.pt", "shape [2, 24], expected [1, 24]")
        torch.save({**torch.nn.Linear(DIM, 1).state_dict(), "more": torch.zeros(2)}, saved / "sparse_linear.pt")
        self.refused(saved, "sparse_linear.pt", "more")


del Architectures, LayoutTest  # so that they are not run here again
