import json
import os
import unittest

import numpy as np

from helpers import FolderTest, edit, layouts, needs_torch, same
from weights_converter.gguf import bf16_from_f32, f32_from_bf16
from weights_converter.kinds import bert, gru, items
from weights_converter.safetensors import SafeTensors

BERT_NAMES = {"attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value",
              "attn_output": "attention.output.dense", "attn_output_norm": "attention.output.LayerNorm",
              "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm"}
DISTILBERT_NAMES = {"attn_q": "attention.q_lin", "attn_k": "attention.k_lin", "attn_v": "attention.v_lin",
                    "attn_output": "attention.out_lin", "attn_output_norm": "sa_layer_norm", "ffn_up": "ffn.lin1",
                    "ffn_down": "ffn.lin2", "layer_output_norm": "output_layer_norm"}


def write_sharded(folder, state):
    """The same tensors in two files and an index."""
    names, weight_map = list(state), {}
    for n, part in enumerate((names[::2], names[1::2])):
        file = f"model-0000{n + 1}-of-00002.safetensors"
        layouts.write_safetensors(folder / file, {name: state[name] for name in part})
        weight_map.update({name: file for name in part})
    layouts.write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


class Encoders(FolderTest):
    def check_tensors(self, tensors, state, prefix="", names=BERT_NAMES, layer="encoder.layer", norm=("weight", "bias")):
        """Every tensor of the file is the checkpoint's, under its name."""
        embeddings = prefix + "embeddings."
        expected = {"token_embd.weight": embeddings + "word_embeddings.weight",
                    "position_embd.weight": embeddings + "position_embeddings.weight"}
        if embeddings + "token_type_embeddings.weight" in state:
            expected["token_types.weight"] = embeddings + "token_type_embeddings.weight"
        for ours, theirs in zip(("weight", "bias"), norm):
            expected[f"token_embd_norm.{ours}"] = f"{embeddings}LayerNorm.{theirs}"
        for n in range(2):
            for ours, theirs in names.items():
                for a, b in zip(("weight", "bias"), norm if theirs.endswith("LayerNorm") else ("weight", "bias")):
                    expected[f"blk.{n}.{ours}.{a}"] = f"{prefix}{layer}.{n}.{theirs}.{b}"
        self.assertEqual(set(tensors), set(expected))
        for ours, theirs in expected.items():
            same(self, tensors[ours], state[theirs])

    def test_a_bert_model_is_written_whole(self):
        folder, state = self.encoder()
        metadata, tensors = self.convert(folder, "--pooling", "cls", "--normalize", "--name", "a name")
        self.check_tensors(tensors, state)
        expected = {
            "general.architecture": "bert", "general.name": "a name", "general.file_type": 0, "general.alignment": 32,
            "bert.context_length": 40, "bert.embedding_length": 48, "bert.feed_forward_length": 100, "bert.block_count": 2,
            "bert.attention.head_count": 3, "bert.attention.layer_norm_epsilon": float(np.float32(1e-12)),
            "bert.attention.causal": False, "bert.pooling_type": 2, "ranklet.version": 1, "ranklet.encoder.type": "bert",
            "ranklet.encoder.activation": "gelu", "ranklet.encoder.max_length": 40, "ranklet.encoder.position_offset": 0,
            "ranklet.encoder.pooling": ["cls"], "ranklet.encoder.modules": ["pooling", "normalize"],
            "tokenizer.ggml.model": "bert", "tokenizer.ggml.pre": "default", "tokenizer.ggml.token_type_count": 2,
            "ranklet.tokenizer.lowercase": True, "ranklet.tokenizer.strip_accents": True,
            "ranklet.tokenizer.clean_text": True, "ranklet.tokenizer.handle_chinese_chars": True,
            "ranklet.tokenizer.max_input_chars_per_word": 100, "ranklet.tokenizer.added_flags": [1] * 5}
        for key, value in expected.items():
            self.assertEqual(metadata[key], value, key)
        self.assertNotIn("ranklet.recommender.scoring", metadata)
        self.assertNotIn("ranklet.prompts.names", metadata)

    def test_the_vocabulary_is_padded_to_the_embedding_rows(self):
        folder, state = self.encoder()
        metadata, tensors = self.convert(folder, "--pooling", "mean")
        vocabulary = layouts.tiny_vocabulary()
        count = len(vocabulary)
        stored = metadata["tokenizer.ggml.tokens"]
        self.assertEqual(len(stored), tensors["token_embd.weight"].shape[0])
        self.assertEqual(stored[count:], [f"[unused_row_{n}]" for n in range(count, count + 3)])
        self.assertEqual(stored[vocabulary.index("phone")], "▁phone")
        self.assertEqual(stored[vocabulary.index("##ing")], "ing")
        self.assertEqual(stored[vocabulary.index("[CLS]")], "[CLS]")
        kinds = metadata["tokenizer.ggml.token_type"]
        for token, kind in (("phone", 1), ("[UNK]", 2), ("[CLS]", 3), ("[MASK]", 3), ("[unused0]", 1)):
            self.assertEqual(kinds[vocabulary.index(token)], kind, token)
        for key, token in (("bos", "[CLS]"), ("eos", "[SEP]"), ("cls", "[CLS]"), ("seperator", "[SEP]"),
                           ("unknown", "[UNK]"), ("padding", "[PAD]"), ("mask", "[MASK]")):
            self.assertEqual(metadata[f"tokenizer.ggml.{key}_token_id"], vocabulary.index(token))
        self.assertEqual(metadata["ranklet.tokenizer.added_ids"], sorted(map(vocabulary.index, layouts.SPECIAL)))

    def test_tokens_that_the_list_cannot_say_back_are_written_exactly(self):
        folder, state = self.checkpoint("m", layouts.tiny_bert)
        layouts.write_safetensors(folder / "model.safetensors", state)
        path = folder / "tokenizer.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        count = len(value["model"]["vocab"])
        value["model"]["vocab"]["##▁"] = count
        path.write_text(json.dumps(value), encoding="utf-8")
        metadata, _ = self.convert(folder, "--pooling", "mean")
        self.assertEqual(metadata["ranklet.tokenizer.exact_ids"], [count])
        self.assertEqual(metadata["ranklet.tokenizer.exact_tokens"], ["##▁"])

    def test_every_prefix_and_the_old_norm_names_are_found(self):
        for prefix in ("", "bert.", "encoder.bert.", "module.bert."):
            config = layouts.bert_config(48, 2, 3, 100, len(layouts.tiny_vocabulary()), 40)
            folder = self.folder / f"m{prefix}"
            layouts.write_json(folder / "config.json", config)
            layouts.write_tokenizer(folder, layouts.tiny_vocabulary(), 40)
            state = layouts.bert_state(layouts.Draw("x"), config, prefix, old_norm_names=True)
            layouts.write_safetensors(folder / "model.safetensors", {
                prefix + "embeddings.position_ids": np.arange(40)[None], **state, **layouts.masked_lm_head(layouts.Draw("y"), config)})
            _, tensors = self.convert(folder, "--pooling", "mean")
            self.check_tensors(tensors, state, prefix, norm=("gamma", "beta"))
            self.assertIn(f"left out (a pooler and other heads than classifiers are not converted): {prefix}pooler.dense.weight", self.stderr)
            self.assertNotIn("position_ids", self.stderr)

    def test_the_heads_architectures_are_encoders_too(self):
        folder, state = self.encoder(prefix="bert.")
        for head in ("BertForMaskedLM", "BertForMultipleChoice", "BertForPreTraining"):
            edit(folder / "config.json", architectures=[head])
            layouts.write_safetensors(folder / "model.safetensors", {**state, "classifier.weight": np.ones((2, 48), np.float32)})
            _, tensors = self.convert(folder, "--pooling", "mean")
            self.check_tensors(tensors, state, "bert.")
            self.assertIn("classifier.weight", self.stderr)

    def test_distilbert_has_no_token_types(self):
        folder, _ = self.checkpoint("d", layouts.tiny_distilbert)
        state = layouts.distilbert_state(layouts.Draw("d"), json.loads((folder / "config.json").read_text()))
        metadata, tensors = self.convert(folder)
        self.check_tensors(tensors, state, "distilbert.", DISTILBERT_NAMES, "transformer.layer")
        self.assertEqual(metadata["tokenizer.ggml.token_type_count"], 0)
        self.assertEqual(metadata["ranklet.encoder.activation"], "relu")

    def test_shards_give_the_same_file(self):
        folder, state = self.encoder()
        self.convert(folder, "--pooling", "mean")
        whole = (self.folder / "out.gguf").read_bytes()
        (folder / "model.safetensors").unlink()
        write_sharded(folder, state)
        self.convert(folder, "--pooling", "mean")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), whole)

    @needs_torch
    def test_a_pytorch_file_gives_the_same_file(self):
        folder, state = self.encoder()
        self.convert(folder, "--pooling", "mean")
        whole = (self.folder / "out.gguf").read_bytes()
        (folder / "model.safetensors").unlink()
        layouts.write_pth(folder / "pytorch_model.bin", state)
        self.convert(folder, "--pooling", "mean")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), whole)

    def test_dtypes_round_matrices_and_leave_vectors_and_small_tables(self):
        folder, state = self.encoder()
        for dtype, number, rounded in (("f16", 1, lambda a: a.astype(np.float16)),
                                       ("bf16", 32, lambda a: f32_from_bf16(bf16_from_f32(a)))):
            metadata, tensors = self.convert(folder, "--pooling", "mean", "--dtype", dtype)
            self.assertEqual(metadata["general.file_type"], number)
            for ours, theirs in (("token_embd", "embeddings.word_embeddings"), ("blk.1.ffn_up", "encoder.layer.1.intermediate.dense")):
                same(self, tensors[f"{ours}.weight"], rounded(state[f"{theirs}.weight"]))
            for ours, theirs in (("position_embd.weight", "embeddings.position_embeddings.weight"),
                                 ("token_types.weight", "embeddings.token_type_embeddings.weight"),
                                 ("blk.0.attn_q.bias", "encoder.layer.0.attention.self.query.bias"),
                                 ("blk.0.attn_output_norm.weight", "encoder.layer.0.attention.output.LayerNorm.weight")):
                same(self, tensors[ours], state[theirs])

    def test_half_precision_checkpoints_are_read(self):
        folder, state = self.encoder()
        halves = {name: array.astype(np.float16) for name, array in state.items()}
        layouts.write_safetensors(folder / "model.safetensors", halves)
        _, tensors = self.convert(folder, "--pooling", "mean")
        self.check_tensors(tensors, halves)

    def test_activations_get_the_file_formats_names(self):
        folder, _ = self.encoder()
        for theirs, ours in (("gelu", "gelu"), ("gelu_new", "gelu_tanh"), ("gelu_pytorch_tanh", "gelu_tanh"), ("relu", "relu"),
                             ("silu", "silu"), ("swish", "silu")):
            edit(folder / "config.json", hidden_act=theirs)
            self.assertEqual(self.convert(folder, "--pooling", "mean")[0]["ranklet.encoder.activation"], ours)

    def test_the_longest_text_is_the_least_of_the_limits_unless_stated(self):
        folder, _ = self.encoder()
        for limit, options, expected in ((40, (), 40), (16, (), 16), (10**30, (), 40), (16, ("--max-length", "30"), 30)):
            edit(folder / "tokenizer_config.json", model_max_length=limit)
            metadata, _ = self.convert(folder, "--pooling", "mean", *options)
            self.assertEqual(metadata["ranklet.encoder.max_length"], expected)


