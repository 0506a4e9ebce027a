#!/usr/bin/env python3
"""Makes the committed goldens: what PyTorch says of single layers and of tiny complete models.

    python3 tests/parity/make_goldens.py [OUT_FOLDER]        (default: tests/parity/goldens)

Out: layers.gguf (inputs, weights and outputs of every layer) and, for each tiny checkpoint of make_checkpoints.py,
NAME.gguf (the model, written by weights_converter) with NAME.golden.gguf beside it (texts, token ids, token states,
vectors; histories, ratings, user states, scores; classifiers' logits of texts, pairs and tokens, and their spans);
tagged_spans.gguf (probabilities of tokens and the spans they give, by tag_reference.py). Every file names the versions that made it under golden.*.

PyTorch runs in float64 and the results are rounded once, so a golden carries no rounding of its own; the script fails
if PyTorch's own float32 run differs from it by more than a test may.

Needs torch, numpy and this repository's weights_converter.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(REPOSITORY), str(HERE)]

import make_checkpoints  # noqa: E402
import make_news_goldens  # noqa: E402
import reference_models  # noqa: E402
import tag_reference  # noqa: E402
from weights_converter.gguf import GGUFWriter, read_gguf  # noqa: E402
from weights_converter.tokenizer import read_tokenizer  # noqa: E402
from weights_converter.wordpiece import WordPiece, normalize, words  # noqa: E402

TOLERANCE = 1e-5


def golden_writer(path):
    writer = GGUFWriter(path)
    writer.add("general.architecture", "golden", "string")
    writer.add("golden.made_by", "tests/parity/make_goldens.py", "string")
    writer.add("golden.torch", torch.__version__, "string")
    writer.add("golden.numpy", np.__version__, "string")
    return writer


def as_f32(tensor):
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))


class Case:
    """One case of one layer: its float64 tensors are stored under 'layer.case.name'."""

    def __init__(self, writer, name, generator):
        self.writer, self.name, self.generator, self.stored = writer, name, generator, {}

    def store(self, name, tensor):
        array = as_f32(tensor)
        self.writer.add_tensor(f"{self.name}.{name}", array if array.ndim > 1 else array.reshape(-1), "f32")

    def draw(self, name, *shape, std=1.0, mean=0.0):
        """A stored random input or weight, exactly representable in float32."""
        array = (self.generator.standard_normal(shape) * std + mean).astype(np.float32)
        return self.given(name, torch.from_numpy(array))

    def given(self, name, tensor):
        tensor = tensor.float()
        self.store(name, tensor)
        self.stored[name] = tensor
        return tensor.double()

    def output(self, name, function):
        """function maps a dict of the stored tensors to the output; run in both precisions."""
        exact = function({key: value.double() for key, value in self.stored.items()})
        single = function(self.stored)
        check_close(f"{self.name}.{name}", single, exact)
        self.store(name, exact)


def check_close(name, single, exact):
    scale = torch.clamp(exact.abs(), min=1.0)
    difference = float(((single.double() - exact).abs() / scale).max()) if exact.numel() else 0.0
    if not difference <= TOLERANCE:
        raise SystemExit(f"{name}: PyTorch's own float32 differs from float64 by {difference:.2e}")


# ---------------------------------------------------------------- layers

def linear_cases(case):
    for i, (rows, into, out, bias) in enumerate([(5, 48, 100, True), (1, 100, 17, True), (17, 7, 3, False), (33, 20, 35, True)]):
        c = case(f"linear.{i}")
        c.draw("input", rows, into)
        c.draw("weight", out, into, std=1 / math.sqrt(into))
        if bias:
            c.draw("bias", out, std=0.3)
        c.output("output", lambda t: F.linear(t["input"], t["weight"], t.get("bias")))


def layer_norm_cases(case):
    for i, (rows, dim, std, mean) in enumerate([(5, 48, 1.0, 0.0), (1, 7, 1e-3, 0.0), (3, 100, 5.0, 2.0), (2, 2, 1.0, 0.5), (4, 33, 20.0, -3.0)]):
        c = case(f"layer_norm.{i}")
        c.draw("input", rows, dim, std=std, mean=mean)
        c.draw("weight", dim, std=0.2, mean=1.0)
        c.draw("bias", dim, std=0.2)
        for label, eps in (("1e-12", 1e-12), ("1e-5", 1e-5)):
            c.output(f"output_{label}", lambda t: F.layer_norm(t["input"], (dim,), t["weight"], t["bias"], eps))


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def activation_cases(case):
    c = case("activation")
    grid = np.linspace(-12, 12, 1001)
    tiny = np.array([0.0, 1e-30, -1e-30, 1e-7, -1e-7, 1e-3, -1e-3, 30, -30, 88, -88, 104, -104, 500, -500, 1e4, -1e4])
    c.given("input", torch.from_numpy(np.concatenate([grid, tiny])))
    for name, function in dict(gelu=F.gelu, gelu_tanh=gelu_tanh, relu=F.relu, silu=F.silu, sigmoid=torch.sigmoid, tanh=torch.tanh).items():
        c.output(name, lambda t: function(t["input"]))


def softmax_cases(case):
    draw = np.random.default_rng(11)
    rows = [draw.standard_normal(7), draw.standard_normal(100) * 5, [3.0], [1.0, 1.0], [0.0] * 17,
            [1e4, -1e4, 1e4, 0, 9999], [-1e4, -1e4 - 1, -1e4 - 2], [88.7, 88.7, -103.0, 0.0], draw.standard_normal(33) * 1e3]
    for i, row in enumerate(rows):
        c = case(f"softmax.{i}")
        c.given("input", torch.tensor(np.asarray(row, np.float32)))
        c.output("output", lambda t: torch.softmax(t["input"], -1))


def self_attention(x, t, heads):
    """Multi-head scaled dot-product attention with the output projection (Vaswani et al. 2017, 3.2)."""
    length, dim = x.shape
    query, key, value = (F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"]).view(length, heads, -1).transpose(0, 1) for name in ("q", "k", "v"))
    weights = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(dim // heads), -1)
    return F.linear((weights @ value).transpose(0, 1).reshape(length, dim), t["o.weight"], t["o.bias"])


def draw_attention(c, dim, gain):
    for name in ("q", "k", "v", "o"):
        c.draw(f"{name}.weight", dim, dim, std=(gain if name in "qk" else 1.0) / math.sqrt(dim))
        c.draw(f"{name}.bias", dim, std=0.2)


def attention_cases(case):
    for i, (dim, heads, gain) in enumerate([(48, 3, 1.5), (20, 5, 1.0), (17, 1, 3.0), (24, 12, 1.0)]):
        c = case(f"attention.{i}")
        c.writer.add(f"attention.{i}.heads", heads, "u32")
        draw_attention(c, dim, gain)
        for length in (1, 2, 17, 40) if i == 0 else (1, 5, 33):
            c.draw(f"input_{length}", length, dim)
            c.output(f"output_{length}", lambda t: self_attention(t[f"input_{length}"], t, heads))


def transformer_cases(case):
    shapes = [(48, 3, 100, "gelu", 1e-12), (20, 4, 36, "gelu_tanh", 1e-5), (15, 1, 50, "relu", 1e-12)]
    for i, (dim, heads, ff, activation, eps) in enumerate(shapes):
        c = case(f"transformer.{i}")
        c.writer.add(f"transformer.{i}.heads", heads, "u32")
        c.writer.add(f"transformer.{i}.activation", activation, "string")
        c.writer.add(f"transformer.{i}.epsilon", eps, "f32")
        draw_attention(c, dim, 1.5)
        for name in ("norm1", "norm2"):
            c.draw(f"{name}.weight", dim, std=0.2, mean=1.0)
            c.draw(f"{name}.bias", dim, std=0.2)
        c.draw("up.weight", ff, dim, std=1 / math.sqrt(dim))
        c.draw("up.bias", ff, std=0.2)
        c.draw("down.weight", dim, ff, std=1.5 / math.sqrt(ff))
        c.draw("down.bias", dim, std=0.2)
        function = dict(gelu=F.gelu, gelu_tanh=gelu_tanh, relu=F.relu)[activation]

        def run(t, x):
            norm = lambda y, name: F.layer_norm(y, (dim,), t[f"{name}.weight"], t[f"{name}.bias"], eps)
            x = norm(x + self_attention(x, t, heads), "norm1")
            inner = function(F.linear(x, t["up.weight"], t["up.bias"]))
            return norm(x + F.linear(inner, t["down.weight"], t["down.bias"]), "norm2")

        for length in (1, 2, 17):
            c.draw(f"input_{length}", length, dim)
            c.output(f"output_{length}", lambda t: run(t, t[f"input_{length}"]))


def run_gru(t, layers):
    """torch.nn.GRU on the stored weights; an absent bias is a zero one."""
    kind, hidden, into = t["input"].dtype, t["weight_hh_l0"].shape[1], t["weight_ih_l0"].shape[1]
    gru = torch.nn.GRU(into, hidden, layers).to(kind)
    state = {name: t[name] if name in t else torch.zeros_like(value) for name, value in gru.state_dict().items()}
    gru.load_state_dict(state)
    initial = t["initial"].view(layers, hidden) if "initial" in t else torch.zeros(layers, hidden, dtype=kind)
    with torch.no_grad():
        return gru(t["input"], initial)


def gru_cases(case):
    shapes = [(1, 20, 28, "ih hh", 9, False), (1, 28, 20, "", 1, True), (1, 7, 5, "ih", 17, True), (1, 16, 16, "hh", 5, False),
              (3, 15, 20, "ih hh", 12, True), (3, 9, 7, "", 40, False)]
    for i, (layers, into, hidden, biases, length, initial) in enumerate(shapes):
        c = case(f"gru.{i}")
        c.writer.add(f"gru.{i}.layers", layers, "u32")
        c.draw("input", length, into)
        for layer in range(layers):
            width = into if layer == 0 else hidden
            c.draw(f"weight_ih_l{layer}", 3 * hidden, width, std=1.2 / math.sqrt(width))
            c.draw(f"weight_hh_l{layer}", 3 * hidden, hidden, std=1.2 / math.sqrt(hidden))
            for name in biases.split():
                c.draw(f"bias_{name}_l{layer}", 3 * hidden, std=0.3)
        if initial:
            c.draw("initial", layers, hidden, std=0.5)
        c.output("states", lambda t: run_gru(t, layers)[0])  # of the top layer, after every step
        c.output("last", lambda t: run_gru(t, layers)[1])    # of every layer, after the last step


def pool(states, mode):
    """sentence-transformers' pooling modes over all of a text's tokens."""
    length = states.shape[0]
    if mode == "cls":
        return states[0]
    if mode == "last":
        return states[-1]
    if mode == "max":
        return states.max(0).values
    if mode == "mean":
        return states.mean(0)
    if mode == "mean_sqrt_len":
        return states.sum(0) / math.sqrt(length)
    if mode == "weighted_mean":
        weights = torch.arange(1, length + 1, dtype=states.dtype)
        return (states * weights[:, None]).sum(0) / weights.sum()
    raise ValueError(mode)


def pooling_cases(case):
    for i, (length, dim) in enumerate([(1, 20), (2, 48), (9, 33)]):
        c = case(f"pooling.{i}")
        c.draw("input", length, dim)
        for mode in make_checkpoints.POOLING_FLAGS:
            c.output(mode, lambda t: pool(t["input"], mode))
        c.output("normalized_mean", lambda t: F.normalize(pool(t["input"], "mean"), dim=0))


def conv1d_cases(case):
    """torch.nn.functional.conv1d on one text; padding as (left, right) zeros."""
    shapes = [(1, 5, 7, (0, 0)), (2, 20, 9, (0, 0)), (3, 20, 33, (1, 1)), (4, 7, 5, (1, 2)), (5, 16, 18, (2, 2)), (3, 9, 4, (0, 0)),
              (4, 6, 8, (1, 1))]
    for i, (width, into, out, padding) in enumerate(shapes):
        c = case(f"conv1d.{i}")
        c.writer.add(f"conv1d.{i}.padding", list(padding), "[i32]")
        c.draw("weight", out, into, width, std=1 / math.sqrt(into * width))
        c.draw("bias", out, std=0.3)
        for length in (1, 2, 3, 6, 17):
            if length + sum(padding) < width:
                continue
            c.draw(f"input_{length}", length, into)

            def run(t):
                x = F.pad(t[f"input_{length}"].t()[None], padding)
                return torch.relu(F.conv1d(x, t["weight"], t["bias"]))[0].t()

            c.output(f"output_{length}", run)
            if padding == ((width - 1) // 2, width - 1 - (width - 1) // 2):
                single = F.conv1d(c.stored[f"input_{length}"].t()[None], c.stored["weight"], c.stored["bias"], padding="same")
                assert torch.allclose(torch.relu(single)[0].t(), run(c.stored), atol=1e-5)


def attention_weights(scores, mask, epsilon):
    """softmax over the rows that count; with epsilon Keras's exp(s) * mask / (sum + epsilon), no maximum taken out."""
    if epsilon is None:
        return scores * mask
    if epsilon == 0:
        return torch.softmax(scores.masked_fill(mask == 0, -math.inf), -1)
    e = torch.exp(scores) * mask
    return e / (e.sum() + epsilon)


