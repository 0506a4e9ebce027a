"""News recommenders: LSTUR, NAML, NRMS and NARM-like models, from a state dict with the names of reference/news.py.

In: a StateDict and ranklet.json with "model". Out: the keys `ranklet.words.*`, `ranklet.news.*`, `ranklet.user.*`,
`ranklet.gru.*` and their tensors ("News models" in docs/model-file.md).
What a name fixes is the published layers' shape (PRESETS); sizes, widths and padding come from ranklet.json.
"""
import os
import re

import numpy as np

from ..checkpoint import is_count
from ..errors import ConversionError
from ..recurrent import add_form
from ..selftest import SelfTest
from ..settings import Reader, gate_activation
from ..tokenizer import check_lengths
from .news_reference import NewsReference as Reference

# The text views' form, how views are joined, what the user tower remembers, the parts of the user's vector.
PRESETS = {
    "lstur": ("cnn_attention", "concatenate", "none", ["state"]),
    "naml": ("cnn_attention", "attention", "events", ["pooled"]),
    "nrms": ("self_attention", "concatenate", "events", ["pooled"]),
    "narm": ("cnn_max", "concatenate", "states", ["state", "pooled"]),
}
FORMS = ("cnn_max", "cnn_attention", "self_attention")
JOINS = ("concatenate", "attention", "gated")
UNKNOWN = ("skip", "row", "characters")
ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")
TOP = ("model", "name", "words", "lowercase", "unknown", "unknown_id", "padding_id", "views", "join", "user")
VIEW = {"text": ("kind", "form", "max_length", "pad_to", "mask_padding", "padding", "heads", "epsilon", "activation"),
        "category": ("kind", "values", "activation"), "vector": ("kind", "activation")}
GRU = ("gru", "recurrent_activation", "activation", "skip_zero")
ATTENTION = ("max_events", "pool")
PADDING = ("pad_to", "pad_side", "mask_padding")
USER = {"lstur": ("mode", "users", *GRU), "naml": (*ATTENTION, *PADDING), "nrms": ("heads", *ATTENTION, *PADDING),
        "narm": (*ATTENTION, *GRU)}
POOL = ("form", "activation", "softmax", "epsilon")

MODELS = dict.fromkeys(PRESETS, "a news recommender")
OPTIONS = ()


def matches(source):
    return source.model in MODELS


def looked_for(source):
    return None  # it is known by its name


def refusal(source, option):
    return f"{source.ranklet_json[0] or source.path}: a news model states everything itself; {option.flag} means nothing"


def write(model, source, options):
    """-> (lines of the summary, SelfTest)"""
    path, config = source.ranklet_json
    if path is None:
        raise ConversionError(f"{source.root}: {source.model} needs a ranklet.json with its words and views")
    if options.dtype == "i8":
        raise ConversionError(f"{path}: news models are stored as f32, f16 or bf16, not i8")
    lines, words = _add_model(model, source, options, path, config)
    source.state.refuse_rest(source.note)
    return lines, _selftest(model, words)


def _add_model(model, source, options, path, config):
    """-> (lines of the summary, the words)"""
    state, folder = source.state, os.path.dirname(path)
    top = Reader(path, config, TOP)
    if not isinstance(config.get("name", ""), str):
        top.fail("name", "a text")
    model.key("general.name", options.name or config.get("name") or source.name, "string")
    form, join, memory, parts = PRESETS[source.model]
    words = _add_words(model, state, top, folder)
    word_size = state.array("words.weight").shape[1]
    if not isinstance(config.get("views"), dict) or not config["views"]:
        top.fail("views", "an object of views")
    names, dims = list(config["views"]), []
    model.key("ranklet.encoder.type", "news", "string")
    model.key("ranklet.news.views", names, "[string]")
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
            raise ConversionError(f"{path}: view {name!r}: expected a name of a-z, 0-9 and _")
        dims.append(_add_view(model, state, path, folder, name, config["views"][name], form, word_size))
    join = top.choice("join", JOINS, join)
    model.key("ranklet.news.join", join, "string")
    dim = sum(dims)
    if join == "attention":
        if len(set(dims)) != 1:
            raise ConversionError(f"{path}: views of {dims} elements cannot be joined by attention: they must be equally long")
        dim = dims[0]
        _add_pool(model, state, "ranklet.news.join.pool", "join.pool", dim, 0, Reader(path, {}, POOL))
    elif join == "gated":
        dim = state.array(f"join.value.{names[0]}.weight").shape[0] if f"join.value.{names[0]}.weight" in state else 0
        for name, size in zip(names, dims):
            _add_linear(model, state, f"ranklet.news.join.{name}.value", f"join.value.{name}", dim or None, size)
            _add_linear(model, state, f"ranklet.news.join.{name}.gate", f"join.gate.{name}", dim or None, sum(dims))
    if "project.weight" in state:
        dim = _add_linear(model, state, "ranklet.news.proj", "project", None, dim)
    tower = _add_user(model, state, path, folder, source.model, top.get("user", {}), memory, list(parts), dim)
    top.read |= {"model", "name", "views"}
    top.refuse_rest()
    lines = [f"  architecture  {source.model.upper()}: {len(names)} view{'s' * (len(names) > 1)} ({', '.join(names)}), {join}",
             f"  text          {len(words)} words of {word_size} elements",
             f"  vector        {dim}", f"  decoder       {tower}"]
    return lines, words


