"""What sentence-transformers 6 and model2vec 0.10 write; tests/layouts has these libraries write it themselves."""
import json
import shutil

import numpy as np

from helpers import FolderTest, edit, layouts, same


class Modules(FolderTest):
    def sentence(self, name="model", **settings):
        folder, _ = self.encoder(name)
        layouts.write_sentence_transformers(folder, 48, ["mean"], 20, normalize=False, **settings)
        return folder

    def test_modules_around_pooling_are_written_in_their_order(self):
        folder, _ = self.checkpoint("m", layouts.tiny_modules)
        metadata, tensors = self.convert(folder)
        self.assertEqual(metadata["ranklet.encoder.modules"], [
            "residual_dense.0", "normalize", "pooling_without_prompt", "layer_norm.0", "residual_dense.1", "dense.0", "normalize", "truncate"])
        self.assertEqual(metadata["ranklet.encoder.truncate.size"], 9)
        self.assertEqual(metadata["ranklet.encoder.layer_norm.0.epsilon"], float(np.float32(1e-5)))
        self.assertEqual(metadata["bert.pooling_type"], 0)
        shapes = {name[8:]: list(tensor.shape) for name, tensor in tensors.items() if name.startswith("ranklet.")}
        self.assertEqual(shapes, {
            "residual_dense.0.weight": [24, 20], "residual_dense.0.bias": [24], "residual_dense.0.residual.weight": [24, 20],
            "layer_norm.0.weight": [48], "layer_norm.0.bias": [48], "residual_dense.1.weight": [48, 48], "residual_dense.1.bias": [48],
            "dense.0.weight": [15, 48]})
        self.assertEqual(len(metadata["ranklet.selftest.vectors"]), 6 * 9)
        self.assertIn("vector        9: weighted_mean + cls pooling, residual_dense.0", self.stdout)

    def test_a_prompt_counts_in_pooling_unless_it_is_told_not_to_and_there_is_one(self):
        folder = self.sentence(prompts={"q": "find: "})
        edit(folder / "1_Pooling/config.json", include_prompt=False)
        self.assertEqual(self.convert(folder)[0]["ranklet.encoder.modules"], ["pooling_without_prompt"])
        edit(folder / "config_sentence_transformers.json", prompts={"q": "", "d": None})
        metadata, _ = self.convert(folder)
        self.assertEqual(metadata["ranklet.encoder.modules"], ["pooling"])
        self.assertEqual(metadata["ranklet.prompts.names"], ["q"])

    def test_fewer_numbers_of_a_vector(self):
        folder = self.sentence()
        edit(folder / "config_sentence_transformers.json", truncate_dim=8)
        whole, cut = (self.convert(folder, *options)[0] for options in (("--truncate-dim", "48"), ()))
        self.assertEqual(whole["ranklet.encoder.modules"], ["pooling"])
        self.assertEqual(cut["ranklet.encoder.modules"], ["pooling", "truncate"])
        vectors = np.reshape(whole["ranklet.selftest.vectors"], (6, 48))
        same(self, np.reshape(cut["ranklet.selftest.vectors"], (6, 8)), vectors[:, :8])
        self.assertEqual(self.convert(folder, "--truncate-dim", "5")[0]["ranklet.encoder.truncate.size"], 5)
        self.refused(folder, "--truncate-dim 0", options=("--truncate-dim", "0"))

    def test_normalised_vectors_are_normalised_again_where_the_caller_cuts_them_and_not_where_the_files_do(self):
        folder, _ = self.encoder()
        layouts.write_sentence_transformers(folder, 48, ["mean"], 20, normalize=True)
        edit(folder / "config_sentence_transformers.json", truncate_dim=8)
        files, caller = (self.convert(folder, *options)[0] for options in ((), ("--truncate-dim", "8")))
        self.assertEqual(files["ranklet.encoder.modules"], ["pooling", "normalize", "truncate"])  # as sentence-transformers does
        self.assertEqual(caller["ranklet.encoder.modules"], ["pooling", "normalize", "truncate", "normalize"])
        vectors = np.reshape(files["ranklet.selftest.vectors"], (6, 8))
        np.testing.assert_allclose(np.reshape(caller["ranklet.selftest.vectors"], (6, 8)),
                                   vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)

    def test_limits_of_a_task_are_told(self):
        folder = self.sentence()
        edit(folder / "sentence_bert_config.json", query_length=32)
        self.convert(folder)
        self.assertIn("query_length is 32, which counts in encode_query alone", self.stderr)

    def test_lower_casing_in_front_of_berts_normalizer(self):
        folder = self.sentence()
        path = folder / "tokenizer.json"
        for lowercase, strip, expected in ((True, None, True), (False, None, False), (False, True, True), (True, False, False)):
            value = json.loads(path.read_text())
            value["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {
                "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": strip, "lowercase": lowercase}]}
            path.write_text(json.dumps(value))
            metadata, _ = self.convert(folder)
            self.assertEqual((metadata["ranklet.tokenizer.lowercase"], metadata["ranklet.tokenizer.strip_accents"]), (True, expected))
        edit(folder / "tokenizer_config.json", do_lower_case=False)  # transformers makes the tokenizer anew, by this
        self.refused(folder, "lowercase is true, but do_lower_case in tokenizer_config.json is false")
        edit(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend")  # of this class it does not
        self.convert(folder)


class Routers(FolderTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "router"
        self.types, self.structure = {}, {}
        for task, name, pooling in (("query", "small", "mean"), ("document", "large", "cls")):
            folder, _ = self.encoder(name)
            inside = self.model / f"{task}_0_Transformer"
            inside.parent.mkdir(exist_ok=True)
            shutil.move(str(folder), str(inside))
            layouts.write_json(self.model / f"{task}_1_Pooling/config.json", {"embedding_dimension": 48, "pooling_mode": pooling})
            self.types[f"{task}_0_Transformer"] = "sentence_transformers.base.modules.transformer.Transformer"
            self.types[f"{task}_1_Pooling"] = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
            self.structure[task] = [f"{task}_0_Transformer", f"{task}_1_Pooling"]
        layouts.write_json(self.model / "modules.json", [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.router.Router"},
            {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.base.modules.normalize.Normalize"}])
        layouts.write_json(self.model / "config_sentence_transformers.json", {"prompts": {"query": "find: ", "corpus": "book: "}})
        self.write()

    def write(self, file="router_config.json", **parameters):
        for name in ("router_config.json", "config.json"):
            (self.model / name).unlink(missing_ok=True)
        layouts.write_json(self.model / file, {"types": self.types, "structure": self.structure, "parameters": {
            "default_route": "document", "allow_empty_key": True, **parameters}})

    def route(self, *route):
        metadata, tensors = self.convert(self.model, *(("--route", route[0]) if route else ()))
        return metadata["ranklet.encoder.pooling"][0], metadata.get("ranklet.prompts.default"), tensors["token_embd.weight"]

    def test_each_task_has_its_encoder_and_its_prompt(self):
        query, document = self.route("query"), self.route("document")
        self.assertEqual((query[:2], document[:2]), (("mean", "query"), ("cls", None)))
        self.assertIn("the prompt 'corpus' is put before no text", self.stderr)
        self.assertGreater(np.abs(query[2] - document[2]).max(), 0.01)
        self.write("config.json")  # of Asym, as it was called
        same(self, self.route("query")[2], query[2])
        self.write(route_mappings={"('query', 'text')": "document", "('x', None)": "query"})
        self.assertEqual([self.route(name)[0] for name in ("query", "document", "x")], ["cls", "cls", "mean"])

    def test_a_default_prompt_is_not_put_before_texts_of_a_task(self):
        config = self.model / "config_sentence_transformers.json"
        for prompts, default, expected, names in (
                ({"document": "book: "}, "document", ("query", "document"), ["document", "query"]),
                ({"query": "find: ", "document": "book: "}, "document", ("query", "document"), ["query", "document"]),
                ({"document": "book: ", "query": ""}, None, (None, "document"), ["document", "query"]),
                ({"passage": "book: "}, "passage", ("query", "document"), ["passage", "query"])):
            with self.subTest(prompts, default=default):
                layouts.write_json(config, {"prompts": prompts, "default_prompt_name": default})
                self.assertEqual(tuple(self.route(task)[1] for task in ("query", "document")), expected)
                metadata = self.convert(self.model, "--route", "query")[0]
                self.assertEqual(metadata["ranklet.prompts.names"], names)
                text = dict(zip(names, metadata["ranklet.prompts.texts"]))
                self.assertEqual(text["query"], prompts.get("query", ""))

    def test_which_is_meant_has_to_be_said(self):
        self.refused(self.model, "a Router with an encoder for each of query, document", "--route says which")
        self.refused(self.model, "no route 'image'; there are query, document", options=("--route", "image"))
        self.structure["document"] = self.structure["query"]
        self.write()
        self.assertEqual(self.route()[0], "mean")  # there is one
        folder, _ = self.encoder("plain")
        self.refused(folder, "has no modules.json with a Router", options=("--route", "query"))
        layouts.write_sentence_transformers(folder, 48, ["mean"], 20)
        self.refused(folder, "modules.json: has no Router", options=("--route", "query"))

    def test_broken_routers(self):
        for change, words in ((dict(types={}), "query_0_Transformer has no type"),
                              (dict(structure={"query": ["../x"]}, types={"../x": "a.Transformer"}), "has the path '../x'"),
                              (dict(structure=[]), "expected a Router's objects"), (dict(parameters={"route_mappings": {"x": "y"}}), "the key 'x'")):
            self.write()
            edit(self.model / "router_config.json", **change)
            self.refused(self.model, words, options=("--route", "query"))


class CrossEncoders(FolderTest):
    def cross_encoder(self, activation="torch.nn.modules.activation.Sigmoid", **tokenizer):
        """As sentence-transformers 6 saves it: a Transformer and nothing else."""
        folder = self.folder / "cross"
        if not folder.exists():
            self.checkpoint("cross", layouts.tiny_cross_encoder)
        edit(folder / "config.json", sentence_transformers=None)
        layouts.write_json(folder / "modules.json", [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}])
        layouts.write_json(folder / "sentence_bert_config.json", {
            "transformer_task": "sequence-classification", "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
            "module_output_name": "scores"})
        layouts.write_json(folder / "config_sentence_transformers.json", {
            "model_type": "CrossEncoder", "activation_fn": activation, "prompts": {}, "default_prompt_name": None})
        edit(folder / "tokenizer_config.json", **tokenizer)
        return folder

    def test_its_activation_is_that_of_its_own_file(self):
        for stated, expected in (("torch.nn.modules.activation.Sigmoid", "sigmoid"), ("torch.nn.modules.linear.Identity", "identity"),
                                 (None, "sigmoid")):
            metadata, _ = self.convert(self.cross_encoder(stated))
            self.assertEqual((metadata["ranklet.classifier.kind"], metadata["ranklet.classifier.activation"]), ("sequence", expected))
            self.assertNotIn("no problem_type", self.stderr)
        folder = self.cross_encoder("torch.nn.modules.linear.Identity")
        edit(folder / "config.json", sentence_transformers={"activation_fn": "torch.nn.modules.activation.Sigmoid"})
        self.assertEqual(self.convert(folder)[0]["ranklet.classifier.activation"], "identity")
        for stated in ("torch.nn.modules.activation.Tanh", "torch.nn.modules.activation.Softmax"):
            folder = self.cross_encoder(stated)
            self.refused(folder, f"config_sentence_transformers.json: the cross-encoder's activation '{stated}' is not supported")
            self.convert(folder, "--activation", "sigmoid")

    def test_a_default_prompt_is_refused(self):
        folder = self.cross_encoder()
        edit(folder / "config_sentence_transformers.json", prompts={"q": "find: "}, default_prompt_name="q")
        self.refused(folder, "default_prompt_name is 'q'; texts that are classified get no prompt")

    def test_token_types_reach_the_model_only_from_tokenizers_that_give_them(self):
        both = self.convert(self.cross_encoder(tokenizer_class="BertTokenizer"))
        self.assertGreater(np.abs(np.diff(both[1]["token_types.weight"], axis=0)).max(), 0.1)
        self.assertNotIn("told apart by special tokens alone", self.stderr)
        for change in (dict(tokenizer_class="TokenizersBackend"), dict(tokenizer_class="PreTrainedTokenizerFast"),
                       dict(tokenizer_class="BertTokenizer", model_input_names=["input_ids", "attention_mask"])):
            metadata, tensors = self.convert(self.cross_encoder(**change))
            same(self, tensors["token_types.weight"], both[1]["token_types.weight"][[0, 0]])
            self.assertIn("told apart by special tokens alone", self.stderr)
            self.assertNotEqual(metadata["ranklet.selftest.pair_logits"], both[0]["ranklet.selftest.pair_logits"])
            self.assertEqual(metadata["ranklet.selftest.logits"], both[0]["ranklet.selftest.logits"])
        stated = self.convert(self.cross_encoder(tokenizer_class="TokenizersBackend", model_input_names=["input_ids", "token_type_ids"]))
        same(self, stated[1]["token_types.weight"], both[1]["token_types.weight"])