def attention_pooling_cases(case):
    # form, rows' width, inner width, query's width, epsilon (None: no softmax), the function, what scores are multiplied with
    shapes = [("additive", 20, 16, 0, 0, "tanh", 1), ("additive", 33, 7, 12, 0, "tanh", 1), ("additive", 20, 16, 20, None, "sigmoid", 1),
              ("additive", 12, 20, 0, 1e-7, "tanh", 12), ("dot", 24, 0, 24, 0, "", 1), ("bilinear", 17, 0, 9, 0, "", 1),
              ("dot", 8, 0, 8, 1e-7, "", 4)]
    for i, (form, dim, inner, query, epsilon, function, gain) in enumerate(shapes):
        c = case(f"attention_pooling.{i}")
        c.writer.add(f"attention_pooling.{i}.form", form, "string")
        c.writer.add(f"attention_pooling.{i}.softmax", epsilon is not None, "bool")
        c.writer.add(f"attention_pooling.{i}.epsilon", epsilon or 0.0, "f32")
        c.writer.add(f"attention_pooling.{i}.activation", function or "identity", "string")
        if form == "additive":
            c.draw("keys.weight", inner, dim, std=1 / math.sqrt(dim))
            c.draw("v", inner, std=gain / math.sqrt(inner))
            if i != 1:
                c.draw("keys.bias", inner, std=0.3)
            if query:
                c.draw("query_map.weight", inner, query, std=1 / math.sqrt(query))
        if form == "bilinear":
            c.draw("query_map.weight", dim, query, std=1 / math.sqrt(query))
        if query:
            c.draw("query", query, std=gain / math.sqrt(query))
        for length in (1, 2, 9, 33):
            c.draw(f"input_{length}", length, dim)
            c.given(f"mask_{length}", torch.tensor([float(k % 3 != 1) for k in range(length)]))

            def run(t, mask):
                x = t[f"input_{length}"]
                if form == "additive":
                    inside = F.linear(x, t["keys.weight"], t.get("keys.bias"))
                    inside = inside + F.linear(t["query"], t["query_map.weight"]) if query else inside
                    scores = (torch.tanh if function == "tanh" else torch.sigmoid)(inside) @ t["v"]
                else:
                    q = F.linear(t["query"], t["query_map.weight"]) if form == "bilinear" else t["query"]
                    scores = x @ q
                weights = attention_weights(scores, mask if mask is not None else torch.ones_like(scores), epsilon)
                return weights, weights @ x

            c.output(f"weights_{length}", lambda t: run(t, None)[0])
            c.output(f"output_{length}", lambda t: run(t, None)[1])
            c.output(f"masked_{length}", lambda t: run(t, t[f"mask_{length}"])[1])


