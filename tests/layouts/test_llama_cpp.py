"""Files of llama.cpp's converter, read without an option: the vectors are those of the checkpoints that they were made of.

Run by run_llama_cpp.sh.
"""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

TOOLS = os.environ.get("RANKLET_LLAMA_CPP")
if TOOLS is None:
    raise unittest.SkipTest("skipped: run_llama_cpp.sh runs it")
sys.path.append(str(Path(TOOLS) / "site"))

import architectures  # noqa: E402
import sentencepiece  # noqa: E402
from test_architectures import Architectures  # noqa: E402
from test_layouts import HERE, LayoutTest, Normalize, SentenceTransformer, Transformer, engine, layouts, np, st, torch, transformers  # noqa: E402

WIDE = dict(hidden_size=64, num_attention_heads=2, intermediate_size=128)  # blocks are of 32
MORE = {"qwen3": dict(head_dim=32, num_key_value_heads=1), "modernbert": dict(local_attention=8),
        "gemma3": dict(head_dim=32, query_pre_attn_scalar=32, bos_token_id=2, eos_token_id=1)}
TEXTS = ["red phone case", "the new blue camera,  waterproof", "手机壳 for a red phone", "Running SHOES", "a", "coffee bean & book: 2", "Kantō CAFÉ 無",
         "fast charger 快充电器 for the black camera and a tent "]
# What the converter asks of nomic's configuration, as the Hub has it; transformers' own has other names
NOMIC = dict(n_positions=8192, max_trained_positions=2048, activation_function="swiglu", causal=False, qkv_proj_bias=False, mlp_fc1_bias=False,
             mlp_fc2_bias=False, prenorm=False, rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None, n_embd=64,
             n_layer=2, n_head=2, n_inner=128, layer_norm_epsilon=1e-12, rotary_emb_base=1000.0)


class LlamaCpp(LayoutTest):
    with_tokenizer = Architectures.with_tokenizer

    def converted(self, folder, pre="default", kind="f32"):
        out = self.folder / "llama.gguf"
        done = subprocess.run([sys.executable, str(HERE / "llama_cpp_convert.py"), str(folder), "--outfile", str(out), "--outtype", kind],
                              capture_output=True, text=True, check=False, env={**os.environ, "PRE": pre})
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return out

    def compared(self, out, expected, least=0.9999995):
        what, rows, _ = engine.run(self.engine, str(out), TEXTS)
        self.assertEqual((what, rows.shape), ("vectors", expected.shape))
        cosines = (rows * expected).sum(1)
        self.assertGreater(float(cosines.min()), least, cosines)
        self.assertLess(float((expected[0] * expected[1]).sum()), 0.99)  # an error would show: texts are not alike

    def sentence(self, folder, pooling, changes=None):
        saved = self.save(Transformer(str(folder), max_seq_length=50), st.Pooling(64, pooling), Normalize())
        expected = SentenceTransformer(str(saved), device="cpu", local_files_only=True).encode(TEXTS)
        if changes:
            config = saved / "config.json"
            config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
        return saved, expected

    def wordpiece(self, name):
        """A folder of a model with WordPiece, 64 wide."""
        folder = self.folder / f"base-{name}"
        tokens = layouts.tiny_vocabulary()
        layouts.write_tokenizer(folder, tokens, 50, True, "BertTokenizer")
        if name == "bert":
            model = transformers.BertModel(transformers.BertConfig(vocab_size=len(tokens), num_hidden_layers=2, max_position_embeddings=60, **WIDE))
            architectures.spread(model.eval(), transformers.BertModel)
        else:
            model = architectures.make(name, len(tokens), **WIDE)
        model.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        return folder

    def test_makes_with_wordpiece(self):
        for name, changes in (("bert", {}), ("nomic", NOMIC), ("jina-v2", {"architectures": ["JinaBertModel"]})):
            for pooling in ("mean", "cls"):
                with self.subTest(name, pooling=pooling):
                    self.setUp()
                    saved, expected = self.sentence(self.wordpiece(name), pooling, changes)
                    self.compared(self.converted(saved), expected)

    def test_makes_with_byte_pairs(self):
        for name, kind, pre, pooling in (("roberta", "RoBERTa's", "roberta-bpe", "mean"), ("modernbert", "ModernBERT's", "modern-bert", "mean"),
                                         ("qwen3", "Qwen's", "qwen2", "lasttoken")):
            with self.subTest(name):
                self.setUp()
                folder, _ = self.with_tokenizer(name, kind, **{**WIDE, **MORE.get(name, {})})
                saved, expected = self.sentence(folder, pooling)
                self.compared(self.converted(saved, pre), expected)

    def test_types_of_numbers(self):
        saved, expected = self.sentence(self.wordpiece("bert"), "mean")
        for kind, least in (("f16", 0.99999), ("bf16", 0.999), ("q8_0", 0.999)):
            with self.subTest(kind):
                self.compared(self.converted(saved, kind=kind), expected, least)

    def test_makes_with_sentencepiece(self):
        for name, file, kind in (("t5", "tokenizer.model", "unigram"), ("t5-gated", "spiece.model", "unigram"), ("gemma3", "tokenizer.model", "bpe")):
            with self.subTest(name):
                self.setUp()
                folder = self.folder / name
                folder.mkdir()
                catalog = HERE.parent.parent / "examples" / "data" / "catalog.tsv"
                (folder / "corpus").write_text(catalog.read_text(encoding="utf-8").replace("\t", " "), encoding="utf-8")
                pairs = kind == "bpe"
                sentencepiece.SentencePieceTrainer.train(
                    input=str(folder / "corpus"), model_prefix=str(folder / "made"), vocab_size=900 if pairs else 600, model_type=kind,
                    byte_fallback=pairs, character_coverage=0.98, pad_id=0, eos_id=1, bos_id=2 if pairs else -1, unk_id=3 if pairs else 2,
                    normalization_rule_name="identity" if pairs else "nmt_nfkc", add_dummy_prefix=not pairs, remove_extra_whitespaces=not pairs,
                    minloglevel=2)
                (folder / "made.model").rename(folder / file)
                pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / file))
                sizes = dict(d_model=64, d_kv=32, d_ff=128, num_heads=2, num_layers=2) if name.startswith("t5") else {**WIDE, **MORE[name]}
                model = architectures.make(name, pieces.vocab_size(), **sizes)
                model.save_pretrained(folder)
                config = folder / "config.json"
                values = json.loads(config.read_text())
                values["architectures"] = ["T5EncoderModel" if name.startswith("t5") else "Gemma3TextModel"]
                config.write_text(json.dumps(values))
                (folder / "1_Pooling").mkdir()
                (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
                (folder / "modules.json").write_text(json.dumps([{"path": "", "type": "Transformer"}, {
                    "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
                (folder / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": pairs, "add_eos_token": True}))
                begin = [2] if pairs else []
                with torch.no_grad():
                    states = [model(input_ids=torch.tensor([begin + pieces.encode(text) + [1]])).last_hidden_state[0] for text in TEXTS]
                expected = np.stack([torch.nn.functional.normalize(each.mean(0), dim=0).numpy() for each in states])
                self.compared(self.converted(folder), expected)


del Architectures, LayoutTest  # so that they are not run here again
