"""Everything that cannot be converted is one line that names it, exit code 1, and no file."""
import os
import subprocess
import sys
import unittest
import warnings

import numpy as np

from helpers import REPOSITORY, FolderTest, edit, layouts, needs_torch, run


class Encoders(FolderTest):
    MEAN = ("--pooling", "mean")

    def setUp(self):
        super().setUp()
        self.model, self.state = self.encoder()
        self.weights, self.config = self.model / "model.safetensors", self.model / "config.json"

    def refused_with(self, *words):
        self.refused(self.model, *words, options=self.MEAN)

    def test_other_architectures(self):
        for change, words in (
                ({"architectures": ["RobertaModel"]}, ("architecture RobertaModel is not supported",)),
                ({"model_type": "xlnet"}, ("model_type 'xlnet' is not supported",)),
                ({"model_type": "bart", "architectures": ["BartModel"]}, ("model_type 'bart'",)),
                ({"position_embedding_type": "relative_key"}, ("position_embedding_type 'relative_key'",)),
                ({"is_decoder": True}, ("is_decoder is true",)),
                ({"hidden_act": "quick_gelu"}, ("hidden_act 'quick_gelu' is unknown",)),
                ({"hidden_act": ...}, ("hidden_act None is unknown",)),
                ({"pruned_heads": {"0": [1]}}, ("pruned_heads",)),
                ({"quantization_config": {"bits": 4}}, ("quantization_config",))):
            with self.subTest(change):
                before = self.config.read_text()
                edit(self.config, **change)
                self.refused_with(*words)
                self.config.write_text(before)

    def test_sizes_that_do_not_fit(self):
        for change, words in (
                ({"num_attention_heads": 5}, ("hidden_size 48 is not a multiple of num_attention_heads 5",)),
                ({"hidden_size": 0}, ("hidden_size is 0, expected a positive number",)),
                ({"num_hidden_layers": "2"}, ("num_hidden_layers is '2'",)),
                ({"num_hidden_layers": 3}, ("encoder.layer.2.attention.self.query.weight is missing",)),
                ({"num_hidden_layers": 1}, ("encoder.layer.1", "has no place in a bert of 1 layers")),
                ({"intermediate_size": 99}, ("intermediate.dense.weight has shape [100, 48], expected [99, 48]",)),
                ({"vocab_size": 100}, ("word_embeddings.weight has shape", "expected [100, 48]")),
                ({"max_position_embeddings": 41}, ("position_embeddings.weight", "expected [41, 48]")),
                ({"layer_norm_eps": 0}, ("layer_norm_eps is 0",))):
            with self.subTest(change):
                before = self.config.read_text()
                edit(self.config, **change)
                self.refused_with(*words)
                self.config.write_text(before)

    def test_tensors_that_are_missing_misshaped_or_not_finite(self):
        name = "encoder.layer.1.output.dense.weight"
        for array, words in (
                (None, (name, "is missing")),
                (self.state[name].T.copy(), (name, "has shape [100, 48], expected [48, 100]")),
                (np.where(np.arange(100) == 7, np.nan, self.state[name]).astype(np.float32), (name, "has nan at [0, 7]")),
                (np.full((48, 100), np.inf, np.float16), (name, "has inf at [0, 0]")),
                (np.ones((48, 100), np.int64), (name, "has type int64"))):
            with self.subTest(words):
                state = {**self.state, name: array}
                if array is None:
                    del state[name]
                layouts.write_safetensors(self.weights, state)
                self.refused_with(*words)

    def test_a_weight_too_large_for_f16(self):
        self.state["encoder.layer.0.intermediate.dense.weight"][3, 4] = 1e5
        layouts.write_safetensors(self.weights, self.state)
        self.refused(self.model, "blk.0.ffn_up.weight", "100000 does not fit into f16", options=(*self.MEAN, "--dtype", "f16"))

    def test_weights_that_are_not_there_or_broken(self):
        whole = self.weights.read_bytes()
        self.weights.write_bytes(whole[:len(whole) // 2])
        self.refused_with("model.safetensors: truncated")
        self.weights.write_bytes(b"\x05")
        self.refused_with("model.safetensors: truncated or not a safetensors file")
        layouts.write_safetensors(self.weights, {})
        self.refused_with("holds no tensors")
        self.weights.unlink()
        self.refused_with("no weights; looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin")
        (self.model / "tf_model.h5").write_bytes(b"")
        self.refused_with("tf_model.h5 cannot be read")

    def test_folders_and_files_that_are_not_there(self):
        self.refused(self.folder / "nothing", "nothing: no such file or folder")
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused(empty, "no weights")
        self.config.unlink()
        self.refused_with("no config.json")
        self.refused(self.weights, "--config expects a folder", options=("--config", self.folder / "nothing"))
        text = self.folder / "weights.txt"
        text.write_text("x")
        self.refused(text, "unknown kind of weights file")

    def test_broken_json(self):
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            with self.subTest(name):
                path = self.model / name
                before = path.read_bytes()
                path.write_text('{"a": ')
                self.refused_with(f"{name}: broken JSON")
                path.write_text("[]")
                self.refused_with(f"{name}: expected a JSON object")
                path.write_bytes(b"\xff")
                self.refused_with(f"{name}: not UTF-8")
                path.write_bytes(before)

    def test_no_tokenizer(self):
        for name in ("tokenizer.json", "vocab.txt"):
            (self.model / name).unlink()
        self.refused_with("no tokenizer; looked for tokenizer.json and vocab.txt")

    def test_more_tokens_than_rows(self):
        count = len(layouts.tiny_vocabulary())
        words = "embeddings.word_embeddings.weight"
        self.state[words] = self.state[words][:count - 1].copy()
        layouts.write_safetensors(self.weights, self.state)
        edit(self.config, vocab_size=count - 1)
        self.refused_with(words, f"{count - 1} rows, but the tokenizer has {count} tokens")

    def test_pooling_is_never_guessed(self):
        self.refused(self.model, "how token states become a text's vector is not stated", "--pooling cls|mean")
        self.refused(self.model, "--pooling: pooling 'median' is unknown", options=("--pooling", "median"))
        self.refused(self.model, "--pooling: pooling '' is unknown", options=("--pooling", ""))

    def test_lengths_outside_the_models(self):
        for length in (2, 41):
            self.refused(self.model, f"max_length {length} is not between 3 and the model's 40 positions",
                         options=(*self.MEAN, "--max-length", length))

    def test_options_of_another_kind_of_model(self):
        self.refused(self.model, "scoring text_gru needs a GRU", options=(*self.MEAN, "--scoring", "text_gru"))
        self.refused(self.model, "--items is for learned item embeddings", options=(*self.MEAN, "--items", "x.tsv"))

    def test_two_encoders_in_one_file(self):
        layouts.write_safetensors(self.weights, {**{f"a.{k}": v for k, v in self.state.items()},
                                                 **{f"b.{k}": v for k, v in self.state.items()}})
        self.refused_with("holds several encoders: a.embeddings", "b.embeddings")

    @needs_torch
    def test_a_pickled_module_is_no_state_dict(self):
        import torch
        torch.save(torch.nn.Linear(2, 2), self.model / "pytorch_model.bin")
        self.weights.unlink()
        self.refused_with("pytorch_model.bin: holds other things than tensors (torch.nn.modules.linear.Linear)")


class SentenceTransformers(FolderTest):
    def setUp(self):
        super().setUp()
        self.model, _ = self.encoder()
        draw = layouts.Draw("dense")
        layouts.write_sentence_transformers(self.model, 48, ["mean"], 20, [(*draw.linear(30, 48), "torch.nn.modules.activation.Tanh")])

    def test_what_its_files_say_wrongly(self):
        cases = (
            ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}, ("no pooling is switched on",)),
            ("1_Pooling/config.json", {"pooling_mode_new_tokens": True}, ("pooling_mode_new_tokens is not supported",)),
            ("1_Pooling/config.json", {"pooling_mode": "median"}, ("pooling 'median' is unknown",)),
            ("2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.Softplus"}, ("Softplus' is unknown",)),
            ("2_Dense/config.json", {"activation_function": ...}, ("activation_function None is unknown",)),
            ("2_Dense/config.json", {"in_features": 47}, ("linear.weight has shape [30, 48], expected [30, 47]",)),
            ("2_Dense/config.json", {"bias": False}, ("holds linear.bias",)),
            ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, (
                "module_input_name of Dense is 'token_embeddings'; behind Pooling it would have to be 'sentence_embedding'",)),
            ("2_Dense/config.json", {"module_output_name": "scores"}, ("module_output_name of Dense is 'scores'",)),
            ("2_Dense/config.json", {"use_residual": True}, ("tensor residual.weight is missing",)),
            ("1_Pooling/config.json", {"include_prompt": "no"}, ("include_prompt is 'no'",)),
            ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, ("transformer_task 'fill-mask' is not supported",)),
            ("sentence_bert_config.json", {"module_output_name": "sentence_embedding"}, ("module_output_name is 'sentence_embedding'",)),
            ("sentence_bert_config.json", {"modality_config": {"text": {"method_output_name": "pooler_output"}}},
             ("method_output_name is 'pooler_output'",)),
            ("sentence_bert_config.json", {"processing_kwargs": {"text": {"add_special_tokens": False}}}, ("processing_kwargs.text",)),
            ("config_sentence_transformers.json", {"truncate_dim": 0}, ("truncate_dim is 0",)),
            ("sentence_bert_config.json", {"max_seq_length": 41}, ("max_length 41",)),
            ("sentence_bert_config.json", {"max_seq_length": "long"}, ("max_seq_length is 'long'",)),
            ("config_sentence_transformers.json", {"prompts": ["x"]}, ("prompts is not an object",)),
            ("config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": "q"}, ("default prompt 'q'",)))
        for name, change, words in cases:
            with self.subTest(change):
                path = self.model / name
                before = path.read_bytes()
                edit(path, **change)
                try:
                    self.refused(self.model, *words)
                finally:
                    path.write_bytes(before)

    def test_modules_it_does_not_know(self):
        kinds = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "LayerNorm": "x", "CNN": "1_CNN", "Normalize": "n"}
        for order, words in ((["Transformer", "Pooling", "WeightedLayerPooling"], "module 2 is WeightedLayerPooling; expected"),
                             (["Transformer", "CNN"], "module 1 is CNN; expected Transformer, Dense or Normalize of token states"),
                             (["Transformer", "LayerNorm", "Pooling"], "module 1 is LayerNorm; expected"),
                             ([], "module 0 is missing"),
                             (["Transformer"], "has no Pooling module"), (["Pooling"], "module 0 is Pooling"),
                             (["Transformer", "Pooling", "Pooling"], "module 2 is Pooling")):
            layouts.write_json(self.model / "modules.json", [
                {"idx": n, "name": str(n), "path": kinds.get(kind, ""), "type": f"sentence_transformers.models.{kind}"}
                for n, kind in enumerate(order)])
            self.refused(self.model, "modules.json", words)

    def test_a_dense_module_that_does_not_fit_or_is_missing(self):
        layouts.write_json(self.model / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True})
        self.refused(self.model, "dense module 0 reads 48 values, what comes before gives 96")
        (self.model / "2_Dense/model.safetensors").unlink()
        self.refused(self.model, "2_Dense: no weights")

    def test_the_command_line_may_not_contradict_it(self):
        self.refused(self.model, "pooling: the command line says cls", "modules.json says mean", options=("--pooling", "cls"))

    def test_what_a_module_holds_and_nothing_reads(self):
        weight, bias = layouts.Draw("dense").linear(30, 48)
        layouts.write_safetensors(self.model / "2_Dense/model.safetensors", {"linear.weight": weight, "linear.bias": bias, "more": bias})
        self.refused(self.model, "2_Dense/model.safetensors: what more is for is not known")

    def test_normalize_of_token_states_stands_in_front_of_pooling(self):
        modules = [("Transformer", ""), ("Normalize", "n"), ("Pooling", "1_Pooling")]
        layouts.write_json(self.model / "modules.json", [{"path": path, "type": kind} for kind, path in modules])
        self.refused(self.model, "module_input_name of Normalize is 'sentence_embedding'; in front of Pooling it would have to be")


