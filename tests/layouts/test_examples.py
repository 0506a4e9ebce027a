"""The examples for models that people bring, run with seeded ones of the same make: what they print is what sentence-transformers
and PyTorch give.

Run by run.sh, in a Python that has them.
"""
import contextlib
import csv
import io
import subprocess
import sys

import torch
from test_architectures import Architectures
from test_layouts import HERE, LayoutTest, Normalize, SentenceTransformer, Transformer, engine, np, st

ROOT = HERE.parent.parent
CATALOG = ROOT / "examples" / "data" / "catalog.tsv"
SAID = "something warm for a night in a tent"


class Examples(LayoutTest):
    with_tokenizer = Architectures.with_tokenizer

    def example(self, name, *arguments):
        """The lines that it prints, with the catalog read from its own place."""
        program = engine.program(lambda text: print(text, file=sys.stderr), str(ROOT / "examples" / f"{name}.cpp"))
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def sentence(self, name, tokenizer, pooling, prompts):
        folder, config = self.with_tokenizer(name, tokenizer)
        module = Transformer(str(folder), max_seq_length=40)
        return self.save(module, st.Pooling(config.hidden_size, pooling), Normalize(), prompts=prompts)

    def catalog(self):
        with open(CATALOG, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        return rows, [f"{row['title']} {row['description']}" for row in rows]

    def ranked(self, lines, expected, ids):
        """Lines whose first number is a score and that hold an item's id: the best of the expected scores, equal ones in any order."""
        best = np.sort(expected)[::-1][:len(lines)]
        for line, score in zip(lines, best):
            found = next(i for i, each in enumerate(ids) if each in line.split())
            self.assertAlmostEqual(float(expected[found]), float(score), delta=2e-4)
            self.assertAlmostEqual(next(float(word) for word in line.split() if "." in word), float(score), delta=2e-4)

    def test_a_bilingual_catalog_is_searched(self):
        folder = self.sentence("xlm-roberta", "Unigram with a mark always", "mean", {"query": "query: ", "passage": "passage: "})
        out, _ = self.convert(folder)
        queries = ["noise cancelling headphones", "降噪耳机", "咖啡机"]
        lines = self.example("21_bilingual_search", out, CATALOG, *queries)
        rows, texts = self.catalog()
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        items, asked = model.encode(texts, prompt_name="passage"), model.encode(queries, prompt_name="query")
        self.assertEqual(lines[::5], queries)
        for q, vector in enumerate(asked):
            for language, found in (("en", lines[5 * q + 1:5 * q + 3]), ("zh", lines[5 * q + 3:5 * q + 5])):
                of = [i for i, row in enumerate(rows) if row["language"] == language]
                self.assertTrue(all(line.split()[0] == language for line in found))
                self.ranked(found, items[of] @ vector, [rows[i]["id"] for i in of])

    def test_a_language_model_is_the_encoder_of_a_recommender(self):
        """Under the history, and under a GRU that examples/training trains over it (a few steps: what it learns is not looked at)."""
        sys.path.insert(0, str(ROOT))
        from examples.training import train_over_encoder
        folder = self.sentence("qwen3", "Qwen's", "lasttoken", {"query": "Instruct: find what the shopper is looking for\nQuery: "})
        trained = self.folder / "with-gru"
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()) as metrics:
            train_over_encoder.main([str(folder), "--out", str(trained), "--steps", "3", "--batch", "20"])
        self.assertIn('"hr@10"', metrics.getvalue())
        out, _ = self.convert(trained)
        lines = self.example("22_llm_recommender", out, CATALOG)
        self.assertEqual((lines[0], lines[6]), ("by what the user met:", "by the GRU:"))

        rows, texts = self.catalog()
        ids = [row["id"] for row in rows]
        met = [0, len(rows) // 2]
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        items = model.encode_document(texts).astype(np.float64)
        events = np.stack([*items[met], model.encode_query([SAID])[0]])
        # The history: a mean of centred vectors, each weighing 0.7 of the next.
        weights = 0.7 ** np.array([2, 1, 0])
        by_history = items @ (weights @ (events - items.mean(0)) / weights.sum())
        state = self.weights(trained)
        gru = torch.nn.GRU(items.shape[1], state["user_proj.weight"].shape[1], batch_first=True)
        gru.load_state_dict({key.removeprefix("decoder.gru."): value for key, value in state.items() if key.startswith("decoder.gru.")})
        with torch.no_grad():
            last = gru(torch.from_numpy(events).float()[None])[0][0, -1]
            user = torch.nn.functional.linear(last, state["user_proj.weight"], state["user_proj.bias"])
        by_gru = items @ user.double().numpy()
        for found, scores in ((lines[1:6], by_history), (lines[7:12], by_gru)):
            scores[met] = -np.inf  # seen
            self.ranked(found, scores, ids)
            self.assertGreater(float(np.std(scores[np.isfinite(scores)])), 0.01)

    def weights(self, folder):
        from safetensors.torch import load_file
        return load_file(str(folder / "model.safetensors"))


del Architectures, LayoutTest  # so that they are not run here again