class SentenceTransformers(FolderTest):
    def make(self, pooling, **options):
        folder, state = self.encoder()
        layouts.write_sentence_transformers(folder, 48, pooling, options.pop("max_length", 20), **options)
        return folder

    def test_every_pooling_has_its_name(self):
        folder = self.make(["mean"])
        for name, number in (("cls", 2), ("mean", 1), ("max", 0), ("mean_sqrt_len", 0), ("weighted_mean", 0), ("last", 3)):
            layouts.write_sentence_transformers(folder, 48, [name], 20)
            metadata, _ = self.convert(folder)
            self.assertEqual(metadata["ranklet.encoder.pooling"], [name])
            self.assertEqual(metadata["bert.pooling_type"], number)
            self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling", "normalize"])
            self.assertEqual(metadata["ranklet.encoder.max_length"], 20)

    def test_several_poolings_are_concatenated_in_the_librarys_order(self):
        metadata, _ = self.convert(self.make(list(layouts.POOLING_FLAGS), normalize=False))
        self.assertEqual(metadata["ranklet.encoder.pooling"], ["cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last"])
        self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling"])
        self.assertEqual(len(metadata["ranklet.selftest.vectors"]), 6 * 6 * 48)

    def test_the_newer_form_of_pooling_is_read(self):
        folder = self.make(["mean"])
        layouts.write_json(folder / "1_Pooling/config.json", {"embedding_dimension": 48, "pooling_mode": "lasttoken"})
        self.assertEqual(self.convert(folder)[0]["ranklet.encoder.pooling"], ["last"])

    def test_dense_modules_follow_pooling(self):
        draw = layouts.Draw("dense")
        weights = [draw.linear(30, 48), draw.linear(17, 30)]
        for theirs, ours in (("modules.activation.Tanh", "tanh"), ("modules.linear.Identity", "identity"),
                             ("modules.activation.GELU", "gelu"), ("modules.activation.ReLU", "relu"),
                             ("modules.activation.Sigmoid", "sigmoid"), ("modules.activation.SiLU", "silu")):
            folder = self.folder / "model"
            if not folder.exists():
                self.make(["mean"])
            layouts.write_sentence_transformers(folder, 48, ["mean"], 20, [
                (*weights[0], f"torch.nn.{theirs}"), (weights[1][0], None, "torch.nn.modules.linear.Identity")])
            metadata, tensors = self.convert(folder)
            self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling", "dense.0", "dense.1", "normalize"])
            self.assertEqual(metadata["ranklet.encoder.dense.0.activation"], ours)
            same(self, tensors["ranklet.dense.0.weight"], weights[0][0])
            same(self, tensors["ranklet.dense.0.bias"], weights[0][1])
            same(self, tensors["ranklet.dense.1.weight"], weights[1][0])
            self.assertNotIn("ranklet.dense.1.bias", tensors)
            self.assertEqual(len(metadata["ranklet.selftest.vectors"]), 6 * 17)

    @needs_torch
    def test_dense_weights_in_a_pytorch_file_are_read(self):
        weight, bias = layouts.Draw("dense").linear(30, 48)
        folder = self.make(["mean"], dense=[(weight, bias, "torch.nn.modules.activation.Tanh")])
        (folder / "2_Dense/model.safetensors").unlink()
        layouts.write_pth(folder / "2_Dense/pytorch_model.bin", {"linear.weight": weight, "linear.bias": bias})
        same(self, self.convert(folder)[1]["ranklet.dense.0.weight"], weight)

    def test_prompts_and_their_default_are_written(self):
        folder = self.make(["mean"], prompts={"query": "query: ", "passage": ""})
        metadata, _ = self.convert(folder)
        self.assertEqual(metadata["ranklet.prompts.names"], ["query", "passage"])
        self.assertEqual(metadata["ranklet.prompts.texts"], ["query: ", ""])
        self.assertNotIn("ranklet.prompts.default", metadata)
        edit(folder / "config_sentence_transformers.json", default_prompt_name="query")
        self.assertEqual(self.convert(folder)[0]["ranklet.prompts.default"], "query")

    def test_a_default_prompt_is_not_that_of_queries(self):
        """encode_query of sentence-transformers takes "query", which is empty where the files have none."""
        folder = self.make(["mean"])
        for query in ({}, {"query": None}, {"query": ""}):
            layouts.write_json(folder / "config_sentence_transformers.json",
                               {"prompts": {"passage": "book: ", **query}, "default_prompt_name": "passage"})
            metadata, _ = self.convert(folder)
            self.assertEqual((metadata["ranklet.prompts.names"], metadata["ranklet.prompts.texts"]), (["passage", "query"], ["book: ", ""]))
            self.assertEqual(metadata["ranklet.prompts.default"], "passage")

    def test_the_transformer_may_lie_in_a_folder_of_its_own(self):
        folder = self.make(["mean"])
        (folder / "0_Transformer").mkdir()
        for path in list(folder.iterdir()):
            if path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json"):
                os.rename(path, folder / "0_Transformer" / path.name)
        modules = json.loads((folder / "modules.json").read_text())
        modules[0]["path"] = "0_Transformer"
        layouts.write_json(folder / "modules.json", modules)
        self.assertEqual(self.convert(folder)[0]["ranklet.encoder.max_length"], 20)

    def test_its_lower_casing_is_that_of_the_whole_text(self):
        folder, state = self.checkpoint("cased", layouts.tiny_bert)
        layouts.write_safetensors(folder / "model.safetensors", state)
        layouts.write_tokenizer(folder, layouts.tiny_vocabulary(), 40, lowercase=False)
        layouts.write_sentence_transformers(folder, 48, ["mean"], 20, lower=True)
        metadata, _ = self.convert(folder)
        self.assertEqual([metadata[f"ranklet.tokenizer.{name}"] for name in ("lower_text", "lowercase", "strip_accents")],
                         [True, False, False])
        self.assertIn("note: do_lower_case", self.stderr)
        self.assertIn("[SEP]", metadata["ranklet.selftest.texts"][-1])
        last = metadata["ranklet.selftest.token_ids"][metadata["ranklet.selftest.token_offsets"][-2]:]
        self.assertEqual(list(last).count(3), 1)  # the [SEP] at the end: the text's own is an ordinary word

    def test_its_lower_casing_is_stated_by_true_or_false(self):
        folder = self.make(["mean"])
        edit(folder / "sentence_bert_config.json", do_lower_case="no")
        self.refused(folder, "do_lower_case is 'no', expected true or false")

    def test_a_tagger_is_transformers_which_does_not_know_its_lower_casing(self):
        folder, state = self.checkpoint("tagger", layouts.tiny_bert)
        draw = layouts.Draw("tagger")
        layouts.put(state, "classifier", draw.linear(3, 48))
        layouts.write_safetensors(folder / "model.safetensors", state)
        edit(folder / "config.json", architectures=["BertForTokenClassification"], id2label={"0": "O", "1": "B-A", "2": "I-A"})
        layouts.write_sentence_transformers(folder, 48, ["mean"], 20, lower=True)
        metadata, _ = self.convert(folder)
        self.assertNotIn("ranklet.tokenizer.lower_text", metadata)
        self.assertIn("note: do_lower_case of sentence-transformers is not applied", self.stderr)