class Recommenders(FolderTest):
    def setUp(self):
        super().setUp()
        self.model, self.state = self.checkpoint("r", layouts.tiny_bert, dim=24, layers=1, ff=50, prefix="encoder.bert.")
        draw = layouts.Draw("r")
        self.state.update(layouts.gru_state(draw, 24, 40, prefix="decoder.gru."))
        layouts.put(self.state, "decoder.out", draw.linear(1, 40))
        self.settings = {"scoring": "next_event", "pooling": "mean"}

    def refused_with(self, *words, options=(), settings=None, drop=(), **tensors):
        state = {name: array for name, array in {**self.state, **tensors}.items() if name not in drop}
        layouts.write_safetensors(self.model / "model.safetensors", state)
        layouts.write_json(self.model / "ranklet.json", {**self.settings, **(settings or {})})
        self.refused(self.model, *words, options=options)

    def test_a_good_one_converts(self):
        layouts.write_safetensors(self.model / "model.safetensors", self.state)
        layouts.write_json(self.model / "ranklet.json", self.settings)
        self.convert(self.model)

    def test_ratings_where_the_scoring_has_no_place_for_them(self):
        self.refused_with("rating.mode weight", "text_gru",
                          settings={"scoring": "text_gru", "rating": {"mode": "weight", "scale": 0.2}})

    def test_grus_that_are_none(self):
        ones = lambda *shape: np.ones(shape, np.float32)
        gru = "decoder.gru."
        for tensors, words in (
                ({f"{gru}weight_ih_l0": ones(160, 24)}, ("has 160 rows", "3 x 40 (an LSTM has 4)")),
                ({f"{gru}weight_ih_l0": ones(40, 24)}, ("(a plain RNN has 1)",)),
                ({f"{gru}weight_ih_l0_reverse": ones(120, 24)}, ("weight_ih_l0_reverse: a bidirectional GRU",)),
                ({f"{gru}weight_ih_l2": ones(120, 40)}, ("decoder.gru.weight_ih_l1 is missing",)),
                ({f"{gru}bias_ih_l0": ones(119)}, ("bias_ih_l0 has shape [119], expected [120]",)),
                ({f"{gru}weight_hh_l0": ones(120)}, ("must be matrices",)),
                ({"other.weight_ih_l0": ones(120, 24)}, ("expected one GRU, found decoder.gru.weight_ih_l0, other",))):
            with self.subTest(words):
                self.refused_with(*words, **tensors)
        self.refused_with("decoder.gru.weight_hh_l0", drop=[f"{gru}weight_hh_l0"])

    def test_heads_that_do_not_fit_the_scoring(self):
        self.refused_with("out.weight is missing", "next_event scores with it", drop=["decoder.out.weight", "decoder.out.bias"])
        self.refused_with("decoder.out.weight has shape [2, 40], expected [1, 40]",
                          **{"decoder.out.weight": np.ones((2, 40), np.float32)})
        self.refused_with("without user_proj.weight the GRU's hidden size 40 must be the vector's, 24",
                          settings={"scoring": "dot_product"})
        self.refused_with("the GRU reads 24 values, next_event feeds it a text's vector of 48",
                          settings={"pooling": ["cls", "mean"]})

    def test_tensors_of_unknown_meaning(self):
        self.refused_with("what decoder.attention.weight is for is not known",
                          **{"decoder.attention.weight": np.ones((2, 2), np.float32)})

    def test_what_ranklet_json_says_wrongly(self):
        rating = lambda **value: {"rating": value}
        for settings, words in (
                ({"skoring": "x"}, "unknown key 'skoring'; known are name, scoring"),
                ({"scoring": "magic"}, "scoring is 'magic', expected one of text_gru"),
                ({"pooling": ["mean", "median"]}, "pooling 'median' is unknown"),
                ({"normalize": 1}, "normalize is 1, expected true or false"),
                ({"max_length": 1}, "max_length is 1"),
                ({"pooling": None}, "how token states become a text's vector is not stated"),
                ({"default_prompt": "q"}, "default prompt 'q' is not among the prompts"),
                (rating(mode="stars"), "rating.mode is 'stars'"),
                (rating(mode="embedding"), "needs rating.values"),
                (rating(mode="embedding", values=[1, 2]), "rating.weight is missing"),
                (rating(mode="embedding", values=[2, 1]), "must ascend"),
                (rating(mode="weight"), "needs the number rating.scale"),
                (rating(mode="weight", scale=1, values=[1]), "rating.values belongs to mode embedding"),
                (rating(mode="none", steps=1), "unknown key 'steps' in rating")):
            with self.subTest(settings):
                self.refused_with(words, settings=settings)

    def test_ratings_that_are_not_stated_or_do_not_fit(self):
        table = np.ones((5, 24), np.float32)
        self.refused_with("holds rating.weight", "must state rating.mode embedding", **{"rating.weight": table})
        self.refused_with("rating.weight has shape [5, 24], expected [2, 24]", **{"rating.weight": table},
                          settings={"rating": {"mode": "embedding", "values": [1, 5]}})

    def test_scoring_that_is_not_stated_or_stated_twice(self):
        self.refused_with("scoring is next_event, the command line says text_gru", options=("--scoring", "text_gru"))
        self.refused_with("how items are scored is not stated; give --scoring", settings={"scoring": None},
                          **{"user_proj.weight": np.ones((24, 40), np.float32)})


