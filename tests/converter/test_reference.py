"""The numpy reference against PyTorch, and on a recommender trained on real data."""
import json
import math
import unittest

import numpy as np

from helpers import FolderTest, asset, layouts, needs_torch, torch
from weights_converter.kinds import gru, items
from weights_converter.kinds.bert_reference import pool
from weights_converter.numpy_reference import ACTIVATIONS, softmax

if torch:
    from torch import nn
    from weights_converter.reference import bert as torch_bert
    from weights_converter.reference.recommender import RecommendationModel


def tensors_of(state):
    return {name: torch.from_numpy(np.array(array)) for name, array in state.items()}


def close(actual, expected, tolerance=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


class Formulas(unittest.TestCase):
    def test_known_values(self):
        x = np.array([0.0, 1.0, -1.0])
        close(ACTIVATIONS["gelu"](x), [0, 0.8413447460685429, -0.15865525393145707])
        close(ACTIVATIONS["gelu_tanh"](x), [0, 0.8411919906082768, -0.15880800939172324])
        close(ACTIVATIONS["silu"](x), [0, 0.7310585786300049, -0.2689414213699951])
        close(softmax(np.array([1000.0, 1000.0, -1000.0])), [0.5, 0.5, 0])

    def test_pooling_of_two_tokens(self):
        states = np.array([[1.0, 8.0], [3.0, 2.0]])
        for mode, expected in (("cls", [1, 8]), ("last", [3, 2]), ("max", [3, 8]), ("mean", [2, 5]),
                               ("mean_sqrt_len", [4 / math.sqrt(2), 10 / math.sqrt(2)]), ("weighted_mean", [7 / 3, 4])):
            close(pool(states, mode), expected)

    def test_single_precision_stays_single(self):
        x = np.linspace(-3, 3, 7, dtype=np.float32)
        for name, function in ACTIVATIONS.items():
            self.assertEqual(function(x).dtype, np.float32, name)

    @needs_torch
    def test_activations_agree_with_pytorch(self):
        x = np.linspace(-12, 12, 1001)
        for name, function in ACTIVATIONS.items():
            close(function(x), torch_bert.ACTIVATIONS[name](torch.from_numpy(x)).numpy(), 1e-12)


@needs_torch
class AgainstPyTorch(FolderTest):
    IDS = [[2, 30, 31, 32, 3], [2, 3], [2, 40, 41, 40, 41, 50, 60, 70, 80, 90, 3]]

    def reference(self, folder, *options, of=gru.Reference):
        self.convert(folder, *options)
        return of.of_file(self.folder / "out.gguf")

    def test_a_transformer_layer_is_pytorchs_own(self):
        folder, state = self.encoder(layers=1)
        ours = self.reference(folder, "--pooling", "mean").token_states(self.IDS)
        t = tensors_of(state)
        layer = nn.TransformerEncoderLayer(48, 3, 100, 0, "gelu", 1e-12, batch_first=True).double().eval()
        base = "encoder.layer.0."
        attention = [f"{base}attention.self.{part}" for part in ("query", "key", "value")]
        names = {"self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense", "linear2": "output.dense",
                 "norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}
        layer.load_state_dict({
            "self_attn.in_proj_weight": torch.cat([t[f"{name}.weight"] for name in attention]),
            "self_attn.in_proj_bias": torch.cat([t[f"{name}.bias"] for name in attention]),
            **{f"{a}.{part}": t[f"{base}{b}.{part}"] for a, b in names.items() for part in ("weight", "bias")}})
        for ids, states in zip(self.IDS, ours):
            x = (t["embeddings.word_embeddings.weight"].double()[ids] + t["embeddings.position_embeddings.weight"][:len(ids)]
                 + t["embeddings.token_type_embeddings.weight"][0])
            x = nn.functional.layer_norm(x, (48,), t["embeddings.LayerNorm.weight"].double(),
                                         t["embeddings.LayerNorm.bias"].double(), 1e-12)
            with torch.no_grad():
                close(states, layer(x[None], src_mask=torch.zeros(len(ids), len(ids)).double())[0].numpy())

    def test_whole_encoders_agree(self):
        for activation in ("gelu", "gelu_new", "relu", "silu"):
            folder, state = self.encoder(activation, activation=activation, eps=1e-5)
            layouts.write_sentence_transformers(folder, 48, list(layouts.POOLING_FLAGS), 40)
            reference = self.reference(folder)
            model = torch_bert.TextEncoder(json.loads((folder / "config.json").read_text()),
                                           reference.metadata["ranklet.encoder.pooling"], normalize=True).double().eval()
            model.bert.load_state_dict(tensors_of(state))
            for ids, states in zip(self.IDS, reference.token_states(self.IDS)):
                with torch.no_grad():
                    close(states, model.bert(torch.tensor([ids]))[0].numpy(), 1e-8)
                    close(reference.vector(states), model(torch.tensor([ids]))[0].numpy(), 1e-8)

    def test_grus_agree(self):
        draw = layouts.Draw("gru")
        for into, hidden, layers, bias in ((20, 28, 1, True), (28, 20, 3, True), (16, 16, 2, False)):
            state = layouts.gru_state(draw, into, hidden, layers, bias)
            folder = self.folder / f"{into}-{layers}"
            folder.mkdir()
            out = draw.linear(7, hidden)
            layouts.write_safetensors(folder / "model.safetensors", {
                **state, "emb.weight": draw.normal(7, into), "fc.weight": out[0], "fc.bias": out[1]})
            reference = self.reference(folder, of=items.Reference)
            torch_gru = nn.GRU(into, hidden, layers, bias).double()
            torch_gru.load_state_dict({name[len("gru."):]: tensor for name, tensor in tensors_of(state).items()})
            steps, start = draw.normal(9, into).astype(np.float64), draw.normal(layers, hidden).astype(np.float64)
            with torch.no_grad():
                last = torch_gru(torch.from_numpy(steps), torch.from_numpy(start))[1].numpy()
            close(reference.gru(steps, start), last)

    def test_scorings_agree(self):
        history = [(2, None), (0, 4.0), (1, 1.5), (0, 4.5)]
        for recipe, options in (
                ("tiny_next_event", dict(scoring="next_event", pooling="mean", gru_hidden=40, rating_values=layouts.RATINGS)),
                ("tiny_dot_product", dict(scoring="dot_product", pooling="cls", normalize=True, gru_hidden=28, gru_layers=2,
                                          user_proj=True, rating_scale=0.25)),
                ("tiny_dot_plain", dict(scoring="dot_product", pooling="mean", gru_hidden=24)),
                ("tiny_text_gru", dict(scoring="text_gru")),
                ("tiny_text_gru_wide", dict(scoring="text_gru", gru_hidden=28, gru_layers=3, gru_bias=False))):
            with self.subTest(recipe):
                folder, _ = self.checkpoint(recipe, getattr(layouts, recipe))
                reference = self.reference(folder)
                model = RecommendationModel(json.loads((folder / "config.json").read_text()), **options).double().eval()
                path = folder / "model.pth"
                if path.exists():
                    state = torch.load(path)
                else:
                    from weights_converter.safetensors import SafeTensors
                    state = tensors_of(SafeTensors(folder / "model.safetensors"))
                model.load_state_dict(state)
                texts = [torch.tensor(ids) for ids in self.IDS]
                with torch.no_grad():
                    expected = model.rank([(texts[index], rating) for index, rating in history], texts).numpy()
                events = reference.text_events(reference.token_states(self.IDS))
                scores = reference.scores(events, [index for index, _ in history], [rating for _, rating in history])
                close(scores, expected, 1e-8)
                self.assertGreater(np.std(scores), 1e-2)

    def test_rounded_weights_are_what_the_file_holds(self):
        folder, state = self.encoder()
        for dtype, kind in (("f16", torch.float16), ("bf16", torch.bfloat16)):
            reference = self.reference(folder, "--pooling", "mean", "--dtype", dtype)
            kept = ("position_embeddings", "token_type_embeddings")
            rounded = {name: value if value.ndim < 2 or any(part in name for part in kept) else value.to(kind).float()
                       for name, value in tensors_of(state).items()}
            model = torch_bert.BertModel(json.loads((folder / "config.json").read_text())).double().eval()
            model.load_state_dict(rounded)
            with torch.no_grad():
                close(reference.token_states(self.IDS[:1])[0], model(torch.tensor(self.IDS[:1]))[0].numpy(), 1e-8)


class MovieLens(FolderTest):
    """A GRU4Rec-like recommender trained on MovieLens by others; 95 held-out cases."""

    def setUp(self):
        super().setUp()
        self.weights = asset("checkpoints/gru-movielens/model.safetensors")
        lines = asset("checkpoints/gru-movielens/test.jsonl").read_text().splitlines()
        self.cases = [json.loads(line) for line in lines]

    def scores(self):
        metadata, _ = self.convert(self.weights)
        reference = items.Reference.of_file(self.folder / "out.gguf", np.float32)
        events = reference.item_events()
        return metadata, [reference.scores(events, case["history"]) for case in self.cases]

    def test_it_finds_8_of_95_next_films_among_its_first_ten(self):
        metadata, scores = self.scores()
        hits = sum(case["next"] in np.argsort(-each, kind="stable")[:10] for case, each in zip(self.cases, scores))
        self.assertEqual((hits, len(self.cases)), (8, 95))
        self.assertEqual(len(scores[0]), 1682)
        self.assertEqual(metadata["ranklet.items.texts"][0], "Toy Story (1995)")
        self.assertEqual(metadata["ranklet.items.ids"][1681], "1681")

    @needs_torch
    def test_its_logits_are_pytorchs(self):
        from weights_converter.safetensors import SafeTensors
        state = tensors_of(SafeTensors(self.weights))
        gru = nn.GRU(64, 64, batch_first=True)
        gru.load_state_dict({name[len("gru."):]: value for name, value in state.items() if name.startswith("gru.")})
        with torch.no_grad():
            histories = torch.tensor([case["history"] for case in self.cases])
            hidden = gru(state["item_embeddings.weight"][histories])[1][-1]
            expected = nn.functional.linear(hidden, state["s_fc.weight"], state["s_fc.bias"]).numpy()
        _, scores = self.scores()
        self.assertLess(np.abs(np.array(scores) - expected).max(), 1e-5)


if __name__ == "__main__":
    unittest.main()
