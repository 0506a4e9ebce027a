"""Every architecture that the converter's table has, as transformers' own class saves it: converted with its tokenizer and run by the
library, it gives what sentence-transformers gives.

Run by run.sh, in a Python that has them.
"""
import json

import architectures
import transformers
from test_layouts import PAIRS, TEXTS, CrossEncoder, LayoutTest, Transformer, layouts, np, read_gguf, st
from trained_tokenizers import MADE
from weights_converter import architectures as converted

LONG = " ".join(["the red phone case", "a blue camera and the book 手机 of a coffee bean"] * 3)


class Architectures(LayoutTest):
    def made(self, name, task=None, **settings):
        folder = self.folder / f"base-{len(list(self.folder.iterdir()))}"
        tokens = layouts.tiny_vocabulary()
        layouts.write_tokenizer(folder, tokens, 50, True, "PreTrainedTokenizerFast")
        model = architectures.make(name, len(tokens) + 5, task=task, **settings)
        model.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        return folder, model.config

    def test_each_gives_what_its_own_class_gives(self):
        for name in architectures.ARCHITECTURES:
            causal = name in ("qwen3", "llama", "llama3", "mistral")  # whose first token sees itself alone, in every text
            for pooling in ("mean", "max" if causal else "cls", "lasttoken"):
                with self.subTest(name, pooling=pooling):
                    folder, config = self.made(name)
                    dim = getattr(config, "hidden_size", None) or config.d_model
                    module = Transformer(str(folder), max_seq_length=50)
                    self.same(self.save(module, st.Pooling(dim, pooling)), texts=[*TEXTS, LONG])

    def test_with_tokenizers_of_their_own(self):
        for name, kind in (("xlm-roberta", "Unigram with a mark always"), ("t5", "Unigram of T5's words"), ("roberta", "RoBERTa's"),
                           ("modernbert", "ModernBERT's"), ("gemma3", "Llama 2's"), ("qwen3", "Qwen's"), ("llama3", "Llama 3's")):
            with self.subTest(name, tokenizer=kind):
                folder, config = self.with_tokenizer(name, kind)
                dim = getattr(config, "hidden_size", None) or config.d_model
                module = Transformer(str(folder), max_seq_length=50)
                saved = self.save(module, st.Pooling(dim, "lasttoken" if name in ("qwen3", "llama3") else "mean"))
                self.same(saved, texts=[text for text in [*TEXTS, LONG] if text])

    def with_tokenizer(self, name, kind, task=None, **settings):
        """A folder of a model with a tokenizer as its make has it."""
        folder = self.folder / f"own-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        made = MADE[kind]()
        pad = "<unk>" if kind == "Llama 2's" else "<pad>"
        transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=50, pad_token=pad).save_pretrained(folder)
        if "pad_token_id" in architectures.ARCHITECTURES[name][2]:
            settings["pad_token_id"] = made.token_to_id(pad)
        model = architectures.make(name, made.get_vocab_size() + 3, task=task, **settings)
        model.save_pretrained(folder)
        return folder, model.config

    def test_classifiers_of_texts_and_pairs(self):
        for name in architectures.ARCHITECTURES:
            if name.startswith(("t5", "jina-v2")):
                continue
            for labels, settings in ((1, {}), (3, {"problem_type": "multi_label_classification"})):
                for pooling in {"modernbert": ("cls", "mean"), "eurobert": ("bos", "mean", "late")}.get(name, (None,)):
                    more = {} if pooling is None else {"classifier_pooling": pooling}
                    with self.subTest(name, labels=labels, pooling=pooling):
                        folder, _ = self.made(name, "SequenceClassification", num_labels=labels, **settings, **more)
                        rows = self.same(folder, texts=[*(text for text in TEXTS if text), LONG])
                        self.assertGreater(float(rows.max() - rows.min()), 0.01)
                        self.same(folder, texts=PAIRS[:3])

    def test_classifiers_of_pairs_with_tokenizers_of_their_own(self):
        for name, kind in (("xlm-roberta", "Unigram with a mark always"), ("roberta", "RoBERTa's"), ("modernbert", "ModernBERT's"),
                           ("qwen3", "Qwen's"), ("llama", "Llama 2's")):
            with self.subTest(name):
                folder, _ = self.with_tokenizer(name, kind, "SequenceClassification", num_labels=1)
                texts = [pair for pair in PAIRS if all(pair)]
                self.assertGreater(float(self.same(folder, texts=texts).std()), 0.001)
                crossed = self.folder / f"cross-{len(list(self.folder.iterdir()))}"
                CrossEncoder(str(folder), device="cpu").save_pretrained(str(crossed), create_model_card=False)
                self.same(crossed, texts=texts)

    def test_taggers(self):
        names = {0: "O", 1: "B-BRAND", 2: "I-BRAND"}
        for name in architectures.ARCHITECTURES:
            if name.startswith(("gemma", "jina-v2")):
                continue
            with self.subTest(name):
                folder, _ = self.made(name, "TokenClassification", num_labels=3, id2label=names, label2id={of: i for i, of in names.items()})
                self.same(folder)

    def test_in_16_and_8_bits(self):
        for name in architectures.ARCHITECTURES:
            for dtype, bound in (("bf16", 0.1), ("f16", 0.02), ("i8", 0.25)):
                with self.subTest(name, dtype=dtype):
                    folder, _ = self.made(name)
                    self.same(folder, "--pooling", "mean", "--dtype", dtype, texts=TEXTS, bound=bound)

    def test_scaled_rotary_positions(self):
        yarn = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 16}
        for name, scaling in (("qwen3", yarn), ("eurobert", {**yarn, "attention_factor": 1.3}), ("nomic", {**yarn, "mscale": 0.7, "mscale_all_dim": 1.2}),
                              ("llama", {**yarn, "beta_fast": 8, "beta_slow": 2}), ("gte", {"rope_type": "linear", "rope_theta": 500.0, "factor": 3.0})):
            with self.subTest(name, scaling=scaling):
                folder, config = self.made(name, rope_parameters=scaling)
                module = Transformer(str(folder), max_seq_length=50)
                self.same(self.save(module, st.Pooling(config.hidden_size, "mean")), texts=[*TEXTS, LONG])

    def test_ntk_scaling_of_the_hubs_gte(self):
        """Waves of a base so many times as large, each longer by the same root again: no class of transformers has it."""
        folder, config = self.made("gte", rope_parameters={"rope_type": "default", "rope_theta": 500.0})
        path = folder / "config.json"
        values = {key: value for key, value in json.loads(path.read_text()).items() if key != "rope_parameters"}
        path.write_text(json.dumps({**values, "model_type": "new", "rope_theta": 500.0, "rope_scaling": {"type": "ntk", "factor": 2.0}}))
        out, _ = self.convert(folder, "--pooling", "mean")
        size = config.hidden_size // config.num_attention_heads
        wanted = (2.0 * 500.0) ** -(np.arange(0, size, 2) / size) / 2.0 ** (2 / size)
        np.testing.assert_allclose(read_gguf(out)[1]["rope_frequencies.weight"].reshape(-1), wanted, rtol=1e-6)

    def test_jina_v2_as_the_hub_has_it(self):
        folder, _ = self.made("jina-v2")
        ours = self.convert(folder, "--pooling", "mean", "--normalize")[0].read_bytes()
        config = json.loads((folder / "config.json").read_text())
        for name, change in (("JinaBertForMaskedLM", {}), ("JinaBertModel", {"auto_map": {"AutoModel": "modeling_bert.JinaBertModel"}})):
            (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert", "architectures": [name], **change}))
            self.assertEqual(self.convert(folder, "--pooling", "mean", "--normalize")[0].read_bytes(), ours)
        for change, words in (({"feed_forward_type": "original"}, "feed_forward_type"),
                              ({"position_embedding_type": "absolute"}, "position_embedding_type")):
            (folder / "config.json").write_text(json.dumps({**config, **change}))
            self.refused(folder, words, arguments=("--pooling", "mean"))

    def test_all_types_of_the_table_are_here(self):
        made = {json.loads((self.made(name)[0] / "config.json").read_text())["model_type"] for name in architectures.ARCHITECTURES}
        self.assertEqual(made | {"new"}, set(converted.BY_TYPE))  # "new" is GTE's name on the Hub

    def test_what_is_not_built_is_refused_and_named(self):
        for name, change, words in (
                ("nomic", {"rope_parameters": {"rope_type": "longrope", "factor": 4.0, "rope_theta": 1e4}}, ("type 'longrope'",)),
                ("qwen3", {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}}, ("type 'dynamic'",)),
                ("modernbert", {"hidden_activation": "quick_gelu"}, ("hidden_activation is 'quick_gelu'",)),
                ("modernbert", {"layer_types": ["full_attention", "other", "full_attention", "full_attention"]}, ("layer_types",)),
                ("gemma3", {"attn_logit_softcapping": 30.0}, ("attn_logit_softcapping",)),
                ("deberta", {"conv_kernel_size": 3}, ("conv_kernel_size", "convolution")),
                ("deberta", {"pos_att_type": ["c2p", "p2p"]}, ("pos_att_type", "p2p")),
                ("deberta", {"norm_rel_ebd": "batch_norm"}, ("norm_rel_ebd",)),
                ("roberta", {"is_decoder": True}, ("is_decoder",)),
                ("mpnet", {"architectures": ["MPNetForSequenceClassification"]}, ("MPNetForSequenceClassification",)),
                ("llama", {"num_hidden_layers": 1}, ("has no place in a Llama of 1 layers",)),
                ("llama", {"num_hidden_layers": 3}, ("layers.2.", "missing"))):
            with self.subTest(name, change=change):
                folder, _ = self.made(name)
                config = folder / "config.json"
                config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
                self.refused(folder, *words, arguments=("--pooling", "mean"))
