#!/usr/bin/env python3
"""Makes seeded random checkpoints in the exact layout that the real ones are published in.

    python3 tests/parity/make_checkpoints.py OUT_FOLDER [--only NAME ...] [--list] [--assets FOLDER]

Every checkpoint becomes OUT_FOLDER/NAME/. The real configurations (all-MiniLM-L6-v2, bge-small-zh-v1.5,
bert-base-uncased, bert-base-chinese, distilbert-base-uncased) need the real vocabularies, looked for in --assets, else
$RANKLET_ASSETS, else ../shared/assets beside the repository; without them they are left out, saying so. The tiny ones
bring their own vocabulary and are what the committed goldens are made from.

Weights have a realistic spread (LayerNorm gains with outlier dimensions, biases, attention scores with a standard
deviation well over 1), so that different texts give clearly different vectors: a normal with deviation 0.02 everywhere
gives vectors so alike that an error hides in them.

numpy only; PyTorch is needed for the checkpoints that are published as model.pth alone.
"""
import argparse
import hashlib
import json
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


# ---------------------------------------------------------------- files

def write_safetensors(path, tensors):
    """The safetensors format: u64 length, JSON header padded with spaces to 8 bytes, then the tensors' bytes."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, array in tensors.items():
        kind = {"float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def write_pth(path, tensors):
    import torch
    torch.save({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}, path)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def change_json(path, **changes):
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


# ---------------------------------------------------------------- weights

class Draw:
    """Seeded random weights whose layers keep their input's scale, as trained ones do."""

    def __init__(self, name):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def normal(self, *shape, std=1.0, mean=0.0):
        return (self.rng.standard_normal(shape, dtype=np.float32) * np.float32(std) + np.float32(mean))

    def linear(self, out, into, gain=1.0):
        return self.normal(out, into, std=gain / np.sqrt(into)), self.normal(out, std=0.1)

    def norm(self, size):
        gain = self.normal(size, std=0.15, mean=1.0)
        gain[self.rng.integers(0, size, 2)] *= 3  # trained models have a few outlier dimensions
        return gain, self.normal(size, std=0.1)


def put(state, name, pair, suffixes=("weight", "bias")):
    for suffix, array in zip(suffixes, pair):
        state[f"{name}.{suffix}"] = array


def bert_state(draw, config, prefix="", old_norm_names=False, pooler=True):
    """BertModel's tensors. Old checkpoints call LayerNorm's parameters gamma and beta."""
    dim, ff = config["hidden_size"], config["intermediate_size"]
    norm_names = ("gamma", "beta") if old_norm_names else ("weight", "bias")
    state = {}
    embeddings = prefix + "embeddings."
    state[embeddings + "word_embeddings.weight"] = draw.normal(config["vocab_size"], dim, std=0.06)
    state[embeddings + "position_embeddings.weight"] = draw.normal(config["max_position_embeddings"], dim, std=0.02)
    state[embeddings + "token_type_embeddings.weight"] = draw.normal(config["type_vocab_size"], dim, std=0.01)
    put(state, embeddings + "LayerNorm", draw.norm(dim), norm_names)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}encoder.layer.{i}."
        put(state, layer + "attention.self.query", draw.linear(dim, dim, 1.4))
        put(state, layer + "attention.self.key", draw.linear(dim, dim, 1.4))
        put(state, layer + "attention.self.value", draw.linear(dim, dim))
        put(state, layer + "attention.output.dense", draw.linear(dim, dim))
        put(state, layer + "attention.output.LayerNorm", draw.norm(dim), norm_names)
        put(state, layer + "intermediate.dense", draw.linear(ff, dim))
        put(state, layer + "output.dense", draw.linear(dim, ff, 1.2))
        put(state, layer + "output.LayerNorm", draw.norm(dim), norm_names)
    if pooler:
        put(state, prefix + "pooler.dense", draw.linear(dim, dim))
    return state


