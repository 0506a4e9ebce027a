import json
import unittest

import numpy as np

from helpers import FolderTest, edit, layouts, needs_torch, same
from weights_converter.kinds.bert import Reference
from weights_converter.wordpiece import WordPiece


class Heads(FolderTest):
    def bert(self, kind, labels=3, name="model", prefix="bert.", **config):
        """(folder, state) of a tiny BERT with a head of this kind."""
        folder, state = self.checkpoint(name, layouts.tiny_bert, prefix=prefix, architecture=f"BertFor{kind}")
        draw = layouts.Draw(name + "head")
        layouts.put(state, prefix + "pooler.dense", draw.linear(48, 48))
        layouts.put(state, prefix.replace("bert.", "") + "classifier", draw.linear(labels, 48, 2.0))
        layouts.write_safetensors(folder / "model.safetensors", state)
        edit(folder / "config.json", **config)
        return folder, state

    def test_a_sequence_head_is_written_with_its_pooler(self):
        for n, prefix in enumerate(("bert.", "", "module.bert.")):
            folder, state = self.bert("SequenceClassification", name=f"m{n}", prefix=prefix,
                                      id2label={"0": "bad", "1": "so so", "2": "好"})
            metadata, tensors = self.convert(folder)
            self.assertEqual(metadata["ranklet.classifier.kind"], "sequence")
            self.assertEqual(metadata["ranklet.classifier.activation"], "softmax")
            self.assertEqual(metadata["ranklet.classifier.dense.activation"], "tanh")
            self.assertEqual(metadata["ranklet.classifier.labels"], ["bad", "so so", "好"])
            self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling"])
            self.assertIn("their mean", self.stderr)
            self.assertNotIn("left out", self.stderr)
            head = prefix.replace("bert.", "") + "classifier."
            same(self, tensors["ranklet.classifier.dense.weight"], state[prefix + "pooler.dense.weight"])
            same(self, tensors["ranklet.classifier.out.weight"], state[head + "weight"])
            same(self, tensors["ranklet.classifier.out.bias"], state[head + "bias"])

    def test_a_token_head_leaves_the_pooler_out(self):
        folder, _ = self.bert("TokenClassification", 5)
        metadata, tensors = self.convert(folder, "--pooling", "cls", "--normalize")
        self.assertEqual(metadata["ranklet.classifier.kind"], "token")
        self.assertEqual(metadata["ranklet.classifier.labels"], [f"LABEL_{i}" for i in range(5)])
        self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling", "normalize"])
        self.assertNotIn("ranklet.classifier.dense.weight", tensors)
        self.assertIn("left out", self.stderr)
        self.assertEqual(len(metadata["ranklet.selftest.logits"]), 5 * len(metadata["ranklet.selftest.token_ids"]))

    def test_distilberts_heads(self):
        for kind in ("Sequence", "Token"):
            folder, _ = self.checkpoint(kind, layouts.tiny_distilbert)
            config = json.loads((folder / "config.json").read_text())
            draw = layouts.Draw(kind)
            state = layouts.distilbert_state(draw, config, head=False)
            layouts.put(state, "pre_classifier", draw.linear(24, 24))
            layouts.put(state, "classifier", draw.linear(2, 24))
            layouts.write_safetensors(folder / "model.safetensors", state)
            edit(folder / "config.json", architectures=[f"DistilBertFor{kind}Classification"])
            metadata, tensors = self.convert(folder)
            same(self, tensors["ranklet.classifier.out.weight"], state["classifier.weight"])
            self.assertEqual("ranklet.classifier.dense.weight" in tensors, kind == "Sequence")
            if kind == "Sequence":
                self.assertEqual(metadata["ranklet.classifier.dense.activation"], "relu")
                same(self, tensors["ranklet.classifier.dense.weight"], state["pre_classifier.weight"])

    def test_what_makes_logits_scores(self):  # as transformers 5.24's pipeline and sentence-transformers 6.2's CrossEncoder
        sigmoid, identity = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
        cases = [
            (3, dict(problem_type="multi_label_classification"), (), "sigmoid"),
            (3, dict(problem_type="single_label_classification"), (), "softmax"),
            (1, dict(problem_type="regression"), (), "identity"),
            (1, {}, (), "sigmoid"),
            (1, dict(problem_type="single_label_classification"), (), "sigmoid"),
            (1, dict(problem_type="multi_label_classification"), (), "sigmoid"),
            (1, {}, ("--activation", "identity"), "identity"),
            (1, {}, ("--activation", "sigmoid"), "sigmoid"),
            (1, dict(sbert_ce_default_activation_function=identity), (), "identity"),
            (1, dict(sbert_ce_default_activation_function=sigmoid), (), "sigmoid"),
            (1, dict(sentence_transformers=dict(version="4.1.0")), (), "sigmoid"),
            (3, dict(sentence_transformers=dict(version="4.1.0")), (), "identity"),
            (3, dict(sentence_transformers=dict(activation_fn=sigmoid)), (), "sigmoid"),
        ]
        for n, (labels, config, options, expected) in enumerate(cases):
            folder, _ = self.bert("SequenceClassification", labels, name=f"m{n}", **config)
            metadata, _ = self.convert(folder, *options)
            self.assertEqual(metadata["ranklet.classifier.activation"], expected, (labels, config, options))
            told = "one label and no problem_type: its score is the sigmoid of the output" in self.stderr
            self.assertEqual(told, (labels, config, options) == (1, {}, ()))

    def test_what_does_not_fit_is_refused(self):
        folder, state = self.bert("SequenceClassification")
        edit(folder / "config.json", id2label={"0": "a", "1": "b"})
        self.refused(folder, "id2label", "config.json")
        edit(folder / "config.json", id2label=..., problem_type="ranking")
        self.refused(folder, "problem_type", "ranking")
        edit(folder / "config.json", problem_type=..., sbert_ce_default_activation_function="torch.nn.Tanh")
        self.refused(folder, "torch.nn.Tanh")
        edit(folder / "config.json", sbert_ce_default_activation_function=...)
        layouts.write_safetensors(folder / "model.safetensors", {k: v for k, v in state.items() if k != "classifier.weight"})
        self.refused(folder, "classifier.weight", "missing")
        layouts.write_safetensors(folder / "model.safetensors", {k: v for k, v in state.items() if "pooler" not in k})
        self.refused(folder, "bert.pooler.dense.weight", "missing")
        layouts.write_safetensors(folder / "model.safetensors", {**state, "classifier.weight": np.ones((3, 47), np.float32)})
        self.refused(folder, "classifier.weight", "[3, 48]")
        layouts.write_safetensors(folder / "model.safetensors", {**state, "classifier.bias": np.full(3, np.nan, np.float32)})
        self.refused(folder, "classifier.bias", "nan")
        folder, _ = self.bert("TokenClassification", name="t")
        self.refused(folder, "--activation", options=("--activation", "sigmoid"))
        folder, _ = self.encoder("plain")
        self.refused(folder, "--activation", options=("--pooling", "mean", "--activation", "sigmoid"))

    def test_every_dtype_has_its_head(self):
        folder, state = self.bert("SequenceClassification")
        for dtype in ("f32", "f16", "bf16", "i8"):
            metadata, tensors = self.convert(folder, "--dtype", dtype)
            weight, stored = state["classifier.weight"], np.asarray(tensors["ranklet.classifier.out.weight"])
            if dtype in ("f32", "i8"):  # 8 bits are for the transformer's matrices
                same(self, stored, weight)
            elif dtype == "f16":
                same(self, stored, weight.astype(np.float16).astype(np.float32))
            self.assertEqual(len(metadata["ranklet.selftest.logits"]), 3 * len(metadata["ranklet.selftest.texts"]))
            self.assertEqual(len(metadata["ranklet.selftest.pair_logits"]), 3 * len(metadata["ranklet.selftest.pairs"]) // 2)

    def test_the_second_text_of_a_pair_has_types_of_its_own(self):
        folder, _ = self.bert("SequenceClassification")
        self.convert(folder)
        reference = Reference.of_file(self.folder / "out.gguf")
        ids = [[3, 40, 4, 50, 4]]
        plain, typed = (reference.logits(reference.token_states(ids, types)[0]) for types in (None, [[0, 0, 0, 1, 1]]))
        self.assertGreater(np.abs(plain - typed).max(), 1e-3)
        zeros = reference.logits(reference.token_states(ids, [[0] * 5])[0])
        same(self, zeros, plain)

    @needs_torch
    def test_pytorch_agrees(self):
        import torch
        folder, state = self.bert("SequenceClassification")
        metadata, _ = self.convert(folder)
        from weights_converter.reference.bert import BertModel
        model = BertModel(json.loads((folder / "config.json").read_text())).double().eval()
        own = {k[5:]: torch.tensor(v).double() for k, v in state.items() if k.startswith("bert.") and "pooler" not in k}
        model.load_state_dict(own)
        linear = lambda x, name: torch.nn.functional.linear(x, *(torch.tensor(state[f"{name}.{p}"]).double() for p in ("weight", "bias")))
        offsets = metadata["ranklet.selftest.token_offsets"]
        with torch.no_grad():
            for t, (a, b) in enumerate(zip(offsets, offsets[1:])):
                first = model(torch.tensor([list(metadata["ranklet.selftest.token_ids"][a:b])]))[0, 0]
                logits = linear(torch.tanh(linear(first, "bert.pooler.dense")), "classifier")
                np.testing.assert_allclose(metadata["ranklet.selftest.logits"][3 * t:3 * t + 3], logits.numpy(), atol=1e-5)


class Pairs(unittest.TestCase):
    def test_the_longer_text_is_cut_first(self):
        from types import SimpleNamespace
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b"]
        settings = SimpleNamespace(tokens=tokens, outside_vocabulary=(), added=(), lowercase=True, strip_accents=True,
                                   lower_text=False, clean_text=True, handle_chinese_chars=True, max_input_chars_per_word=100, unk_id=1,
                                   cls_id=2, sep_id=3)
        for a, b, limit, kept in ((5, 2, 8, (3, 2)), (2, 5, 8, (2, 3)), (6, 5, 8, (3, 2)), (5, 5, 8, (2, 3)), (1, 1, 8, (1, 1)), (9, 0, 6, (3, 0))):
            ids, types = WordPiece(settings, limit).encode_pair("a " * a, "b " * b)
            self.assertEqual((ids.count(4), ids.count(5)), kept)
            self.assertEqual(types, [0] * (kept[0] + 2) + [1] * (kept[1] + 1))


if __name__ == "__main__":
    unittest.main()