def head_attention_cases(case):
    """Self-attention of NRMS: no output projection, heads * head size unlike the width, biases optional."""
    for i, (into, heads, size, bias, gain) in enumerate([(20, 4, 7, False, 1.5), (12, 2, 16, True, 1.0), (17, 1, 5, False, 3.0)]):
        c = case(f"head_attention.{i}")
        c.writer.add(f"head_attention.{i}.heads", heads, "u32")
        for name in ("q", "k", "v"):
            c.draw(f"{name}.weight", heads * size, into, std=(gain if name in "qk" else 1.0) / math.sqrt(into))
            if bias:
                c.draw(f"{name}.bias", heads * size, std=0.2)
        for length in (1, 2, 17, 40):
            c.draw(f"input_{length}", length, into)

            def run(t):
                x = t[f"input_{length}"]
                q, k, v = (F.linear(x, t[f"{n}.weight"], t.get(f"{n}.bias")).view(length, heads, size).transpose(0, 1) for n in "qkv")
                weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(size), -1)
                return (weights @ v).transpose(0, 1).reshape(length, heads * size)

            c.output(f"output_{length}", run)


def keras_gru_cases(case):
    """Keras's GRU from its formulas: kernel [in, 3H] and recurrent_kernel [H, 3H], gates z, r, h; biases none, [3H], [2, 3H]."""
    shapes = [(12, 9, False, 1, 9), (7, 16, False, 0, 5), (9, 12, True, 2, 9), (5, 20, True, 0, 3)]
    for i, (into, hidden, reset_after, biases, length) in enumerate(shapes):
        c = case(f"keras_gru.{i}")
        c.writer.add(f"keras_gru.{i}.reset_after", reset_after, "bool")
        c.draw("kernel", into, 3 * hidden, std=1.2 / math.sqrt(into))
        c.draw("recurrent_kernel", hidden, 3 * hidden, std=1.2 / math.sqrt(hidden))
        if biases:
            c.draw("bias", biases, 3 * hidden, std=0.3)
        c.draw("input", length, into)
        c.draw("initial", hidden, std=0.5)

        def run(t):
            bias = t.get("bias", torch.zeros(2, 3 * hidden, dtype=t["input"].dtype))
            h, states = t["initial"], []
            for x in t["input"]:
                xz, xr, xh = (x @ t["kernel"] + bias[0]).chunk(3)
                if reset_after:
                    hz, hr, hh = (h @ t["recurrent_kernel"] + bias[1]).chunk(3)
                    z, r = torch.sigmoid(xz + hz), torch.sigmoid(xr + hr)
                    candidate = torch.tanh(xh + r * hh)
                else:
                    uz, ur, uh = t["recurrent_kernel"].chunk(3, 1)
                    z, r = torch.sigmoid(xz + h @ uz), torch.sigmoid(xr + h @ ur)
                    candidate = torch.tanh(xh + (r * h) @ uh)
                h = z * h + (1 - z) * candidate
                states.append(h)
            return torch.stack(states)

        c.output("states", run)