def masked_lm_head(draw, config):
    dim = config["hidden_size"]
    state = {"cls.predictions.bias": draw.normal(config["vocab_size"], std=0.1)}
    put(state, "cls.predictions.transform.dense", draw.linear(dim, dim))
    put(state, "cls.predictions.transform.LayerNorm", draw.norm(dim), ("gamma", "beta"))
    put(state, "cls.seq_relationship", draw.linear(2, dim))
    return state


def distilbert_state(draw, config, prefix="distilbert.", head=True):
    """DistilBertModel's tensors and names; it has neither token types nor a pooler."""
    dim, ff = config["dim"], config["hidden_dim"]
    state = {}
    embeddings = prefix + "embeddings."
    state[embeddings + "word_embeddings.weight"] = draw.normal(config["vocab_size"], dim, std=0.06)
    state[embeddings + "position_embeddings.weight"] = draw.normal(config["max_position_embeddings"], dim, std=0.02)
    put(state, embeddings + "LayerNorm", draw.norm(dim))
    for i in range(config["n_layers"]):
        layer = f"{prefix}transformer.layer.{i}."
        put(state, layer + "attention.q_lin", draw.linear(dim, dim, 1.4))
        put(state, layer + "attention.k_lin", draw.linear(dim, dim, 1.4))
        put(state, layer + "attention.v_lin", draw.linear(dim, dim))
        put(state, layer + "attention.out_lin", draw.linear(dim, dim))
        put(state, layer + "sa_layer_norm", draw.norm(dim))
        put(state, layer + "ffn.lin1", draw.linear(ff, dim))
        put(state, layer + "ffn.lin2", draw.linear(dim, ff, 1.2))
        put(state, layer + "output_layer_norm", draw.norm(dim))
    if head:
        put(state, "vocab_transform", draw.linear(dim, dim))
        put(state, "vocab_layer_norm", draw.norm(dim))
        state["vocab_projector.bias"] = draw.normal(config["vocab_size"], std=0.1)
    return state


def gru_state(draw, into, hidden, layers=1, bias=True, prefix="gru."):
    """torch.nn.GRU's tensors; gates in its order r, z, n."""
    state = {}
    for i in range(layers):
        width = into if i == 0 else hidden
        state[f"{prefix}weight_ih_l{i}"] = draw.normal(3 * hidden, width, std=1.2 / np.sqrt(width))
        state[f"{prefix}weight_hh_l{i}"] = draw.normal(3 * hidden, hidden, std=1.2 / np.sqrt(hidden))
        if bias:
            state[f"{prefix}bias_ih_l{i}"] = draw.normal(3 * hidden, std=0.2)
            state[f"{prefix}bias_hh_l{i}"] = draw.normal(3 * hidden, std=0.2)
    return state


# ---------------------------------------------------------------- tokenizers

def tiny_vocabulary():
    """A few words, their pieces, ASCII letters and digits, and some Chinese characters, in one fixed order."""
    words = "the a of and in for with phone case charger cable fast new red blue black camera coffee bean tent shoe running book"
    pieces = "##s ##er ##ing ##ed ##ly ##proof"
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    chinese = "手机壳充电器快线黑红蓝相咖啡豆帐篷鞋书的新防水跑步无"
    tokens = SPECIAL[:1] + ["[unused0]"] + SPECIAL[1:] + list("!\"&'(),-./:?")
    tokens += list(letters) + ["##" + c for c in letters] + words.split() + pieces.split() + list(chinese)
    return list(dict.fromkeys(tokens))


