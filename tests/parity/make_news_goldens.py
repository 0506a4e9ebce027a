#!/usr/bin/env python3
"""Makes the goldens of news recommenders: tiny random models and what reference/news.py in PyTorch says of them.

    python3 tests/parity/make_news_goldens.py [OUT_FOLDER]        (default: tests/parity/goldens)

For each of MODELS: news-NAME.gguf (written by weights_converter) and news-NAME.golden.gguf beside it: items by view,
their vectors, histories with users, scores. PyTorch runs in float64 and is rounded once; its own float32 may differ by
no more than a test. Called by make_goldens.py. Needs torch, numpy and this repository's weights_converter.
"""
import copy
import json
import math
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(REPOSITORY), str(HERE)]

from make_checkpoints import write_safetensors  # noqa: E402
from weights_converter.gguf import GGUFWriter  # noqa: E402
from weights_converter.reference.news import NewsRecommender  # noqa: E402

TOLERANCE = 1e-5
WORDS = ["", "storm", "hits", "the", "coast", "team", "wins", "final", "markets", "fall", "new", "phone", "review", "city",
         "plans", "park", "vote", "today", ".", "手机", "红色", "2024"]
CATEGORIES = ["news", "sports", "finance", "lifestyle"]
SUBCATEGORIES = ["weather", "football", "stocks", "phones", "politics"]

TITLE = dict(kind="text", max_length=12)
CNN = dict(filters=10, widths=[3], padding=[[1, 1]], attention_size=7)
HEADS = dict(heads=3, head_size=5, attention_size=8)


def category(values, **more):
    return dict(kind="category", values=values, **more)


# The published models in small, then each trap of their training by itself.
MODELS = {
    "lstur-ini": dict(model="lstur", word_size=9, views=dict(
        title={**TITLE, **CNN}, category=category(CATEGORIES, size=4), subcategory=category(SUBCATEGORIES, size=6)),
        user=dict(mode="ini", users=["U1", "U2", "用户3"], user_size=20)),
    "lstur-con": dict(model="lstur", word_size=9, views=dict(
        title={**TITLE, **CNN, "pad_to": 12}, category=category(CATEGORIES, size=6)),
        user=dict(mode="con", users=["U1", "U2"], user_size=7, hidden=9, gru="keras_reset_before", project=True)),
    "lstur-keras": dict(model="lstur", word_size=8, views=dict(title={**TITLE, **CNN, "epsilon": 1e-7}),
                        user=dict(mode="none", gru="keras_reset_after", skip_zero=True)),
    "naml": dict(model="naml", word_size=9, join_attention_size=6, views=dict(
        title={**TITLE, **CNN}, body={**TITLE, **CNN, "max_length": 30},
        category=category(CATEGORIES, size=4, dense=10, activation="relu"),
        subcategory=category(SUBCATEGORIES, size=4, dense=10, activation="relu")), user=dict(max_events=4, attention_size=5)),
    "nrms": dict(model="nrms", word_size=11, views=dict(title={**TITLE, **HEADS}), user=dict(max_events=4, **HEADS)),
    "nrms-padded": dict(model="nrms", word_size=11, views=dict(
        title={**TITLE, **HEADS, "pad_to": 8}, body={**TITLE, **HEADS, "pad_to": 10, "mask_padding": True}),
        user=dict(max_events=50, heads=2, head_size=15, attention_size=4)),
    "narm-kim": dict(model="narm", word_size=9, views=dict(
        title={**TITLE, "filters": 4, "widths": [1, 2, 3, 5], "padding": [[0, 0], [0, 0], [1, 1], [0, 0]], "pad_to": 12}),
        user=dict(hidden=13, max_events=4, attention_size=6, pool=dict(activation="sigmoid", softmax=False), project=True)),
    "modalities": dict(model="naml", word_size=9, join="gated", join_size=14, project=12, views=dict(
        title={**TITLE, **CNN, "form": "cnn_max", "widths": [2, 4], "padding": [[0, 0], [1, 2]]},
        image=dict(kind="vector", size=6, learned_missing=True), sound=dict(kind="vector", size=5, dense=7, activation="tanh")),
        user=dict(max_events=6, pool=dict(form="dot"))),
    "lstur-hard": dict(model="lstur", word_size=8, views=dict(title={**TITLE, **CNN}), user=dict(
        mode="none", gru="keras_reset_before", recurrent_activation="hard_sigmoid_keras2", activation="tanh")),
    "narm-hard": dict(model="narm", word_size=8, views=dict(title={**TITLE, "filters": 4, "widths": [2], "padding": [[1, 1]]}), user=dict(
        hidden=4, max_events=4, attention_size=6, gru="keras_reset_after", recurrent_activation="hard_sigmoid_keras3", project=True)),
    "nrms-history": dict(model="nrms", word_size=11, views=dict(title={**TITLE, **HEADS, "pad_to": 12}), user=dict(
        max_events=6, pad_to=6, **HEADS)),
    "naml-history": dict(model="naml", word_size=9, join_attention_size=6, views=dict(
        title={**TITLE, **CNN, "pad_to": 12}, category=category(CATEGORIES, size=4, dense=10, activation="relu")),
        user=dict(max_events=7, pad_to=5, pad_side="end", attention_size=5)),
    "learned-history": dict(model="naml", word_size=9, join="concatenate", views=dict(title={**TITLE, **CNN}), user=dict(
        max_events=5, pad_to=5, learned_padding=True, attention_size=5, pool=dict(epsilon=0.5))),
    "bilinear": dict(model="naml", word_size=9, join="concatenate", views=dict(title={**TITLE, **CNN, "mask_padding": True, "pad_to": 9}),
                     user=dict(max_events=6, pool=dict(form="bilinear"))),
}
UNKNOWN = {"naml": ("skip", None), "modalities": ("characters", None)}