def make_layers(path):
    writer, generator = golden_writer(path), np.random.default_rng(7)
    case = lambda name: Case(writer, name, generator)
    for cases in (linear_cases, layer_norm_cases, activation_cases, softmax_cases, attention_cases, transformer_cases,
                  gru_cases, pooling_cases, conv1d_cases, attention_pooling_cases, head_attention_cases, keras_gru_cases):
        cases(case)
    writer.write()


# ---------------------------------------------------------------- complete models

TEXTS = [
    "", "a", "phone case", "手机壳", "The new blue camera, waterproof!", "fast charger 快充电器 for a red phone",
    "coffee beans & books: 2 for 1 (black)", "Kantō CAFÉ 無", "running shoes " * 30,
]

POSITION_TEXT = 4  # whose scores after each of its tokens are kept too (text_gru)

# (texts or items met, ratings: None for an event without one); from each the scores of all texts or items are kept.
HISTORIES = {
    "cold": ([], None),
    "one": ([2], None),
    "unrated": ([2, 3, 6, 2], None),
    "rated": ([4, 2, 5, 3, 7], [5.0, None, 1.0, 3.5, 9.0]),
}

# name: (stored type, further options of the converter)
MODELS = {
    "tiny-minilm": ("f16", []),
    "tiny-dense": ("f32", []),
    "tiny-modules": ("f32", []),
    "tiny-distilbert": ("bf16", []),
    "tiny-text-gru": ("f32", []),
    "tiny-text-gru-wide": ("f32", []),
    "tiny-next-event": ("f32", []),
    "tiny-dot-product": ("f32", []),
    "tiny-dot-plain": ("f16", []),
    "tiny-items": ("f32", []),
    "tiny-sequence": ("f16", []),
    "tiny-multi-label": ("f32", []),
    "tiny-cross-encoder": ("f32", []),
    "tiny-tokens": ("f32", []),
    "tiny-tokens-distilbert": ("bf16", []),
}
CLASSIFIERS = ("tiny-sequence", "tiny-multi-label", "tiny-cross-encoder", "tiny-tokens", "tiny-tokens-distilbert")