def _add_linear(model, state, ours, name, out, into):
    """-> rows of the weight."""
    weight = state.take(f"{name}.weight", [out, into])
    model.matrix(f"{ours}.weight", weight)
    if f"{name}.bias" in state:
        model.exact(f"{ours}.bias", state.take(f"{name}.bias", [len(weight)]))
    return len(weight)


def _add_words(model, state, top, folder):
    words = top.strings("words", folder)
    named = [word for word in words if word]
    if len(set(named)) != len(named):
        twice = next(word for n, word in enumerate(named) if word in named[:n])
        raise ConversionError(f"{top.path}: the word {twice!r} stands twice")
    weight = state.take("words.weight", [len(words), None], f" ({top.path} names {len(words)} words)")
    model.matrix("ranklet.words.weight", weight)
    # no text has a row's stand-in as a word: brackets are words of their own
    tokens = [word or f"[unused_row_{n}]" for n, word in enumerate(words)]
    check_lengths(tokens, top.path)
    model.key("ranklet.words.tokens", tokens, "[string]")
    lowercase = top.flag("lowercase")
    if lowercase and (capital := next((word for word in named if word != word.lower()), None)):
        raise ConversionError(f"{top.path}: lowercase is true, but the word {capital!r} is not lower-cased and would never be met")
    model.key("ranklet.words.lowercase", lowercase, "bool")
    unknown = top.choice("unknown", UNKNOWN)
    model.key("ranklet.words.unknown", unknown, "string")
    for key in ("unknown_id",) * (unknown == "row") + ("padding_id",):
        value = top.count(key, 0, 0 if key == "padding_id" else None)
        if value >= len(words):
            top.fail(key, f"a row of {len(words)}")
        model.key(f"ranklet.words.{key}", value, "u32")
    return words


def _add_view(model, state, path, folder, name, value, form, word_size):
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in VIEW:
        raise ConversionError(f"{path}: views.{name}.kind is {kind!r}, expected one of {', '.join(VIEW)}")
    view = Reader(path, value, VIEW[kind], f"views.{name}")
    view.read.add("kind")
    ours, theirs = f"ranklet.news.{name}", f"views.{name}"
    model.key(f"{ours}.kind", kind, "string")
    if kind == "text":
        dim = _add_text(model, state, view, ours, theirs, form, word_size)
    elif kind == "category":
        values = view.strings("values", folder)
        if len(set(values)) != len(values) or "" in values:
            view.fail("values", "different names, none of them empty")
        table = state.take(f"{theirs}.embedding.weight", [len(values) + 1, None], " (one row for each value after that of unknown ones)")
        model.key(f"{ours}.values", values, "[string]")
        model.matrix(f"{ours}.embd.weight", table)
        dim = table.shape[1]
    else:
        weight = next((state.array(each) for each in (f"{theirs}.dense.weight", f"{theirs}.missing") if each in state), None)
        if weight is None:
            raise ConversionError(f"{state.path}: a vector's size is told by {theirs}.dense.weight or {theirs}.missing; neither is there")
        dim = weight.shape[-1]
        model.key(f"{ours}.size", dim, "u32")
        if f"{theirs}.missing" in state:
            model.exact(f"{ours}.missing", state.take(f"{theirs}.missing", [dim]))
    if f"{theirs}.dense.weight" in state:
        model.key(f"{ours}.dense.activation", view.choice("activation", ACTIVATIONS), "string")
        dim = _add_linear(model, state, f"{ours}.dense", f"{theirs}.dense", None, dim)
    view.refuse_rest()
    return dim