class Overflow(FolderTest):
    def test_weights_that_overflow_float32_in_the_self_test_write_no_file_and_no_warning_of_numpys(self):
        for dtype in ("f32", "i8"):  # float64 holds the attention's numbers, float32 gives NaN
            folder, state = self.encoder(dtype)
            for name in state:
                if name.endswith(("query.weight", "key.weight")):
                    state[name] = state[name] * np.float32(1e25)
            layouts.write_safetensors(folder / "model.safetensors", state)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.refused(folder, "not finite" if dtype == "f32" else "blk.0.attn_q.weight: the weights give NaN or infinity",
                             options=("--pooling", "mean", "--dtype", dtype))


class LearnedItems(FolderTest):
    def setUp(self):
        super().setUp()
        self.model, _ = self.checkpoint("i", layouts.tiny_items)
        draw = layouts.Draw("i")
        self.state = {"item_embeddings.weight": draw.normal(32, 20), **layouts.gru_state(draw, 20, 28)}
        layouts.put(self.state, "fc", draw.linear(31, 28))

    def refused_with(self, *words, options=(), drop=(), **tensors):
        state = {name: array for name, array in {**self.state, **tensors}.items() if name not in drop}
        layouts.write_safetensors(self.model / "model.safetensors", state)
        self.refused(self.model, *words, options=options)

    def test_tables_that_do_not_fit(self):
        ones = lambda *shape: np.ones(shape, np.float32)
        self.refused_with("item_embeddings.weight has shape [32, 21], expected [any, 20]", **{"item_embeddings.weight": ones(32, 21)})
        self.refused_with("has 30 rows, fc.weight scores 31 items", **{"item_embeddings.weight": ones(30, 20)})
        self.refused_with("fc.weight has shape [31, 20], expected [31, 28]", **{"fc.weight": ones(31, 20)})
        self.refused_with("no item embeddings; looked for", drop=["item_embeddings.weight"])
        self.refused_with("item_embeddings.weight and emb.weight: which of them is meant", **{"emb.weight": ones(3, 20)})
        first = np.concatenate([self.state["item_embeddings.weight"], ones(1, 20)])
        first[0] = 0
        self.refused_with("33 rows, fc.weight scores 31 items and its first row is zero: where the items begin cannot be told",
                          **{"item_embeddings.weight": first})

    def test_padding_rows_that_cannot_be(self):
        table = self.state["item_embeddings.weight"].copy()
        table[[0, -1]] = 0
        self.refused_with("the first and the last row of item_embeddings.weight are zero", **{"item_embeddings.weight": table})
        self.refused_with("row 32 cannot be the padding row", options=("--padding-row", "32"))
        self.refused_with("--padding-row none cannot be", options=("--padding-row", "none"))
        self.refused_with("--padding-row is 'first', expected a row", options=("--padding-row", "first"))
        (self.model / "items.tsv").unlink()
        self.state["dense.weight"] = np.ones((20, 28), np.float32)
        self.refused_with("whether a row of item_embeddings.weight is padding and no item is not stated: --padding-row 0",
                          drop=["fc.weight", "fc.bias"])
        (self.model / "ranklet.json").write_text('{"padding_row": 3}')
        self.refused_with("padding_row is 3, the command line says 0", options=("--padding-row", "0"))
        self.state["item_embeddings.weight"] = np.ones((1, 20), np.float32)
        (self.model / "ranklet.json").unlink()
        self.refused_with("there is no item beside the padding", drop=["fc.weight", "fc.bias"], options=("--padding-row", "0"))
        for value in ("-1", "true", '"first"', "1.5"):
            (self.model / "ranklet.json").write_text(f'{{"padding_row": {value}}}')
            self.refused_with("ranklet.json: padding_row is", "expected a row, counted from 0, or none")

    def test_settings_that_mean_nothing_are_not_passed_over(self):
        (self.model / "ranklet.json").write_text('{"pooling": "mean"}')
        self.refused_with("ranklet.json: pooling means nothing here: learned items have no text")

    def test_what_means_nothing_without_text(self):
        layouts.write_safetensors(self.model / "model.safetensors", self.state)
        self.refused(self.model, "has no text encoder", options=("--pooling", "mean"))
        self.refused(self.model, "scoring next_event needs a text encoder", options=("--scoring", "next_event"))

    def test_item_lists_that_do_not_fit(self):
        layouts.write_safetensors(self.model / "model.safetensors", self.state)
        items = self.model / "items.tsv"
        for lines, words in (([f"i{n}" for n in range(30)], "items.tsv: 30 lines, the model has 31 items"),
                             ([f"i{n % 30}" for n in range(31)], "line 31: id 'i0' is repeated"),
                             ([f"i{n}" if n else "\tx" for n in range(31)], "line 1: id '' is empty"),
                             ([f"i{n}" if n else " \tx" for n in range(31)], "line 1: id '' is empty"),
                             ([f"i{n % 30}" + " " * (n // 30) for n in range(31)], "line 31: id 'i0' is repeated"),
                             ([f"i{n}" if n != 4 else "i\0" for n in range(31)], "line 5: has a zero byte"),
                             ([f"i{n}" if n != 4 else "i\rj" for n in range(31)], "line 5: id 'i\\rj' is one with a carriage")):
            items.write_text("\n".join(lines) + "\n")
            self.refused(self.model, words)
        self.refused(self.model, "none.tsv: cannot be read", options=("--items", self.folder / "none.tsv"))

    def test_networks_of_another_kind(self):
        layouts.write_safetensors(self.model / "model.safetensors", {"conv.0.weight": np.ones((2, 2), np.float32)})
        self.refused(self.model, "neither an encoder", "nor a GRU", "it has conv.0.weight")


class Output(FolderTest):
    def setUp(self):
        super().setUp()
        self.model, _ = self.checkpoint("i", layouts.tiny_items)

    def test_places_that_cannot_be_written(self):
        for out, words in ((self.folder / "none" / "x.gguf", "none does not exist"), (self.model, "is a folder")):
            code, _, stderr = run(self.model, out)
            self.assertEqual(code, 1)
            self.assertIn(words, stderr)

    @unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() != 0, "skipped: root may write anywhere")
    def test_a_folder_without_permission(self):
        locked = self.folder / "locked"
        locked.mkdir(mode=0o500)
        code, _, stderr = run(self.model, locked / "x.gguf")
        self.assertEqual(code, 1)
        self.assertIn("cannot be written", stderr)

    @unittest.skipUnless(os.path.exists("/dev/full"), "skipped: no /dev/full")
    def test_a_disk_that_is_full_keeps_the_old_file(self):
        out = self.folder / "x.gguf"
        out.write_text("old")
        os.symlink("/dev/full", f"{out}.{os.getpid()}.tmp")  # the temporary file's place is taken
        code, _, stderr = run(self.model, out)
        self.assertEqual(code, 1)
        self.assertIn("x.gguf: cannot be written", stderr)
        self.assertEqual(out.read_text(), "old")

    def test_a_failure_keeps_the_old_file(self):
        out = self.folder / "x.gguf"
        out.write_text("old")
        (self.model / "items.tsv").write_text("only one\n")
        code, _, _ = run(self.model, out)
        self.assertEqual((code, out.read_text()), (1, "old"))

    def test_the_command_line_tells_its_usage_and_exits_with_its_code(self):
        call = lambda *arguments: subprocess.run([sys.executable, "-m", "weights_converter", *map(str, arguments)],
                                                 cwd=REPOSITORY, capture_output=True, text=True)
        done = call("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("CHECKPOINT", done.stdout)
        self.assertIn("--pooling", done.stdout)
        failed = call(self.folder / "none", self.folder / "x.gguf")
        self.assertEqual(failed.returncode, 1)
        self.assertEqual(failed.stderr, f"error: {self.folder / 'none'}: no such file or folder\n")
        good = call(self.model, self.folder / "x.gguf")
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn("wrote", good.stdout)


if __name__ == "__main__":
    unittest.main()