# Indices of texts that are read together: short ones, a long first, a long second, an empty one.
PAIRS = [(2, 3), (3, 2), (8, 1), (5, 8), (0, 4), (6, 0), (7, 7)]

# Texts whose tokens' places are simple to tell: lower case ASCII words, Chinese characters, punctuation.
TAG_TEXTS = [
    "the new phone case", "手机壳, fast charger", "runners bought waterproof shoes!", "zebra coffee beans & tent 咖啡豆 2",
    "", "unwatchable", "黑手机 and 红手机壳 for 2 books",
]


# The same checkpoints in 8 bits: their files' self-tests hold what the converter's numpy reference says of them.
# tiny-{minilm,sequence,tokens,next-event,text-gru}-i8 are an earlier converter's, whose inputs have no zero point: they
# stay as they are, for programs must go on reading them.
I8_MODELS = {"tiny-minilm": "tiny-minilm-fitted", "tiny-items": "tiny-items-i8"}

# The same checkpoints as if trained with other gates; again the files' self-tests are the goldens.
HARD_MODELS = {"tiny-next-event": "hard_sigmoid_keras2", "tiny-text-gru": "hard_sigmoid_keras3", "tiny-items": "hard_sigmoid_keras2"}


def tokenize(folder, max_length, texts):
    """Token ids of each text, truncated as the model file says."""
    tokenizer = WordPiece(read_tokenizer(str(folder), None, print), max_length)
    return [tokenizer.encode(text) for text in texts]