class Recommenders(FolderTest):
    def founding(self, name="founding", dim=30, hidden=30, layers=1, bias=True):
        folder, state = self.checkpoint(name, layouts.tiny_bert, dim=dim, ff=50, prefix="encoder.bert.")
        state.update(layouts.gru_state(layouts.Draw(name), dim, hidden, layers, bias, prefix="decoder.gru."))
        layouts.put(state, "decoder.out", layouts.Draw(name).linear(1, hidden))
        return folder, state

    def check_gru(self, metadata, tensors, state, prefix, sizes):
        keys = ("input_size", "hidden_size", "layer_count")
        self.assertEqual(tuple(metadata[f"ranklet.gru.{key}"] for key in keys), sizes)
        for n in range(sizes[2]):
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                name = f"{prefix}{part}_l{n}"
                if name in state:
                    same(self, tensors[f"ranklet.gru.{n}.{part}"], state[name])
                else:
                    self.assertNotIn(f"ranklet.gru.{n}.{part}", tensors)

    def test_the_founding_model_is_written_whole(self):
        folder, state = self.founding()
        layouts.write_safetensors(folder / "model.safetensors", state)
        metadata, tensors = self.convert(folder)
        self.assertEqual(metadata["general.architecture"], "bert")
        self.assertEqual(metadata["ranklet.recommender.scoring"], "text_gru")
        self.check_gru(metadata, tensors, state, "decoder.gru.", (30, 30, 1))
        same(self, tensors["ranklet.out.weight"], state["decoder.out.weight"])
        same(self, tensors["ranklet.out.bias"], state["decoder.out.bias"])
        same(self, tensors["blk.1.ffn_down.weight"], state["encoder.bert.encoder.layer.1.output.dense.weight"])
        self.assertNotIn("ranklet.rating.mode", metadata)
        self.assertIn("note: text_gru scores token states", self.stderr)

    def test_grus_of_other_sizes_without_biases_or_with_one(self):
        folder, state = self.founding(hidden=17, layers=3, bias=False)
        layouts.write_safetensors(folder / "model.safetensors", state)
        self.check_gru(*self.convert(folder), state, "decoder.gru.", (30, 17, 3))
        state["decoder.gru.bias_hh_l1"] = np.ones(51, np.float32)
        layouts.write_safetensors(folder / "model.safetensors", state)
        self.check_gru(*self.convert(folder), state, "decoder.gru.", (30, 17, 3))

    @needs_torch
    def test_model_pth_is_read_from_the_folder_and_by_itself(self):
        folder, state = self.founding()
        layouts.write_pth(folder / "model.pth", state)
        self.convert(folder)
        whole = (self.folder / "out.gguf").read_bytes()
        self.convert(folder / "model.pth")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), whole)
        moved = self.folder / "weights" / "model.pth"
        moved.parent.mkdir()
        os.rename(folder / "model.pth", moved)
        self.convert(moved, "--config", folder, "--name", "founding")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), whole)
        self.convert(moved.parent, "--config", folder, "--name", "founding")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), whole)

    def test_ranklet_json_states_a_next_event_model_with_rating_embeddings(self):
        folder, _ = self.checkpoint("n", layouts.tiny_next_event)
        metadata, tensors = self.convert(folder)
        self.assertEqual(metadata["ranklet.recommender.scoring"], "next_event")
        self.assertEqual(metadata["ranklet.rating.mode"], "embedding")
        self.assertEqual(metadata["ranklet.rating.values"], [1, 2, 3, 4, 5])
        self.assertEqual(tensors["ranklet.rating.weight"].shape, (5, 24))
        self.assertEqual(metadata["ranklet.encoder.pooling"], ["mean"])
        self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling"])
        self.assertEqual(len(metadata["ranklet.selftest.ratings"]), len(metadata["ranklet.selftest.history"]))

    def test_ranklet_json_states_a_dot_product_model_with_rating_weights(self):
        folder, _ = self.checkpoint("d", layouts.tiny_dot_product)
        metadata, tensors = self.convert(folder)
        self.assertEqual(metadata["ranklet.recommender.scoring"], "dot_product")
        self.assertEqual((metadata["ranklet.rating.mode"], metadata["ranklet.rating.scale"]), ("weight", 0.25))
        self.assertEqual(tensors["ranklet.user_proj.weight"].shape, (24, 28))
        self.assertEqual(tensors["ranklet.user_proj.bias"].shape, (24,))
        self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling", "normalize"])

    def test_without_a_projection_the_state_itself_is_the_users_vector(self):
        folder, _ = self.checkpoint("p", layouts.tiny_dot_plain)
        metadata, tensors = self.convert(folder)
        self.assertNotIn("ranklet.user_proj.weight", tensors)
        self.assertEqual(metadata["ranklet.recommender.scoring"], "dot_product")

    def test_the_command_line_states_what_a_missing_ranklet_json_would(self):
        folder, _ = self.checkpoint("p", layouts.tiny_dot_plain)
        (folder / "ranklet.json").unlink()
        metadata, _ = self.convert(folder, "--scoring", "dot_product", "--pooling", "mean", "--normalize")
        self.assertEqual(metadata["ranklet.recommender.scoring"], "dot_product")
        self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling", "normalize"])

    def test_learned_items_are_written_without_their_padding(self):
        folder, _ = self.checkpoint("i", layouts.tiny_items)
        state = SafeTensors(folder / "model.safetensors")
        metadata, tensors = self.convert(folder / "model.safetensors")
        self.assertEqual(metadata["general.architecture"], "ranklet")
        self.assertEqual(metadata["ranklet.encoder.type"], "items")
        self.assertEqual(metadata["ranklet.recommender.scoring"], "dot_product")
        self.check_gru(metadata, tensors, state, "gru.", (20, 28, 2))
        same(self, tensors["ranklet.item_embd.weight"], state["item_embeddings.weight"][:31])
        same(self, tensors["ranklet.item_out.weight"], state["fc.weight"])
        same(self, tensors["ranklet.item_bias"], state["fc.bias"])
        self.assertEqual(metadata["ranklet.items.ids"], [f"i{n}" for n in range(31)])
        self.assertEqual(metadata["ranklet.items.texts"][30], "Title number 30")
        self.assertEqual(len(metadata["ranklet.selftest.scores"]), 31)
        self.assertNotIn("tokenizer.ggml.tokens", metadata)
        self.assertIn("row 31 is padding (beyond the items) and dropped", self.stderr)

    def test_items_may_come_from_another_file_or_be_left_out(self):
        folder, _ = self.checkpoint("i", layouts.tiny_items)
        os.rename(folder / "items.tsv", self.folder / "other.tsv")
        self.assertNotIn("ranklet.items.ids", self.convert(folder)[0])
        (self.folder / "other.tsv").write_text("".join(f"x{n}\n" for n in range(31)))
        metadata, _ = self.convert(folder, "--items", self.folder / "other.tsv")
        self.assertEqual(metadata["ranklet.items.ids"][5], "x5")
        self.assertNotIn("ranklet.items.texts", metadata)

    def tied(self, table="item_emb", gru="gru", zero=None, **more):
        """Items whose embeddings, 9 rows, are the output too; -> state."""
        draw = layouts.Draw("tied")
        state = {f"{table}.weight": draw.normal(9, 20), **layouts.gru_state(draw, 20, 28, prefix=f"{gru}."), **more}
        layouts.put(state, "dense", draw.linear(20, 28))
        if zero is not None:
            state[f"{table}.weight"][zero] = 0
        layouts.write_safetensors(self.folder / "model.safetensors", state)
        return state

    def test_item_embeddings_may_be_the_output_too(self):
        state = self.tied()
        metadata, tensors = self.convert(self.folder / "model.safetensors", "--padding-row", "none")
        self.assertNotIn("ranklet.item_out.weight", tensors)
        self.assertNotIn("ranklet.items.ids", metadata)
        same(self, tensors["ranklet.user_proj.weight"], state["dense.weight"])
        same(self, tensors["ranklet.item_embd.weight"], state["item_emb.weight"])
        self.assertEqual(len(metadata["ranklet.selftest.scores"]), 9)

    def check_padding(self, state, row, *options, why):
        """Row `row` is dropped: the other rows are the items, and without a list of them their ids."""
        metadata, tensors = self.convert(self.folder / "model.safetensors", *options)
        table = next(array for name, array in state.items() if name.startswith("item_emb"))
        same(self, tensors["ranklet.item_embd.weight"], np.delete(table, row, 0))
        self.assertEqual(metadata.get("ranklet.items.ids"), [str(n) for n in range(9) if n != row] if row < 8 else None)
        self.assertEqual(len(metadata["ranklet.selftest.scores"]), 8)
        self.assertIn(f"row {row} is padding ({why}) and dropped", self.stderr)

    def test_a_padding_row_is_known_by_recboles_names_by_zeros_or_by_what_is_stated(self):
        self.check_padding(self.tied("item_embedding", "gru_layers"), 0, why="[PAD] in RecBole's GRU4Rec")
        self.check_padding(self.tied(zero=0), 0, why="it is zero")
        self.check_padding(self.tied(zero=8), 8, why="it is zero")
        self.check_padding(self.tied(), 0, "--padding-row", "0", why="as stated")
        self.check_padding(self.tied(), 4, "--padding-row", "4", why="as stated")
        (self.folder / "ranklet.json").write_text('{"padding_row": 8}')
        self.check_padding(self.tied(), 8, why="as stated")
        (self.folder / "ranklet.json").write_text('{"padding_row": "none"}')
        self.tied("item_embedding", "gru_layers")
        self.assertEqual(len(self.convert(self.folder / "model.safetensors")[0]["ranklet.selftest.scores"]), 9)

    def test_a_list_of_the_items_names_those_that_the_padding_leaves(self):
        self.tied("item_embedding", "gru_layers")
        (self.folder / "real.tsv").write_text("".join(f"x{n}\tTitle {n}\n" for n in range(1, 9)))
        metadata, tensors = self.convert(self.folder / "model.safetensors", "--items", self.folder / "real.tsv")
        self.assertEqual(metadata["ranklet.items.ids"], [f"x{n}" for n in range(1, 9)])
        self.assertEqual(tensors["ranklet.item_embd.weight"].shape, (8, 20))
        # RecBole's own list of tokens: a line for each row, [PAD] first.
        (self.folder / "real.tsv").write_text("[PAD]\n" + "".join(f"x{n}\n" for n in range(1, 9)))
        for options in ((), ("--padding-row", "0")):
            metadata, _ = self.convert(self.folder / "model.safetensors", "--items", self.folder / "real.tsv", *options)
            self.assertEqual(metadata["ranklet.items.ids"], [f"x{n}" for n in range(1, 9)])
        self.tied()
        (self.folder / "all.tsv").write_text("".join(f"x{n}\n" for n in range(9)))
        metadata, _ = self.convert(self.folder / "model.safetensors", "--items", self.folder / "all.tsv")
        self.assertEqual(len(metadata["ranklet.items.ids"]), 9)  # a list as long as the table: every row is an item

    def test_outputs_of_the_padding_row_go_with_it(self):
        draw = layouts.Draw("with outputs")
        for outputs, options in ((9, ("--padding-row", "0")), (8, ("--padding-row", "0"))):
            state = {"item_emb.weight": draw.normal(9, 20), **layouts.gru_state(draw, 20, 28)}
            layouts.put(state, "fc", draw.linear(outputs, 28))
            layouts.write_safetensors(self.folder / "model.safetensors", state)
            metadata, tensors = self.convert(self.folder / "model.safetensors", *options)
            same(self, tensors["ranklet.item_embd.weight"], state["item_emb.weight"][1:])
            same(self, tensors["ranklet.item_out.weight"], state["fc.weight"][outputs - 8:])
            same(self, tensors["ranklet.item_bias"], state["fc.bias"][outputs - 8:])
            self.assertEqual(metadata["ranklet.items.ids"], [str(n) for n in range(1, 9)])

    def longer_than_its_outputs(self, table="item_emb", gru="gru", output="fc", outputs=8, zero=()):
        """9 rows of items, none of them zero but `zero`, and fewer outputs; -> state."""
        draw = layouts.Draw("longer")
        state = {f"{table}.weight": draw.normal(9, 20), **layouts.gru_state(draw, 20, 28, prefix=f"{gru}.")}
        state[f"{table}.weight"][list(zero)] = 0
        layouts.put(state, output, draw.linear(outputs, 28))
        layouts.write_safetensors(self.folder / "model.safetensors", state)
        return state

    def test_a_table_a_row_longer_than_its_outputs_says_at_which_end_its_padding_is(self):
        file = self.folder / "model.safetensors"
        both = ("item_emb.weight has 9 rows, fc.weight scores 8 items; which row is padding is not stated", "--padding-row 0 where "
                "it is the first", "--padding-row 8 where it is the last")
        state = self.longer_than_its_outputs()
        self.refused(file, *both)
        for row in (0, 8):
            self.check_padding(state, row, "--padding-row", row, why="as stated")
            same(self, self.convert(file, "--padding-row", row)[1]["ranklet.item_out.weight"], state["fc.weight"])
        for row in (0, 8):
            self.check_padding(self.longer_than_its_outputs(zero=[row]), row, why="it is zero")
        for output in ("fc", "s_fc"):
            self.check_padding(self.longer_than_its_outputs("item_embeddings", output=output), 8, why="beyond the items")
        for names in (("item_embeddings", "rnn", "s_fc"), ("item_embeddings", "gru", "out"), ("item_embedding", "gru", "s_fc")):
            self.longer_than_its_outputs(*names)
            self.refused(file, "which row is padding is not stated")

    def test_rows_beyond_the_items_are_several_only_where_they_are_zero(self):
        state = self.longer_than_its_outputs(outputs=7, zero=[7, 8])
        _, tensors = self.convert(self.folder / "model.safetensors")
        same(self, tensors["ranklet.item_embd.weight"], state["item_emb.weight"][:7])
        self.assertIn("rows 7 to 8 are padding (they are zero) and dropped", self.stderr)
        for zero in ((), [8]):
            self.longer_than_its_outputs(outputs=7, zero=zero)
            self.refused(self.folder / "model.safetensors", "scores 7 items and its last 2 rows are not zero: where the items begin")

    def test_a_list_of_items_is_read_without_its_mark_and_blanks(self):
        self.tied("item_embedding", "gru_layers")
        (self.folder / "items.tsv").write_bytes(b"\xef\xbb\xbfa\tThe first \r\nb \r\n c\t x\ty\r\n" + b"".join(b"%d\n" % n for n in range(5)))
        metadata, _ = self.convert(self.folder / "model.safetensors")
        self.assertEqual(metadata["ranklet.items.ids"][:4], ["a", "b", "c", "0"])
        self.assertEqual(metadata["ranklet.items.texts"][:4], ["The first", "", "x\ty", ""])

    def test_what_makes_a_grus_gates_is_stated(self):
        self.tied("item_embedding", "gru_layers")
        file = self.folder / "model.safetensors"
        scores = {}
        for gates in ("sigmoid", "hard_sigmoid_keras2", "hard_sigmoid_keras3"):
            (self.folder / "ranklet.json").write_text(f'{{"recurrent_activation": "{gates}", "activation": "tanh"}}')
            metadata, _ = self.convert(file)
            self.assertEqual(metadata.get("ranklet.gru.reset"), None if gates == "sigmoid" else f"after+{gates}")
            scores[gates] = metadata["ranklet.selftest.scores"]
        self.assertEqual(len({tuple(each) for each in scores.values()}), 3)
        for text, words in (('{"recurrent_activation": "hard_sigmoid"}', "expected hard_sigmoid_keras2 for clip(0.2 x + 0.5, 0, 1)"),
                            ('{"recurrent_activation": "relu"}', "recurrent_activation is 'relu', expected one of sigmoid"),
                            ('{"activation": "relu"}', "activation is 'relu', expected tanh")):
            (self.folder / "ranklet.json").write_text(text)
            self.refused(file, words)