def _padding(view, widths):
    value = view.get("padding")
    if value == "valid":
        return [0, 0] * len(widths)
    if value == "same":
        return [each for width in widths for each in ((width - 1) // 2, width - 1 - (width - 1) // 2)]
    if (not isinstance(value, list) or len(value) != len(widths)
            or not all(isinstance(pair, list) and len(pair) == 2 and all(is_count(each, 0) and each < width for each in pair)
                       for pair, width in zip(value, widths))):
        view.fail("padding", f"\"valid\", \"same\", or [left, right] for each of {len(widths)} widths, less than the width")
    return [each for pair in value for each in pair]


def _add_text(model, state, view, ours, theirs, form, word_size):
    form = view.choice("form", FORMS, form)
    model.key(f"{ours}.form", form, "string")
    length, pad_to = view.count("max_length"), view.count("pad_to", 0, 0)
    if pad_to > length:
        view.fail("pad_to", f"no more than max_length, {length}")
    model.key(f"{ours}.max_length", length, "u32")
    model.key(f"{ours}.pad_to", pad_to, "u32")
    model.key(f"{ours}.mask_padding", view.flag("mask_padding", False), "bool")
    if form == "self_attention":
        dim = _add_heads(model, state, f"{ours}.self_attention", f"{theirs}.self_attention", view.count("heads"), word_size)
    else:
        widths, dim = [], 0
        while f"{theirs}.conv.{len(widths)}.weight" in state:
            name = f"{theirs}.conv.{len(widths)}"
            weight = state.take(f"{name}.weight", [None, word_size, None])
            out, _, width = weight.shape
            model.matrix(f"{ours}.conv.{len(widths)}.weight", np.ascontiguousarray(weight.transpose(0, 2, 1)).reshape(out, -1))
            if f"{name}.bias" in state:
                model.exact(f"{ours}.conv.{len(widths)}.bias", state.take(f"{name}.bias", [out]))
            widths.append(width)
            dim += out
        if not widths or form == "cnn_attention" and len(widths) != 1:
            raise ConversionError(f"{state.path}: {theirs}.conv has {len(widths)} convolutions, {form} has "
                                  f"{'one' if form == 'cnn_attention' else 'one or more'} ({theirs}.conv.0.weight)")
        model.key(f"{ours}.conv.widths", widths, "[u32]")
        model.key(f"{ours}.conv.padding", _padding(view, widths), "[u32]")
    if form != "cnn_max":
        _add_pool(model, state, f"{ours}.pool", f"{theirs}.pool", dim, 0,
                  Reader(view.path, {"epsilon": view.get("epsilon")} if "epsilon" in view.value else {}, POOL, f"{view.where}"))
    return dim


def _add_heads(model, state, ours, theirs, heads, into):
    out = None
    for name in "qkv":
        out = _add_linear(model, state, f"{ours}.{name}", f"{theirs}.{name}", out, into)
    if out % heads:
        raise ConversionError(f"{state.path}: {theirs}.q.weight has {out} rows, which {heads} heads do not divide")
    model.key(f"{ours}.heads", heads, "u32")
    return out


def _add_pool(model, state, ours, theirs, dim, query, settings):
    form = settings.choice("form", ("additive", "dot", "bilinear"), "additive")
    model.key(f"{ours}.form", form, "string")
    model.key(f"{ours}.softmax", settings.flag("softmax", True), "bool")
    model.key(f"{ours}.epsilon", settings.number("epsilon", 0.0), "f32")
    if form == "additive":
        model.key(f"{ours}.activation", settings.choice("activation", ACTIVATIONS, "tanh"), "string")
        inner = _add_linear(model, state, f"{ours}.keys", f"{theirs}.keys", None, dim)
        model.exact(f"{ours}.v", state.take(f"{theirs}.v", [inner]))
        if f"{theirs}.query.weight" in state:
            _add_linear(model, state, f"{ours}.query", f"{theirs}.query", inner, query)
    elif form == "bilinear":
        _add_linear(model, state, f"{ours}.query", f"{theirs}.query", dim, query)
    settings.refuse_rest()


def keras_gates(array):
    """Columns of Keras's gates z, r, h -> rows of ours, r, z, n."""
    z, r, n = np.split(array, 3, axis=-1)
    return np.ascontiguousarray(np.concatenate([r, z, n], axis=-1).T)


def _add_gru(model, state, user, dim):
    """torch.nn.GRU's parameters or Keras's, one layer; -> its hidden size."""
    kind = user.choice("gru", ("torch", "keras_reset_after", "keras_reset_before"), "torch")
    if kind == "torch":
        weight_hh = state.take("user.gru.weight_hh_l0", [None, None])
        hidden = weight_hh.shape[1]
        arrays = {"weight_ih": state.take("user.gru.weight_ih_l0", [3 * hidden, dim]), "weight_hh": weight_hh}
        arrays.update({bias: state.take(f"user.gru.{bias}_l0", [3 * hidden]) for bias in ("bias_ih", "bias_hh")
                       if f"user.gru.{bias}_l0" in state})
    else:
        recurrent = state.take("user.gru.recurrent_kernel", [None, None])
        hidden = len(recurrent)
        arrays = {"weight_ih": keras_gates(state.take("user.gru.kernel", [dim, 3 * hidden])), "weight_hh": keras_gates(recurrent)}
        if "user.gru.bias" in state:
            two = kind == "keras_reset_after"
            bias = state.take("user.gru.bias", [2, 3 * hidden] if two else [3 * hidden])
            for name, each in zip(("bias_ih", "bias_hh"), bias if two else [bias]):
                arrays[name] = keras_gates(each)
    if arrays["weight_hh"].shape != (3 * hidden, hidden):
        raise ConversionError(f"{state.path}: the user's GRU has recurrent weights of shape {list(arrays['weight_hh'].shape)}, "
                              f"expected {3 * hidden} and {hidden}")
    add_form(model, "before" if kind == "keras_reset_before" else "after", gate_activation(user))
    for key, value in (("input_size", dim), ("hidden_size", hidden), ("layer_count", 1)):
        model.key(f"ranklet.gru.{key}", value, "u32")
    model.key("ranklet.gru.skip_zero", user.flag("skip_zero", False), "bool")
    for name, array in arrays.items():
        (model.matrix if name.startswith("weight") else model.exact)(f"ranklet.gru.0.{name}", array)
    return hidden


def _history_padding(user):
    """How many events attention sees at least, 0 where it sees just those that there are: masked padding changes nothing."""
    pad_to, side = user.count("pad_to", 0, 0), user.choice("pad_side", ("front", "end"), "front")
    if not pad_to and (side != "front" or "mask_padding" in user.value):
        raise ConversionError(f"{user.path}: user.pad_side and user.mask_padding are of histories that user.pad_to fills up")
    if pad_to > user.count("max_events", 1, pad_to or 1):
        user.fail("pad_to", f"no more than max_events, {user.value['max_events']}")
    return 0 if user.flag("mask_padding", False) else pad_to


def _add_history_padding(model, state, user, pad_to, dim):
    """What stands for the missing events: the state dict's user.padding, else the vector of an item without text,
    categories and vectors, the empty news that training fills histories up with."""
    model.key("ranklet.user.pad_to", pad_to, "u32")
    model.key("ranklet.user.pad_side", user.get("pad_side", "front"), "string")
    if "user.padding" in state:
        padding = state.take("user.padding", [dim])
    else:
        padding = Reference(model.metadata(), model.tensor).item({}).astype(np.float32)
    model.exact("ranklet.user.padding", padding)


def _add_user(model, state, path, folder, kind, value, memory, parts, dim):
    user = Reader(path, value, USER[kind], "user")
    model.key("ranklet.recommender.scoring", "user_tower", "string")
    hidden = _add_gru(model, state, user, dim) if kind in ("lstur", "narm") else 0
    width = hidden if memory == "states" else dim
    gates = ""
    if "recurrent_activation" in user.value:
        gates = f", gates {gate_activation(user)}"
    elif user.value.get("gru") == "keras_reset_before":  # the form that comes from Keras before 2.3, as a rule
        gates = ", gates sigmoid: recurrent_activation is not stated; Keras before 2.3 has hard_sigmoid_keras2"
    what = [f"GRU {dim} -> {hidden}{gates}"] * bool(hidden)
    sizes = {"state": hidden}
    if kind == "lstur":
        mode = user.choice("mode", ("ini", "con", "none"))
        if mode != "none":
            users = user.strings("users", folder)
            if len(set(users)) != len(users) or "" in users:
                user.fail("users", "different ids, none of them empty")
            table = state.take("user.embedding.weight", [len(users), None])
            if mode == "ini" and table.shape[1] != hidden:
                raise ConversionError(f"{state.path}: user.embedding.weight has rows of {table.shape[1]}, the GRU that starts from them {hidden}")
            model.key("ranklet.user.ids", users, "[string]")
            model.key("ranklet.user.initial", mode == "ini", "bool")
            model.matrix("ranklet.user.embd.weight", table)
            sizes["user"] = table.shape[1]
            parts += ["user"] * (mode == "con")
            what.append(f"{len(users)} users ({mode})")
    pad_to = _history_padding(user)
    model.key("ranklet.user.memory", "padded_events" if pad_to else memory, "string")
    if memory != "none":
        model.key("ranklet.user.max_events", user.count("max_events"), "u32")
        if pad_to:
            _add_history_padding(model, state, user, pad_to, dim)
            what.append(f"histories filled up to {pad_to}")
        if kind == "nrms":
            width = _add_heads(model, state, "ranklet.user.self_attention", "user.self_attention", user.count("heads"), dim)
            what.append("self-attention")
        _add_pool(model, state, "ranklet.user.pool", "user.pool", width, hidden or width, Reader(path, user.get("pool", {}), POOL, "user.pool"))
        what.append(f"attention over the last {user.value['max_events']} {memory}")
        sizes["pooled"] = width
    user.refuse_rest()
    model.key("ranklet.user.parts", parts, "[string]")
    total = sum(sizes[part] for part in parts)
    if "user.project.weight" in state:
        _add_linear(model, state, "ranklet.user_proj", "user.project", dim, total)
    elif total != dim:
        raise ConversionError(f"{state.path}: items' vectors have {dim} elements, the user's {total}, and user.project.weight is missing")
    return ", ".join(what)


# ---- the self-test


def selftest_items(model, words):
    """Items for the self-test: titles of the model's own words, and word ids as any reader of the text finds them."""
    meta, draw = model.metadata(), np.random.default_rng(5)
    plain = [n for n, word in enumerate(words) if re.fullmatch("[a-z]+", word) and len(word) > 1]
    unknown = meta.get("ranklet.words.unknown_id")
    items = []
    for length in (3, 0, 1, 8, 40, 2):
        views, inputs = {}, {}
        for name in meta["ranklet.news.views"]:
            prefix = f"ranklet.news.{name}"
            kind = meta[f"{prefix}.kind"]
            if kind == "text":
                ids = [int(each) for each in draw.choice(plain, length)] if plain else []
                text = [words[each] for each in ids]
                if length == 8 and meta["ranklet.words.unknown"] != "characters" and "qqzzqqzz" not in words:
                    text.insert(2, "qqzzqqzz")
                    ids[2:2] = [unknown] * (unknown is not None)
                views[name], inputs[name] = ids, " ".join(text)
            elif kind == "category":
                choices = [*meta[f"{prefix}.values"][:20], "", "of no such name"]
                views[name] = inputs[name] = choices[int(draw.integers(len(choices)))] if length != 1 else ""
            else:
                size = meta[f"{prefix}.size"]
                vector = None if length in (0, 40) else draw.standard_normal(size).astype(np.float32)
                views[name], inputs[name] = vector, [float("nan")] * size if vector is None else vector.tolist()
        items.append((views, inputs))
    return items


def _selftest(model, words):
    meta, items = model.metadata(), selftest_items(model, words)
    history = [0, 3, 5, 3, 2][:max(1, meta.get("ranklet.user.pad_to", 6) - 1)]  # shorter than what it is filled up to
    user = meta["ranklet.user.ids"][-1] if "ranklet.user.ids" in meta else None

    def run(reference):
        vectors = np.stack([reference.item(views) for views, _ in items]).astype(reference.kind)
        return {"vectors": vectors, "scores": vectors @ reference.user(vectors[history], user)}

    test = SelfTest(Reference, run)
    for name in meta["ranklet.news.views"]:
        values = [inputs[name] for _, inputs in items]
        if meta[f"ranklet.news.{name}.kind"] == "vector":
            test.input(f"view.{name}", [x for each in values for x in each], "[f32]")
        else:
            test.input(f"view.{name}", values, "[string]")
    test.outputs("vectors")
    test.input("history", history, "[i32]")
    if user is not None:
        test.input("user", user, "string")
    test.outputs("scores")
    test.what.append(f"{len(items)} items, {len(history)} events, {len(items)} scores")
    return test