def both_precisions(name, load, function):
    """function(model) in float64, checked against the same in float32."""
    with torch.no_grad():
        exact = function(reference_models.in_precision(load(), torch.float64))
        single = function(load())
    for i, (a, b) in enumerate(zip(single, exact)):
        check_close(f"{name}[{i}]", a, b)
    return exact


def make_encoder_golden(writer, folder, dtype, ids):
    def run(model):
        encoder = model.encoder if hasattr(model, "encoder") else model
        return [encoder.bert(row[None])[0] for row in ids] + [encoder(row[None])[0] for row in ids]

    recommender = (folder / "ranklet.json").exists() or (folder / "model.pth").exists()
    load = reference_models.load_recommender if recommender else reference_models.load_encoder
    results = both_precisions(folder.name, lambda: load(folder, dtype), run)
    writer.add_tensor("golden.states", as_f32(torch.cat(results[:len(ids)])), "f32")
    writer.add_tensor("golden.vectors", as_f32(torch.stack(results[len(ids):])), "f32")
    if folder.name == "tiny-modules":
        make_prompt_golden(writer, folder, dtype)


def make_prompt_golden(writer, folder, dtype):
    """Vectors of the texts behind a prompt whose tokens, and [CLS], do not count in pooling."""
    prompt = json.loads((folder / "config_sentence_transformers.json").read_text())["prompts"]["query"]
    ids = tokenize(folder, 40, [prompt + text for text in TEXTS])
    left_out = len(tokenize(folder, 40, [prompt])[0]) - 1
    vectors = both_precisions(f"{folder.name}.prompt", lambda: reference_models.load_encoder(folder, dtype), lambda model: [
        model(torch.tensor([row]), left_out)[0] for row in ids])
    writer.add("golden.prompt", "query", "string")
    writer.add_tensor("golden.prompt_vectors", as_f32(torch.stack(vectors)), "f32")


def make_score_goldens(writer, folder, dtype, ids):
    load = lambda: reference_models.load_recommender(folder, dtype)
    for name, (events, ratings) in HISTORIES.items():
        if ids is None and ratings is not None:
            continue  # learned items have no ratings
        ratings = [None] * len(events) if ratings is None else ratings

        def run(model):
            if ids is None:
                gru = model.gru
                state = next(gru.parameters()).new_zeros(gru.num_layers, gru.hidden_size)
                if events:
                    state = gru(model.item_embeddings(torch.tensor([events])))[1][:, 0]
                return state, model.s_fc(state[-1])
            state = model.new_state()
            for event, rating in zip(events, ratings):
                state = model.observe(state, ids[event], rating)
            scores = [state, model.score(state, ids)]
            return scores + [model.token_scores(ids[POSITION_TEXT], state)] if model.scoring == "text_gru" else scores

        state, scores, *positions = both_precisions(f"{folder.name}.{name}", load, run)
        writer.add(f"golden.history.{name}", events, "[i32]")
        # NaN: an event without a rating
        writer.add(f"golden.ratings.{name}", [math.nan if rating is None else rating for rating in ratings], "[f32]")
        writer.add_tensor(f"golden.state.{name}", as_f32(state), "f32")
        writer.add_tensor(f"golden.scores.{name}", as_f32(scores), "f32")
        for values in positions:
            writer.add_tensor(f"golden.position_scores.{name}", as_f32(values), "f32")