class SelfTest(FolderTest):
    RECIPES = ("tiny_minilm", "tiny_dense", "tiny_modules", "tiny_distilbert", "tiny_next_event", "tiny_dot_product", "tiny_dot_plain",
               "tiny_items")

    def test_a_files_own_tensors_give_its_selftest(self):
        for recipe in self.RECIPES:
            for dtype in ("f32", "f16", "bf16"):
                folder = self.folder / recipe
                if not folder.exists():
                    self.checkpoint(recipe, getattr(layouts, recipe))
                metadata, _ = self.convert(folder, "--dtype", dtype)
                reference = (items if recipe == "tiny_items" else gru).Reference.of_file(self.folder / "out.gguf")
                key = lambda name: metadata.get(f"ranklet.selftest.{name}")
                tolerance = key("tolerance")
                self.assertTrue(1e-6 < tolerance < 1e-3)
                if key("texts"):
                    offsets = key("token_offsets")
                    ids = [key("token_ids")[a:b] for a, b in zip(offsets, offsets[1:])]
                    self.assertGreaterEqual(len(ids), 4)
                    self.assertEqual(len(ids), len(key("texts")))
                    self.assertEqual(max(map(len, ids)), metadata["ranklet.encoder.max_length"])
                    states = reference.token_states(ids)
                    vectors = np.concatenate([reference.vector(each) for each in states])
                    np.testing.assert_allclose(key("vectors"), vectors, rtol=1e-6, atol=1e-6)
                    if not key("history"):
                        continue
                    events = reference.text_events(states)
                else:
                    events = reference.item_events()
                scores = reference.scores(events, key("history"), key("ratings"))
                np.testing.assert_allclose(key("scores"), scores, rtol=1e-6, atol=1e-6)
                self.assertGreater(np.std(key("scores")), 100 * tolerance)

    def test_in_8_bits_grus_round_their_inputs_and_states_as_the_library_does(self):
        for recipe, kind in (("tiny_next_event", gru), ("tiny_items", items)):
            folder, _ = self.checkpoint(recipe, getattr(layouts, recipe))
            metadata, tensors = self.convert(folder, "--dtype", "i8")
            self.assertIn("ranklet.gru.0.weight_hh_scale", tensors)
            self.assertAlmostEqual(metadata["ranklet.selftest.tolerance"], 0.02)
            reference = kind.Reference.of_file(self.folder / "out.gguf")
            steps = np.random.default_rng(0).standard_normal((3, metadata["ranklet.gru.input_size"]))
            state, single = reference.new_state(), reference.gru(steps[:1], reference.new_state())
            part = lambda name: reference.tensor(f"ranklet.gru.0.{name}")
            rounded = np.rint(steps[0] * 127 / np.abs(steps[0]).max()) * np.abs(steps[0]).max() / 127
            x = part("weight_ih") @ rounded + part("bias_ih")
            (xr, xz, xn), (hr, hz, hn) = np.split(x, 3), np.split(part("bias_hh"), 3)  # from the zero state
            sigmoid = lambda v: 1 / (1 + np.exp(-v))
            np.testing.assert_allclose(single[0], (1 - sigmoid(xz + hz)) * np.tanh(xn + sigmoid(xr + hr) * hn), atol=1e-12)
            exact = reference.gru(steps, state)
            reference.source = lambda name, rows=None, source=reference.source: None if name.endswith("_scale") else source(name, rows)
            unrounded = reference.gru(steps, state)
            self.assertTrue(1e-5 < np.abs(exact - unrounded).max() < 0.1)

    def test_a_flipped_weight_is_larger_than_the_tolerance(self):
        folder, _ = self.checkpoint("m", layouts.tiny_minilm)
        metadata, tensors = self.convert(folder)
        changed = {**tensors, "blk.0.ffn_up.weight": -tensors["blk.0.ffn_up.weight"]}
        reference = bert.Reference(metadata, lambda name, rows=None: None if name not in changed else (
            changed[name] if rows is None else changed[name][rows]))
        offsets = metadata["ranklet.selftest.token_offsets"]
        ids = [metadata["ranklet.selftest.token_ids"][a:b] for a, b in zip(offsets, offsets[1:])]
        vectors = np.concatenate([reference.vector(each) for each in reference.token_states(ids)])
        difference = np.abs(vectors - metadata["ranklet.selftest.vectors"]).max()
        self.assertGreater(difference, 100 * metadata["ranklet.selftest.tolerance"])

    def test_the_summary_names_what_was_written(self):
        folder, _ = self.checkpoint("n", layouts.tiny_next_event)
        self.convert(folder, "--dtype", "f16")
        for words in ("wrote", "BERT, 1 layer, 24 wide, 3 heads, feed-forward 50, gelu", "146 tokens, lower-cased, up to 40",
                      "24: mean pooling", "GRU 24 -> 40, 1 layer, scoring next_event, ratings embedding", "stored as f16",
                      "6 texts, 5 events, 6 scores, tolerance"):
            self.assertIn(words, self.stdout)
        self.assertNotIn("\r", self.stderr)


if __name__ == "__main__":
    unittest.main()