TITLES = ["storm hits the coast", "", "Team wins FINAL", "phone", "markets fall today . new city plans park vote the phone review",
          "红色手机 2024", "nobody knows these words", "the " * 20]
BODIES = ["the storm hits the coast today .", None, "team wins", "", "new phone review " * 12, "手机", None, "vote"]
HISTORIES = {"cold": [], "one": [2], "some": [0, 3, 1, 5], "many": [4, 2, 0, 7, 6, 5, 3, 2, 4]}
READER = {"红色手机": ["红色", "手机"]}  # Chinese by longest match


def word_ids(text, unknown, unknown_id):
    """What WordTokenizer finds in these plain texts."""
    ids = []
    for part in (text or "").lower().split():
        for word in READER.get(part, [part]):
            if word in WORDS and word:
                ids.append(WORDS.index(word))
            elif unknown == "row":
                ids.append(unknown_id)
            elif unknown == "characters":
                ids += [WORDS.index(c) for c in word if c in WORDS]
    return ids


def draw_weights(module, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        fan = parameter[0].numel() if parameter.dim() > 1 else 4
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (1.3 / math.sqrt(fan)))
            if name == "words.weight":
                parameter.mul_(2.5)


def news_items(config, model):
    """(views for the reference, strings or numbers for the golden) of every title."""
    unknown, unknown_id = UNKNOWN.get(model, ("row", 0))
    draw = np.random.default_rng(zlib.crc32(model.encode()))
    items, given = [], {name: [] for name in config["views"]}
    for i in range(len(TITLES)):
        views = {}
        for name, view in config["views"].items():
            if view["kind"] == "text":
                text = TITLES[i] if name == "title" else BODIES[i]
                views[name] = word_ids(text, unknown, unknown_id)
                given[name].append(text or "")
            elif view["kind"] == "category":
                views[name] = (view["values"] + ["", "no such value"])[(i * 3 + 1) % (len(view["values"]) + 2)]
                given[name].append(views[name])
            else:
                vector = None if i % 3 == 1 else torch.from_numpy(draw.standard_normal(view["size"]).astype(np.float32))
                views[name] = vector
                given[name] += [math.nan] * view["size"] if vector is None else vector.tolist()
        items.append(views)
    return items, given


def in_kind(items, kind):
    return [{n: v.to(kind) if torch.is_tensor(v) else v for n, v in views.items()} for views in items]


def ranklet_json(config, model):
    """What the converter reads: the config without what the tensors say themselves."""
    unknown, unknown_id = UNKNOWN.get(model, ("row", 0))
    drop = ("size", "filters", "widths", "attention_size", "head_size", "learned_missing", "dense", "user_size", "hidden", "project", "learned_padding",
            "join_attention_size", "join_size", "word_size")
    strip = lambda value: {k: v for k, v in value.items() if k not in drop}
    result = strip(copy.deepcopy(config))
    result["views"] = {name: strip(view) for name, view in config["views"].items()}
    result["user"] = strip(config["user"])
    result.update(words="words.txt", lowercase=True, unknown=unknown)
    if unknown == "row":
        result["unknown_id"] = unknown_id
    return result


def make(out, name):
    config = MODELS[name]
    module = NewsRecommender(config, len(WORDS))
    draw_weights(module, zlib.crc32(name.encode()))
    for history in HISTORIES.values():
        assert all(each < len(TITLES) for each in history)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / f"news-{name}"
        folder.mkdir()
        write_safetensors(folder / "model.safetensors", {k: v.detach().numpy() for k, v in module.state_dict().items()})
        (folder / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
        (folder / "ranklet.json").write_text(json.dumps(ranklet_json(config, name), ensure_ascii=False, indent=1), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "weights_converter", str(folder), str(out / f"news-{name}.gguf")], cwd=REPOSITORY, check=True)
    items, given = news_items(config, name)
    writer = GGUFWriter(out / f"news-{name}.golden.gguf")
    writer.add("general.architecture", "golden", "string")
    writer.add("golden.made_by", "tests/parity/make_news_goldens.py", "string")
    writer.add("golden.torch", torch.__version__, "string")
    writer.add("golden.numpy", np.__version__, "string")
    for view, values in given.items():
        writer.add(f"golden.view.{view}", values, "[f32]" if config["views"][view]["kind"] == "vector" else "[string]")
    wide = copy.deepcopy(module).double()

    def both(function):
        with torch.no_grad():
            exact, single = function(wide, in_kind(items, torch.float64)), function(module, items)
        difference = float(((single.double() - exact).abs() / exact.abs().clamp(min=1)).max())
        assert difference <= TOLERANCE, (name, difference)
        return np.ascontiguousarray(exact.numpy().astype(np.float32))

    writer.add_tensor("golden.vectors", both(lambda m, x: torch.stack([m.item(views) for views in x])), "f32")
    users = ["", "nobody", *config["user"].get("users", [])]
    writer.add("golden.users", users, "[string]")
    for label, history in HISTORIES.items():
        writer.add(f"golden.history.{label}", history, "[i32]")
        for u, user in enumerate(users):
            scores = both(lambda m, x: m.score(x, history, user))
            writer.add_tensor(f"golden.scores.{label}.{u}", scores.reshape(-1), "f32")
    writer.write()


def main(out=None):
    out = Path(out) if out else HERE / "goldens"
    torch.set_num_threads(1)
    for name in MODELS:
        make(out, name)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