def add_spans(writer, prefix, cases, label_sets):
    """Spans of each case by each strategy. A case: (label set, tokens (start, end, continues), probabilities)."""
    for strategy in tag_reference.STRATEGIES:
        found = [tag_reference.spans(tokens, scores, label_sets[k], strategy) for k, tokens, scores in cases]
        flat = [span for spans in found for span in spans]
        writer.add(f"{prefix}.{strategy}.counts", [len(spans) for spans in found], "[i32]")
        for i, (field, kind) in enumerate((("labels", "[string]"), ("scores", "[f32]"), ("starts", "[i32]"), ("ends", "[i32]"))):
            writer.add(f"{prefix}.{strategy}.{field}", [float(span[i]) if field == "scores" else span[i] for span in flat], kind)


def tokens_with_places(text, wordpiece):
    """(ids, tokens (start, end, continues) in code points) of a text of TAG_TEXTS, special tokens left out."""
    ids, tokens, at = [], [], 0
    for word in words(normalize(text, wordpiece.settings)):
        at = text.index(word, at)
        for piece in wordpiece._pieces_of(word):
            unknown = piece == wordpiece.settings.unk_id
            spelled = wordpiece.settings.tokens[piece]
            length = len(word) if unknown else len(spelled) - 2 * (spelled[:2] == "##" and len(spelled) > 2)
            ids.append(piece)
            tokens.append((at, at + length, not unknown and len(spelled) != length))
            at += length
    return ids, tokens


def make_classifier_golden(writer, folder, dtype, ids, metadata):
    load = lambda: reference_models.load_classifier(folder, dtype)
    if metadata["ranklet.classifier.kind"] == "sequence":
        wordpiece = WordPiece(read_tokenizer(str(folder), None, print), metadata["ranklet.encoder.max_length"])
        pairs = [wordpiece.encode_pair(TEXTS[a], TEXTS[b]) for a, b in PAIRS]

        def run(model):
            logits = torch.stack([model(row[None])[0] for row in ids])
            of_pairs = torch.stack([model(torch.tensor([row]), torch.tensor([types]))[0] for row, types in pairs])
            score = dict(softmax=lambda x: torch.softmax(x, -1), sigmoid=torch.sigmoid)[metadata["ranklet.classifier.activation"]]
            return logits, score(logits), of_pairs, score(of_pairs)

        writer.add("golden.pairs", [i for pair in PAIRS for i in pair], "[i32]")
        for name, values in zip(("logits", "scores", "pair_logits", "pair_scores"), both_precisions(folder.name, load, run)):
            writer.add_tensor(f"golden.{name}", as_f32(values), "f32")
        return
    states = both_precisions(folder.name, load, lambda model: [torch.cat([model(row[None])[0] for row in ids])])
    writer.add_tensor("golden.logits", as_f32(states[0]), "f32")
    wordpiece = WordPiece(read_tokenizer(str(folder), None, print))
    placed = [tokens_with_places(text, wordpiece) for text in TAG_TEXTS]
    rows = [torch.tensor([wordpiece.encode(text)]) for text in TAG_TEXTS]
    for (inner, _), row in zip(placed, rows):
        assert row[0, 1:-1].tolist() == inner
    scores = both_precisions(folder.name, load, lambda model: [torch.softmax(model(row)[0, 1:-1], -1) for row in rows])
    writer.add("golden.tag_texts", TAG_TEXTS, "[string]")
    cases = [(0, tokens, each.numpy()) for (_, tokens), each in zip(placed, scores)]
    add_spans(writer, "golden.spans", cases, [metadata["ranklet.classifier.labels"]])


