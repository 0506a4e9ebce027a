"""News recommenders: what is converted, what is refused, and the numpy reference against PyTorch's."""
import json
import unittest

import numpy as np

from helpers import FolderTest, layouts, needs_torch, read_gguf, run, torch
from weights_converter.kinds.news import Reference, keras_gates

WORDS = ["", "storm", "hits", "the", "coast", "team"]


def checkpoint(folder, change=None, tensors=None, drop=()):
    """A tiny NAML of two views; `change(config)` edits ranklet.json, `tensors` replaces or adds weights."""
    draw = np.random.default_rng(3)
    normal = lambda *shape: draw.standard_normal(shape).astype(np.float32)
    state = {
        "words.weight": normal(6, 4),
        "views.title.conv.0.weight": normal(5, 4, 3), "views.title.conv.0.bias": normal(5),
        "views.title.pool.keys.weight": normal(3, 5), "views.title.pool.keys.bias": normal(3), "views.title.pool.v": normal(3),
        "views.category.embedding.weight": normal(3, 2),
        "views.category.dense.weight": normal(5, 2), "views.category.dense.bias": normal(5),
        "join.pool.keys.weight": normal(3, 5), "join.pool.keys.bias": normal(3), "join.pool.v": normal(3),
        "user.pool.keys.weight": normal(3, 5), "user.pool.keys.bias": normal(3), "user.pool.v": normal(3),
    }
    state.update(tensors or {})
    config = {
        "model": "naml", "words": "words.txt", "lowercase": True, "unknown": "row", "unknown_id": 0,
        "views": {"title": {"kind": "text", "max_length": 8, "padding": "same"},
                  "category": {"kind": "category", "values": ["news", "sports"], "activation": "relu"}},
        "user": {"max_events": 5}}
    if change:
        change(config)
    folder.mkdir()
    layouts.write_safetensors(folder / "model.safetensors", {k: v for k, v in state.items() if k not in drop})
    (folder / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (folder / "ranklet.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


class News(FolderTest):
    def convert(self, *arguments, **options):
        folder = checkpoint(self.folder / f"model{len(list(self.folder.iterdir()))}", **options)
        code, out, err = run(folder, self.folder / "out.gguf", *arguments)
        return code, out + err

    def refused(self, part, *arguments, **options):
        code, text = self.convert(*arguments, **options)
        self.assertEqual(code, 1, text)
        self.assertIn(part, text)
        self.assertFalse((self.folder / "out.gguf").exists())

    def test_a_model_becomes_keys_and_tensors(self):
        code, text = self.convert()
        self.assertEqual(code, 0, text)
        meta, tensors = read_gguf(str(self.folder / "out.gguf"))
        self.assertEqual(meta["ranklet.encoder.type"], "news")
        self.assertEqual(meta["ranklet.recommender.scoring"], "user_tower")
        self.assertEqual(meta["ranklet.news.title.conv.padding"], [1, 1])
        self.assertEqual(meta["ranklet.words.tokens"][0], "[unused_row_0]")
        self.assertEqual(tensors["ranklet.news.title.conv.0.weight"].shape, (5, 12))
        self.assertEqual(meta["ranklet.news.join"], "attention")

    def test_padding_may_be_same_valid_or_given_and_is_never_guessed(self):
        def padded(value):
            def change(config):
                config["views"]["title"]["padding"] = value
            return change

        self.assertEqual(self.convert(change=padded("valid"))[0], 0)
        self.assertEqual(read_gguf(str(self.folder / "out.gguf"))[0]["ranklet.news.title.conv.padding"], [0, 0])
        (self.folder / "out.gguf").unlink()
        for value in (None, "reflect", [[3, 0]], [[1]], [[0, 0], [0, 0]], [["1", 1]]):
            self.refused("views.title.padding", change=padded(value))

    def test_what_is_missing_or_wrong_is_named(self):
        change = lambda **more: (lambda config: config.update(**more))
        self.refused("join.pool.v is missing", drop=("join.pool.v",))
        self.refused("user.gru", tensors={"user.gru.weight_ih_l0": np.zeros((3, 5), np.float32)})
        self.refused("model is 'bert4rec'", change=change(model="bert4rec"))
        self.refused("unknown key 'padding'", change=change(padding="same"))
        self.refused("words.weight has shape", tensors={"words.weight": np.zeros((7, 4), np.float32)})
        self.refused("must be finite", tensors={"user.pool.v": np.array([1, np.nan, 1], np.float32)})
        self.refused("unknown_id is 6", change=change(unknown_id=6))
        self.refused("lowercase is None", change=change(lowercase=None))
        self.refused("user.max_events", change=change(user={}))
        self.refused("views is []", change=change(views=[]))
        self.refused("views.title.kind", change=change(views={"title": {}}))
        self.refused("'Storm' is not lower-cased", change=change(words=["", "Storm", "b", "c", "d", "e"]))
        self.refused("stands twice", change=change(words=["", "b", "b", "c", "d", "e"]))
        self.refused("cannot be joined by attention", drop=("views.category.dense.weight", "views.category.dense.bias"),
                     change=lambda config: config["views"]["category"].pop("activation"))

    def user(self, **more):
        return lambda config: config["user"].update(more)

    def test_histories_may_have_been_filled_up(self):
        code, text = self.convert(change=self.user(pad_to=4))
        self.assertEqual(code, 0, text)
        self.assertIn("histories filled up to 4", text)
        meta, tensors = read_gguf(str(self.folder / "out.gguf"))
        self.assertEqual((meta["ranklet.user.memory"], meta["ranklet.user.pad_to"], meta["ranklet.user.pad_side"]),
                         ("padded_events", 4, "front"))
        reference = Reference.of_file(self.folder / "out.gguf")
        empty = reference.item({"title": [], "category": ""})  # the item that training filled them up with
        np.testing.assert_allclose(tensors["ranklet.user.padding"], empty, rtol=1e-6)
        event = reference.item({"title": [1, 2], "category": "news"})
        np.testing.assert_allclose(reference.user(np.stack([event])),
                                   reference.pool("ranklet.user.pool", np.stack([tensors["ranklet.user.padding"]] * 3 + [event])))
        self.assertEqual(len(meta["ranklet.selftest.history"]), 3)  # shorter than what it is filled up to

    def test_what_fills_histories_up_may_be_a_tensor_and_stand_behind_them(self):
        padding = np.arange(5, dtype=np.float32)
        code, text = self.convert(change=self.user(pad_to=5, pad_side="end"), tensors={"user.padding": padding})
        self.assertEqual(code, 0, text)
        meta, tensors = read_gguf(str(self.folder / "out.gguf"))
        self.assertEqual(meta["ranklet.user.pad_side"], "end")
        np.testing.assert_array_equal(tensors["ranklet.user.padding"], padding)

    def test_padding_of_histories_that_was_masked_changes_nothing(self):
        self.assertEqual(self.convert(change=self.user(pad_to=4, mask_padding=True))[0], 0)
        meta, tensors = read_gguf(str(self.folder / "out.gguf"))
        self.assertEqual(meta["ranklet.user.memory"], "events")
        self.assertNotIn("ranklet.user.padding", tensors)

    def test_padding_of_histories_that_cannot_be(self):
        self.refused("user.pad_to is 6, expected no more than max_events, 5", change=self.user(pad_to=6))
        self.refused("user.pad_to is -1", change=self.user(pad_to=-1))
        self.refused("user.pad_side is 'left', expected one of front, end", change=self.user(pad_to=4, pad_side="left"))
        self.refused("of histories that user.pad_to fills up", change=self.user(pad_side="end"))
        self.refused("user.mask_padding is 1, expected true or false", change=self.user(pad_to=4, mask_padding=1))
        self.refused("what user.padding is for is not known", tensors={"user.padding": np.zeros(5, np.float32)})

    def test_a_gru_states_what_makes_its_gates(self):
        draw = np.random.default_rng(4)
        normal = lambda *shape: draw.standard_normal(shape).astype(np.float32)
        tensors = {"user.gru.kernel": normal(5, 15), "user.gru.recurrent_kernel": normal(5, 15), "user.gru.bias": normal(15)}
        drop = ("user.pool.keys.weight", "user.pool.keys.bias", "user.pool.v", "join.pool.keys.weight", "join.pool.keys.bias",
                "join.pool.v", "views.category.embedding.weight", "views.category.dense.weight", "views.category.dense.bias")

        def lstur(**more):
            def change(config):
                config.update(model="lstur", user={"mode": "none", "gru": "keras_reset_before", **more})
                del config["views"]["category"]
            return dict(change=change, tensors=tensors, drop=drop)

        code, text = self.convert(**lstur(recurrent_activation="hard_sigmoid_keras2", activation="tanh"))
        self.assertEqual(code, 0, text)
        self.assertIn("gates hard_sigmoid_keras2", text)
        reference = Reference.of_file(self.folder / "out.gguf")
        self.assertEqual(reference.metadata["ranklet.gru.reset"], "before+hard_sigmoid_keras2")
        x, h = normal(5).astype(np.float64), normal(5).astype(np.float64)
        hard = lambda v: np.clip(0.2 * v + 0.5, 0, 1)
        (wz, wr, wn), (uz, ur, un), (bz, br, bn) = (np.split(tensors[f"user.gru.{name}"].astype(np.float64), 3, -1)
                                                    for name in ("kernel", "recurrent_kernel", "bias"))
        z, r = hard(x @ wz + h @ uz + bz), hard(x @ wr + h @ ur + br)
        self.assertTrue(((z == 0) | (z == 1)).any() or ((r == 0) | (r == 1)).any())  # a gate that no logistic one reaches
        np.testing.assert_allclose(reference.step(x, h[None])[0], z * h + (1 - z) * np.tanh(x @ wn + (r * h) @ un + bn), rtol=1e-6)
        (self.folder / "out.gguf").unlink()
        self.refused("user.recurrent_activation is 'hard_sigmoid', expected hard_sigmoid_keras2 for clip(0.2 x + 0.5, 0, 1)",
                     **lstur(recurrent_activation="hard_sigmoid"))
        self.refused("user.recurrent_activation is 'swish', expected one of sigmoid", **lstur(recurrent_activation="swish"))
        self.refused("user.activation is 'relu', expected tanh", **lstur(activation="relu"))

    def test_a_key_is_refused_where_the_model_has_no_part_that_it_is_of(self):
        self.refused("unknown key 'recurrent_activation' in user", change=self.user(recurrent_activation="sigmoid"))
        self.refused("unknown key 'gru' in user", change=self.user(gru="torch"))
        self.refused("views.title.heads means nothing here", change=lambda config: config["views"]["title"].update(heads=2))
        self.refused("views.title.activation means nothing here", change=lambda config: config["views"]["title"].update(activation="relu"))
        self.refused("unknown_id means nothing here", change=lambda config: config.update(unknown="skip"))
        self.refused("user.pool.activation means nothing here", change=self.user(pool={"form": "dot", "activation": "tanh"}),
                     drop=("user.pool.keys.weight", "user.pool.keys.bias", "user.pool.v"))

    def test_files_of_words_are_read_without_their_mark_and_blanks(self):
        folder = checkpoint(self.folder / "marked")
        (folder / "words.txt").write_bytes(b"\xef\xbb\xbf\r\nstorm \r\nhits\r\nthe\r\ncoast\r\n team")
        code, _, text = run(folder, self.folder / "out.gguf")
        self.assertEqual(code, 0, text)
        self.assertEqual(read_gguf(str(self.folder / "out.gguf"))[0]["ranklet.words.tokens"], ["[unused_row_0]", *WORDS[1:]])
        (folder / "words.txt").write_bytes(b"\nstorm\nhi\0ts\nthe\ncoast\nteam\n")
        code, _, text = run(folder, self.folder / "zero.gguf")
        self.assertEqual(code, 1)
        self.assertIn("words.txt, line 3: has a zero byte", text)

    def test_options_that_mean_nothing_are_refused(self):
        self.refused("--pooling", "--pooling", "mean")
        self.refused("--scoring", "--scoring", "dot_product")
        self.refused("i8", "--dtype", "i8")
        self.refused("the command line says 'nrms'", "--model", "nrms")

    def test_the_command_line_may_name_the_model(self):
        code, text = self.convert("--model", "naml", change=lambda config: config.pop("model"))
        self.assertEqual(code, 0, text)

    @needs_torch
    def test_gru4rec_is_learned_items_and_a_gru(self):
        folder, _ = self.checkpoint("items", layouts.tiny_items)
        code, out, err = run(folder, self.folder / "items.gguf", "--model", "gru4rec")
        self.assertEqual(code, 0, err)
        text, _ = self.checkpoint("text", layouts.tiny_dot_product)
        code, out, err = run(text, self.folder / "text.gguf", "--model", "gru4rec")
        self.assertEqual(code, 1)
        self.assertIn("has a text encoder", err)

    def test_half_precision_files_test_themselves_on_the_weights_as_stored(self):
        code, text = self.convert("--dtype", "f16")
        self.assertEqual(code, 0, text)
        meta, tensors = read_gguf(str(self.folder / "out.gguf"))
        reference = Reference.of_file(str(self.folder / "out.gguf"))
        item = reference.item({"title": [], "category": meta["ranklet.selftest.view.category"][1]})
        np.testing.assert_allclose(item, np.array(meta["ranklet.selftest.vectors"]).reshape(-1, 5)[1], rtol=1e-5, atol=1e-6)


class KerasGates(unittest.TestCase):
    def test_gates_z_r_h_become_r_z_n(self):
        kernel = np.arange(2 * 9, dtype=np.float32).reshape(2, 9)  # in 2, hidden 3
        rows = keras_gates(kernel)
        self.assertEqual(rows.shape, (9, 2))
        np.testing.assert_array_equal(rows[:3], kernel[:, 3:6].T)
        np.testing.assert_array_equal(rows[3:6], kernel[:, :3].T)
        np.testing.assert_array_equal(rows[6:], kernel[:, 6:].T)
        np.testing.assert_array_equal(keras_gates(kernel[0]), np.concatenate([kernel[0, 3:6], kernel[0, :3], kernel[0, 6:]]))


@needs_torch
class AgainstPyTorch(unittest.TestCase):
    def test_the_numpy_reference_agrees_with_pytorch_on_every_committed_model(self):
        import make_news_goldens as goldens
        for name, config in goldens.MODELS.items():
            module = goldens.NewsRecommender(config, len(goldens.WORDS))
            goldens.draw_weights(module, goldens.zlib.crc32(name.encode()))
            module = module.double()
            items, _ = goldens.news_items(config, name)
            reference = Reference.of_file(str(goldens.HERE / "goldens" / f"news-{name}.gguf"))
            plain = [{n: v.numpy() if torch.is_tensor(v) else v for n, v in views.items()} for views in items]
            ours = np.stack([reference.item(views) for views in plain])
            wide = goldens.in_kind(items, torch.float64)
            with torch.no_grad():
                theirs = torch.stack([module.item(views) for views in wide]).numpy()
                np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=name)
                for history in goldens.HISTORIES.values():
                    scores = module.score(wide, history, config["user"].get("users", [None])[0]).numpy()
                    own = ours @ reference.user(ours[history].reshape(len(history), -1) if history else ours[:0], config["user"].get("users", [None])[0])
                    np.testing.assert_allclose(own, scores, rtol=1e-5, atol=1e-5, err_msg=name)


if __name__ == "__main__":
    unittest.main()