def tokenizer_json(tokens, lowercase=True, strip_accents=None, max_length=None):
    """tokenizer.json as Hugging Face's `tokenizers` writes it for BERT."""
    ids = {token: i for i, token in enumerate(tokens)}
    piece = lambda token, kind: {"SpecialToken": {"id": token, "type_id": kind}}
    sequence = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
    return {
        "version": "1.0",
        "truncation": None if max_length is None else {
            "direction": "Right", "max_length": max_length, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [{"id": ids[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for t in sorted(SPECIAL, key=ids.get)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": strip_accents, "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece("[CLS]", 0), sequence("A", 0), piece("[SEP]", 0)],
            "pair": [piece("[CLS]", 0), sequence("A", 0), piece("[SEP]", 0), sequence("B", 1), piece("[SEP]", 1)],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
    }


def write_tokenizer(folder, tokens, max_length, lowercase=True, kind="BertTokenizer", real_json=None, with_json=True):
    """vocab.txt, tokenizer_config.json, special_tokens_map.json and (as most checkpoints have) tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(t + "\n" for t in tokens), encoding="utf-8")
    special = dict(unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]")
    write_json(folder / "special_tokens_map.json", special)
    write_json(folder / "tokenizer_config.json", {
        **special, "do_lower_case": lowercase, "do_basic_tokenize": True, "never_split": None, "strip_accents": None,
        "tokenize_chinese_chars": True, "model_max_length": max_length, "tokenizer_class": kind})
    if real_json is not None:
        (folder / "tokenizer.json").write_bytes(real_json.read_bytes())
    elif with_json:
        write_json(folder / "tokenizer.json", tokenizer_json(tokens, lowercase))


# ---------------------------------------------------------------- configurations

def bert_config(dim, layers, heads, ff, vocab, positions=512, eps=1e-12, activation="gelu", architecture="BertModel"):
    return {
        "architectures": [architecture], "attention_probs_dropout_prob": 0.1, "classifier_dropout": None,
        "gradient_checkpointing": False, "hidden_act": activation, "hidden_dropout_prob": 0.1, "hidden_size": dim,
        "initializer_range": 0.02, "intermediate_size": ff, "layer_norm_eps": eps, "max_position_embeddings": positions,
        "model_type": "bert", "num_attention_heads": heads, "num_hidden_layers": layers, "pad_token_id": 0,
        "position_embedding_type": "absolute", "transformers_version": "4.30.0", "type_vocab_size": 2,
        "use_cache": True, "vocab_size": vocab}


def distilbert_config(dim, layers, heads, ff, vocab, positions=512, activation="gelu"):
    return {
        "activation": activation, "architectures": ["DistilBertForMaskedLM"], "attention_dropout": 0.1, "dim": dim,
        "dropout": 0.1, "hidden_dim": ff, "initializer_range": 0.02, "max_position_embeddings": positions,
        "model_type": "distilbert", "n_heads": heads, "n_layers": layers, "pad_token_id": 0, "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True,
        "transformers_version": "4.30.0", "vocab_size": vocab}


POOLING_FLAGS = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens",
                 "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens",
                 "weighted_mean": "pooling_mode_weightedmean_tokens", "last": "pooling_mode_lasttoken"}


def write_sentence_transformers(folder, dim, pooling, max_length, dense=(), normalize=True, prompts=None, lower=False):
    """modules.json and what it points to. `dense` holds (weight, bias or None, activation class) of each Dense."""
    module = lambda index, path, kind: {"idx": index, "name": str(index), "path": path,
                                        "type": f"sentence_transformers.models.{kind}"}
    modules = [module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")]
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": lower})
    write_json(folder / "1_Pooling/config.json", {
        "word_embedding_dimension": dim, **{flag: name in pooling for name, flag in POOLING_FLAGS.items()}})
    for weight, bias, activation in dense:
        path = f"{len(modules)}_Dense"
        write_json(folder / path / "config.json", {
            "in_features": weight.shape[1], "out_features": weight.shape[0], "bias": bias is not None,
            "activation_function": activation})
        state = {"linear.weight": weight}
        if bias is not None:
            state["linear.bias"] = bias
        write_safetensors(folder / path / "model.safetensors", state)
        modules.append(module(len(modules), path, "Dense"))
    if normalize:
        modules.append(module(len(modules), f"{len(modules)}_Normalize", "Normalize"))
    write_json(folder / "modules.json", modules)
    versions = {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}
    settings = {"__version__": versions}
    if prompts:
        settings.update(prompts=prompts, default_prompt_name=None)
    write_json(folder / "config_sentence_transformers.json", settings)


# ---------------------------------------------------------------- the real configurations

def vocabulary_of_json(path):
    ids = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return sorted(ids, key=ids.get)


def read_vocabulary(path):
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def all_minilm_l6_v2(folder, draw, tokenizers):
    real = tokenizers / "all-minilm-l6-v2-tokenizer.json"
    config = bert_config(384, 6, 12, 1536, 30522)
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", {
        "embeddings.position_ids": np.arange(512, dtype=np.int64)[None], **bert_state(draw, config)})
    write_tokenizer(folder, vocabulary_of_json(real), 512, real_json=real)
    write_sentence_transformers(folder, 384, ["mean"], 256)


def bge_small_zh(folder, draw, tokenizers):
    real = tokenizers / "bge-small-zh-v1.5-tokenizer.json"
    config = bert_config(512, 4, 8, 2048, 21128)
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", bert_state(draw, config))
    lowercase = json.loads(real.read_text(encoding="utf-8"))["normalizer"]["lowercase"]
    write_tokenizer(folder, vocabulary_of_json(real), 512, lowercase=lowercase, real_json=real)
    write_sentence_transformers(folder, 512, ["cls"], 512)


def bert_base(vocabulary, with_json):
    def make(folder, draw, tokenizers):
        tokens = read_vocabulary(tokenizers / vocabulary)
        config = bert_config(768, 12, 12, 3072, len(tokens), architecture="BertForMaskedLM")
        write_json(folder / "config.json", config)
        write_safetensors(folder / "model.safetensors", {
            **bert_state(draw, config, "bert.", old_norm_names=True), **masked_lm_head(draw, config)})
        write_tokenizer(folder, tokens, 512, with_json=with_json)
    return make


def distilbert_base(folder, draw, tokenizers):
    tokens = read_vocabulary(tokenizers / "bert-base-uncased-vocab.txt")
    config = distilbert_config(768, 6, 12, 3072, len(tokens))
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", distilbert_state(draw, config))
    write_tokenizer(folder, tokens, 512, kind="DistilBertTokenizer")


REAL = {
    "all-MiniLM-L6-v2": (all_minilm_l6_v2, "all-minilm-l6-v2-tokenizer.json"),
    "bge-small-zh-v1.5": (bge_small_zh, "bge-small-zh-v1.5-tokenizer.json"),
    "bert-base-uncased": (bert_base("bert-base-uncased-vocab.txt", True), "bert-base-uncased-vocab.txt"),
    "bert-base-chinese": (bert_base("bert-base-chinese-vocab.txt", False), "bert-base-chinese-vocab.txt"),
    "distilbert-base-uncased": (distilbert_base, "bert-base-uncased-vocab.txt"),
}


# ---------------------------------------------------------------- the tiny ones

def tiny_bert(folder, draw, dim=48, layers=2, heads=3, ff=100, prefix="", positions=40, **config):
    tokens = tiny_vocabulary()
    settings = bert_config(dim, layers, heads, ff, len(tokens) + 3, positions, **config)  # 3 rows without a token
    write_json(folder / "config.json", settings)
    write_tokenizer(folder, tokens, positions)
    return bert_state(draw, settings, prefix, pooler=False)


def tiny_minilm(folder, draw):
    write_safetensors(folder / "model.safetensors", tiny_bert(folder, draw))
    write_sentence_transformers(folder, 48, ["mean"], 16)


def tiny_dense(folder, draw):
    """Every pooling at once, two Dense modules, another epsilon, tanh GELU, prompts."""
    state = tiny_bert(folder, draw, dim=20, heads=5, ff=36, eps=1e-5, activation="gelu_new", layers=1)
    write_safetensors(folder / "model.safetensors", state)
    weight, bias = draw.linear(30, 6 * 20)
    dense = [(weight, bias, "torch.nn.modules.activation.Tanh"),
             (draw.linear(17, 30, 2.0)[0], None, "torch.nn.modules.linear.Identity")]
    write_sentence_transformers(folder, 20, list(POOLING_FLAGS), 40, dense, normalize=False,
                                prompts={"query": "the new ", "passage": "book: "})


def tiny_modules(folder, draw):
    """As sentence-transformers 6 saves it: modules of token states, LayerNorm, residual Dense, a prompt that does not count in
    pooling, and the first numbers of each vector alone."""
    write_safetensors(folder / "model.safetensors", tiny_bert(folder, draw, dim=20, heads=5, ff=36, layers=1))
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]

    def add(kind, config, **tensors):
        path = f"{len(modules)}_{kind}"
        home = "sentence_transformer" if kind in ("Pooling", "LayerNorm") else "base"
        modules.append({"idx": len(modules), "name": str(len(modules)), "path": path,
                        "type": f"sentence_transformers.{home}.modules.{kind.lower()}.{kind}"})
        write_json(folder / path / "config.json", config)
        if tensors:
            write_safetensors(folder / path / "model.safetensors", {name.replace("__", "."): each for name, each in tensors.items()})

    def dense(into, out, activation, place="sentence_embedding", bias=True, residual=False):
        weight, shift = draw.linear(out, into, 1.5)
        tensors = {"linear__weight": weight, **({"linear__bias": shift} if bias else {})}
        if residual and into != out:
            tensors["residual__weight"] = draw.linear(out, into)[0]
        add("Dense", {"in_features": into, "out_features": out, "bias": bias, "activation_function": f"torch.nn.modules.{activation}",
                      "module_input_name": place, "module_output_name": place, **({"use_residual": True} if residual else {})}, **tensors)

    of_tokens = "token_embeddings"
    dense(20, 24, "activation.Tanh", of_tokens, residual=True)
    add("Normalize", {"module_input_name": of_tokens, "module_output_name": of_tokens})
    add("Pooling", {"embedding_dimension": 24, "pooling_mode": ["weightedmean", "cls"], "include_prompt": False})
    gain, shift = draw.norm(48)
    add("LayerNorm", {"dimension": 48}, norm__weight=gain, norm__bias=shift)
    dense(48, 48, "activation.GELU", residual=True)
    dense(48, 15, "linear.Identity", bias=False)
    add("Normalize", {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"})
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"transformer_task": "feature-extraction"})
    write_json(folder / "config_sentence_transformers.json", {
        "model_type": "SentenceTransformer", "prompts": {"query": "the new ", "none": ""}, "default_prompt_name": None, "truncate_dim": 9})


def tiny_distilbert(folder, draw):
    tokens = tiny_vocabulary()
    config = distilbert_config(24, 2, 2, 52, len(tokens), positions=40, activation="relu")
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", distilbert_state(draw, config))
    write_tokenizer(folder, tokens, 40, kind="DistilBertTokenizer")
    write_sentence_transformers(folder, 24, ["cls"], 40)


def tiny_text_gru(folder, draw):
    """The founding model: encoder.bert, decoder.gru (hidden to hidden), decoder.out."""
    state = tiny_bert(folder, draw, dim=30, ff=50, prefix="encoder.bert.")
    state.update(gru_state(draw, 30, 30, prefix="decoder.gru."))
    put(state, "decoder.out", draw.linear(1, 30, 2.0))
    write_pth(folder / "model.pth", state)


def tiny_text_gru_wide(folder, draw):
    """The same with three GRU layers, no biases, hidden other than input."""
    state = tiny_bert(folder, draw, dim=20, layers=1, heads=4, ff=36, prefix="encoder.bert.")
    state.update(gru_state(draw, 20, 28, layers=3, bias=False, prefix="decoder.gru."))
    put(state, "decoder.out", draw.linear(1, 28, 2.0))
    write_pth(folder / "model.pth", state)


RATINGS = [1.0, 2.0, 3.0, 4.0, 5.0]


def tiny_next_event(folder, draw):
    state = tiny_bert(folder, draw, dim=24, layers=1, heads=3, ff=50, prefix="encoder.bert.")
    state.update(gru_state(draw, 24, 40, prefix="decoder.gru."))
    put(state, "decoder.out", draw.linear(1, 40, 2.0))
    state["rating.weight"] = draw.normal(len(RATINGS), 24, std=0.8)
    write_safetensors(folder / "model.safetensors", state)
    write_json(folder / "ranklet.json", {
        "scoring": "next_event", "pooling": ["mean"], "normalize": False, "max_length": 40,
        "rating": {"mode": "embedding", "values": RATINGS}})


def tiny_dot_product(folder, draw):
    state = tiny_bert(folder, draw, dim=24, layers=1, heads=3, ff=50, prefix="encoder.bert.")
    state.update(gru_state(draw, 24, 28, layers=2, prefix="decoder.gru."))
    put(state, "user_proj", draw.linear(24, 28, 6.0))
    write_safetensors(folder / "model.safetensors", state)
    write_json(folder / "ranklet.json", {
        "scoring": "dot_product", "pooling": ["cls"], "normalize": True, "max_length": 40,
        "rating": {"mode": "weight", "scale": 0.25}})


def tiny_dot_plain(folder, draw):
    """No projection: the state itself meets the item's vector."""
    state = tiny_bert(folder, draw, dim=24, layers=1, heads=2, ff=50, prefix="encoder.bert.")
    state.update(gru_state(draw, 24, 24, prefix="decoder.gru."))
    write_safetensors(folder / "model.safetensors", state)
    write_json(folder / "ranklet.json", {
        "scoring": "dot_product", "pooling": ["mean"], "normalize": False, "max_length": 40})


def tiny_items(folder, draw):
    """GRU4Rec's common form: learned item embeddings (last row: padding), GRU, Linear over the items."""
    state = {"item_embeddings.weight": draw.normal(32, 20, std=0.8), **gru_state(draw, 20, 28, layers=2)}
    put(state, "fc", draw.linear(31, 28, 3.0))
    write_safetensors(folder / "model.safetensors", state)
    lines = "".join(f"i{n}\tTitle number {n}\n" for n in range(31))
    (folder / "items.tsv").write_text(lines, encoding="utf-8")


def tiny_sequence(folder, draw):
    """BertForSequenceClassification, four labels that exclude each other."""
    state = tiny_bert(folder, draw, dim=24, layers=1, ff=50, prefix="bert.", architecture="BertForSequenceClassification")
    put(state, "bert.pooler.dense", draw.linear(24, 24))
    put(state, "classifier", draw.linear(4, 24, 3.0))
    write_safetensors(folder / "model.safetensors", state)
    change_json(folder / "config.json", id2label={"0": "NEG", "1": "NEU", "2": "POS", "3": "好"})
    change_json(folder / "tokenizer_config.json", model_max_length=16)


def tiny_multi_label(folder, draw):
    """DistilBertForSequenceClassification, labels of which several may hold."""
    tokens = tiny_vocabulary()
    config = dict(distilbert_config(24, 1, 2, 52, len(tokens), positions=40), problem_type="multi_label_classification",
                  architectures=["DistilBertForSequenceClassification"],
                  id2label={str(i): name for i, name in enumerate(("audio", "camping", "coffee"))})
    state = distilbert_state(draw, config, head=False)
    put(state, "pre_classifier", draw.linear(24, 24, 1.5))
    put(state, "classifier", draw.linear(3, 24, 3.0))
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", state)
    write_tokenizer(folder, tokens, 40, kind="DistilBertTokenizer")


def tiny_cross_encoder(folder, draw):
    """One label, saved by sentence-transformers' CrossEncoder."""
    state = tiny_bert(folder, draw, dim=24, layers=2, heads=2, ff=50, prefix="bert.", architecture="BertForSequenceClassification")
    state["bert.embeddings.token_type_embeddings.weight"] *= 20  # so that a wrong type shows
    put(state, "bert.pooler.dense", draw.linear(24, 24, 2.0))
    put(state, "classifier", draw.linear(1, 24, 3.0))
    write_safetensors(folder / "model.safetensors", state)
    change_json(folder / "config.json", id2label={"0": "LABEL_0"}, sentence_transformers={
        "activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4.1.0"})


def tiny_tokens(folder, draw):
    """BertForTokenClassification with BIO labels."""
    state = tiny_bert(folder, draw, dim=24, layers=1, ff=50, prefix="bert.", architecture="BertForTokenClassification")
    put(state, "classifier", draw.linear(5, 24, 4.0))
    state["classifier.bias"] += np.array([2.5, 0, 1.5, -4, 0.5], np.float32)  # so that no label is everywhere
    write_safetensors(folder / "model.safetensors", state)
    change_json(folder / "config.json", id2label={
        str(i): name for i, name in enumerate(("O", "B-BRAND", "I-BRAND", "B-PRODUCT", "I-PRODUCT"))})


def tiny_tokens_distilbert(folder, draw):
    """DistilBertForTokenClassification with labels without prefixes, as parts of speech have."""
    tokens = tiny_vocabulary()
    config = dict(distilbert_config(24, 1, 2, 52, len(tokens), positions=40), architectures=["DistilBertForTokenClassification"],
                  id2label={"0": "NOUN", "1": "VERB", "2": "ADJ", "3": "PUNCT"})
    state = distilbert_state(draw, config, head=False)
    put(state, "classifier", draw.linear(4, 24, 2.0))
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", state)
    write_tokenizer(folder, tokens, 40, kind="DistilBertTokenizer")


TINY = {
    "tiny-minilm": tiny_minilm, "tiny-dense": tiny_dense, "tiny-modules": tiny_modules, "tiny-distilbert": tiny_distilbert,
    "tiny-text-gru": tiny_text_gru, "tiny-text-gru-wide": tiny_text_gru_wide, "tiny-next-event": tiny_next_event,
    "tiny-dot-product": tiny_dot_product, "tiny-dot-plain": tiny_dot_plain, "tiny-items": tiny_items,
    "tiny-sequence": tiny_sequence, "tiny-multi-label": tiny_multi_label, "tiny-cross-encoder": tiny_cross_encoder,
    "tiny-tokens": tiny_tokens, "tiny-tokens-distilbert": tiny_tokens_distilbert,
}


# ---------------------------------------------------------------- command line

def find_assets(given=None):
    return Path(given or os.environ.get("RANKLET_ASSETS") or REPOSITORY.parent / "shared" / "assets")


def make(name, out, assets):
    """One checkpoint into out/name; True if it is there afterwards. Made before by this same script: left as it is."""
    folder, stamp = out / name, out / name / ".made_by"
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == version:
        return True
    if name in REAL:
        recipe, needed = REAL[name]
        if not (assets / "tokenizers" / needed).exists():
            print(f"{name}: skipped, no {assets / 'tokenizers' / needed}", file=sys.stderr)
            return False
    folder.mkdir(parents=True, exist_ok=True)
    if name in REAL:
        recipe(folder, Draw(name), assets / "tokenizers")
    else:
        TINY[name](folder, Draw(name))
    stamp.write_text(version)
    print(f"{name}: made in {folder}", file=sys.stderr)
    return True


def main():
    parser = argparse.ArgumentParser(description="Makes seeded random checkpoints in the published layouts.")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--only", nargs="+", choices=[*REAL, *TINY], metavar="NAME", default=[*REAL, *TINY])
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--assets", help="folder that holds tokenizers/")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join([*REAL, *TINY]))
    elif arguments.out is None:
        parser.error("an output folder is needed")
    else:
        for name in arguments.only:
            make(name, arguments.out, find_assets(arguments.assets))


if __name__ == "__main__":
    main()