def make_tagged_spans(path):
    """Random and awkward probabilities of tokens; from each the spans of every strategy."""
    label_sets = [
        ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
        ["I-PER", "O", "B-PER", "E-PER", "S-PER", "B-LOC", "E-LOC"],
        ["NOUN", "VERB", "ADJ"],
        ["B-product-line", "I-product-line", "O", "B-line", "x-ray", "B-"],
        ["B-名", "I-名", "O"],
        ["O"],
        ["only"],
    ]
    writer, draw, cases, texts = golden_writer(path), np.random.default_rng(17), [], []
    for n in range(140):
        labels, text, tokens = label_sets[n % len(label_sets)], "", []
        for i in range(int(draw.integers(0, 12)) if n > 6 else n // 3):
            continues = bool(draw.random() < 0.4) and i > 0  # the first may: a text that starts within a word
            if n % 11 == 0 and i == 0:
                continues = True
            if not continues:
                text += draw.choice(["", " ", "  ", "é "])
            piece = draw.choice(["a", "bc", "手", "机壳", "ß", "😀x"])
            tokens.append((len(text), len(text) + len(piece), continues))
            text += piece
        scores = draw.dirichlet(np.full(len(labels), 0.5), len(tokens)) if tokens else np.zeros((0, len(labels)))
        if n % 5 == 0:  # ties: the first label, the first token wins
            scores = np.round(scores * 4) / 4
        if n % 5 == 1:  # runs of the same label
            scores = np.repeat(scores, 2, axis=0)[:len(tokens)]
        texts.append(text)
        cases.append((n % len(label_sets), tokens, scores.astype(np.float32)))
    for k, labels in enumerate(label_sets):
        writer.add(f"labels.{k}", labels, "[string]")
    writer.add("texts", texts, "[string]")
    writer.add("label_sets", [k for k, _, _ in cases], "[i32]")
    writer.add("counts", [len(tokens) for _, tokens, _ in cases], "[i32]")
    every = [(len(text[:a].encode()), len(text[:b].encode()), int(c)) for text, (_, tokens, _) in zip(texts, cases) for a, b, c in tokens]
    for i, name in enumerate(("begins", "ends", "continues")):
        writer.add(name, [token[i] for token in every], "[i32]")
    writer.add("scores", [float(x) for _, _, scores in cases for x in scores.reshape(-1)], "[f32]")
    add_spans(writer, "spans", cases, label_sets)
    writer.write()


def convert(folder, model_file, dtype, options):
    subprocess.run([sys.executable, "-m", "weights_converter", str(folder), str(model_file), "--dtype", dtype, *options],
                   cwd=REPOSITORY, check=True)


def make_model(checkpoints, out, name):
    dtype, options = MODELS[name]
    folder, model_file = checkpoints / name, out / f"{name}.gguf"
    make_checkpoints.make(name, checkpoints, make_checkpoints.find_assets())
    convert(folder, model_file, dtype, options)
    writer = golden_writer(out / f"{name}.golden.gguf")
    if (folder / "config.json").exists():
        metadata, _ = read_gguf(model_file)
        ids = tokenize(folder, metadata["ranklet.encoder.max_length"], TEXTS)
        writer.add("golden.texts", TEXTS, "[string]")
        writer.add("golden.token_ids", [token for row in ids for token in row], "[i32]")
        writer.add("golden.token_offsets", np.cumsum([0] + [len(row) for row in ids]), "[i32]")
        ids = [torch.tensor(row) for row in ids]
        if name in CLASSIFIERS:
            make_classifier_golden(writer, folder, dtype, ids, metadata)
            writer.write()
            return
        make_encoder_golden(writer, folder, dtype, ids)
        writer.add("golden.position_text", POSITION_TEXT, "u32")
    else:
        ids = None
    if (folder / "ranklet.json").exists() or (folder / "model.pth").exists() or ids is None:
        make_score_goldens(writer, folder, dtype, ids)
    writer.write()


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "goldens"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    make_layers(out / "layers.gguf")
    make_tagged_spans(out / "tagged_spans.gguf")
    make_news_goldens.main(out)
    with tempfile.TemporaryDirectory() as scratch:
        for name in MODELS:
            make_model(Path(scratch), out, name)
        for name, file in I8_MODELS.items():
            convert(Path(scratch) / name, out / f"{file}.gguf", "i8", MODELS[name][1])
        for name, gates in HARD_MODELS.items():
            path = Path(scratch) / name / "ranklet.json"
            settings = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**settings, "recurrent_activation": gates}))
            convert(Path(scratch) / name, out / f"{name}-hard.gguf", "f16", MODELS[name][1])


if __name__ == "__main__":
    main()
