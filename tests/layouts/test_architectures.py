"""Every architecture that the converter's table has, as transformers' own class saves it: converted with its tokenizer and run by the
library, it gives what sentence-transformers gives.

Run by run.sh, in a Python that has them.
"""
import json

import architectures
import transformers
from test_layouts import TEXTS, LayoutTest, Transformer, layouts, st
from trained_tokenizers import MADE
from weights_converter import architectures as converted

LONG = " ".join(["the red phone case", "a blue camera and the book 手机 of a coffee bean"] * 3)


class Architectures(LayoutTest):
    def made(self, name):
        folder = self.folder / f"base-{len(list(self.folder.iterdir()))}"
        tokens = layouts.tiny_vocabulary()
        layouts.write_tokenizer(folder, tokens, 50, True, "PreTrainedTokenizerFast")
        model = architectures.make(name, len(tokens) + 5)
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
        for name, kind, special in (("xlm-roberta", "Unigram with a mark always", {}), ("t5", "Unigram of T5's words", {}),
                                    ("roberta", "RoBERTa's", {}), ("modernbert", "ModernBERT's", {}), ("gemma3", "Llama 2's", {}),
                                    ("qwen3", "Qwen's", {}), ("llama3", "Llama 3's", {})):
            with self.subTest(name, tokenizer=kind):
                folder = self.folder / f"own-{len(list(self.folder.iterdir()))}"
                folder.mkdir()
                made = MADE[kind]()
                transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=50, pad_token="<s>" if kind == "Llama 2's" else "<pad>",
                                                     **special).save_pretrained(folder)
                model = architectures.make(name, made.get_vocab_size() + 3)
                model.save_pretrained(folder)
                config = model.config
                dim = getattr(config, "hidden_size", None) or config.d_model
                module = Transformer(str(folder), max_seq_length=50)
                saved = self.save(module, st.Pooling(dim, "lasttoken" if name in ("qwen3", "llama3") else "mean"))
                self.same(saved, texts=[text for text in [*TEXTS, LONG] if text])

    def test_in_16_and_8_bits(self):
        for name in architectures.ARCHITECTURES:
            for dtype, bound in (("bf16", 0.1), ("f16", 0.02), ("i8", 0.25)):
                with self.subTest(name, dtype=dtype):
                    folder, _ = self.made(name)
                    self.same(folder, "--pooling", "mean", "--dtype", dtype, texts=TEXTS, bound=bound)

    def test_all_types_of_the_table_are_here(self):
        made = {json.loads((self.made(name)[0] / "config.json").read_text())["model_type"] for name in architectures.ARCHITECTURES}
        self.assertEqual(made | {"new"}, set(converted.BY_TYPE))  # "new" is GTE's name on the Hub

    def test_what_is_not_built_is_refused_and_named(self):
        for name, change, words in (
                ("nomic", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}}, ("type 'yarn'",)),
                ("qwen3", {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}}, ("type 'dynamic'",)),
                ("modernbert", {"hidden_activation": "quick_gelu"}, ("hidden_activation is 'quick_gelu'",)),
                ("modernbert", {"layer_types": ["full_attention", "other", "full_attention", "full_attention"]}, ("layer_types",)),
                ("gemma3", {"attn_logit_softcapping": 30.0}, ("attn_logit_softcapping",)),
                ("roberta", {"is_decoder": True}, ("is_decoder",)),
                ("mpnet", {"architectures": ["MPNetForSequenceClassification"]}, ("MPNetForSequenceClassification",)),
                ("llama", {"num_hidden_layers": 1}, ("has no place in a Llama of 1 layers",)),
                ("llama", {"num_hidden_layers": 3}, ("layers.2.", "missing"))):
            with self.subTest(name, change=change):
                folder, _ = self.made(name)
                config = folder / "config.json"
                config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
                self.refused(folder, *words, arguments=("--pooling", "mean"))
