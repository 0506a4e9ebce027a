"""The recommender's part of a checkpoint: GRU, scoring, ratings, learned items.

In: a StateDict and ranklet.json. Out: keys `ranklet.gru.*`, `ranklet.rating.*`, `ranklet.items.*` and their tensors.
Names: torch.nn.GRU's parameters under any prefix; the other tensors are listed in README.md.
"""
import math
import os
import re
from dataclasses import dataclass, field
from typing import Optional

from .checkpoint import is_count, optional_json, read_text
from .errors import ConversionError
from .sentence import check_prompts, pooling_list

SCORINGS = ("text_gru", "next_event", "dot_product")
RATING_MODES = ("none", "embedding", "weight")
ITEM_TABLES = ("item_embeddings.weight", "item_embedding.weight", "item_emb.weight", "emb.weight", "embedding.weight")
ITEM_OUTPUTS = ("s_fc", "fc", "out", "output")
GRU_START = re.compile(r"(?:^|\.)weight_ih_l0$")


@dataclass
class Rating:
    mode: str = "none"
    values: list = field(default_factory=list)
    scale: Optional[float] = None


@dataclass
class RankletSettings:
    """ranklet.json: what a state_dict cannot say of itself. None: not stated."""
    path: str
    name: Optional[str] = None
    scoring: Optional[str] = None
    pooling: Optional[list] = None
    normalize: Optional[bool] = None
    max_length: Optional[int] = None
    model: Optional[str] = None  # "gru4rec", which learned items and a GRU are; the other names are news.py's
    encoder: Optional[str] = None  # path of word vectors, where the weights hold no encoder
    rating: Rating = field(default_factory=Rating)
    prompts: dict = field(default_factory=dict)
    default_prompt: Optional[str] = None


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_keys(path, value, known, what):
    unknown = [key for key in value if key not in known]
    if unknown:
        raise ConversionError(f"{path}: unknown key {unknown[0]!r}{what}; known are {', '.join(known)}")


def _read_rating(path, value):
    if not isinstance(value, dict):
        raise ConversionError(f"{path}: rating is {value!r}, expected an object with mode")
    _check_keys(path, value, ("mode", "values", "scale"), " in rating")
    rating = Rating(value.get("mode"), value.get("values") or [], value.get("scale"))
    if rating.mode not in RATING_MODES:
        raise ConversionError(f"{path}: rating.mode is {rating.mode!r}, expected one of {', '.join(RATING_MODES)}")
    if not isinstance(rating.values, list) or not all(map(_is_number, rating.values)):
        raise ConversionError(f"{path}: rating.values is {rating.values!r}, expected numbers")
    if any(a >= b for a, b in zip(rating.values, rating.values[1:])):
        raise ConversionError(f"{path}: rating.values must ascend")
    if rating.mode == "embedding" and not rating.values:
        raise ConversionError(f"{path}: rating.mode embedding needs rating.values, one for each row of rating.weight")
    if rating.mode == "weight" and not _is_number(rating.scale):
        raise ConversionError(f"{path}: rating.mode weight needs the number rating.scale")
    if rating.mode != "embedding" and rating.values or rating.mode != "weight" and rating.scale is not None:
        raise ConversionError(f"{path}: rating.values belongs to mode embedding, rating.scale to mode weight")
    return rating


def read_settings(folders):
    """ranklet.json of the first folder that has one, checked; None without one."""
    folder = next((each for each in folders if os.path.exists(os.path.join(each, "ranklet.json"))), None)
    if folder is None:
        return None
    path, value = os.path.join(folder, "ranklet.json"), optional_json(folder, "ranklet.json")
    _check_keys(path, value, ("name", "scoring", "pooling", "normalize", "max_length", "rating", "prompts",
                              "default_prompt", "encoder", "model"), "")
    settings = RankletSettings(path, value.get("name"), value.get("scoring"))
    settings.model = value.get("model")
    if settings.name is not None and not isinstance(settings.name, str):
        raise ConversionError(f"{path}: name is {settings.name!r}, expected a text")
    if settings.scoring not in (None, *SCORINGS):
        raise ConversionError(f"{path}: scoring is {settings.scoring!r}, expected one of {', '.join(SCORINGS)}")
    if value.get("pooling") is not None:
        settings.pooling = pooling_list(value["pooling"], path)
    settings.normalize = value.get("normalize")
    if settings.normalize is not None and not isinstance(settings.normalize, bool):
        raise ConversionError(f"{path}: normalize is {settings.normalize!r}, expected true or false")
    settings.max_length = value.get("max_length")
    if settings.max_length is not None and not is_count(settings.max_length, 3):
        raise ConversionError(f"{path}: max_length is {settings.max_length!r}, expected a number over 2")
    settings.encoder = value.get("encoder")
    if settings.encoder is not None:
        if not isinstance(settings.encoder, str) or os.path.isabs(settings.encoder) or ".." in settings.encoder.split("/"):
            raise ConversionError(f"{path}: encoder is {settings.encoder!r}, expected a file or folder inside")
        settings.encoder = os.path.join(folder, settings.encoder)
        if not os.path.exists(settings.encoder):
            raise ConversionError(f"{path}: encoder: no {settings.encoder}")
    if value.get("rating") is not None:
        settings.rating = _read_rating(path, value["rating"])
    settings.prompts, settings.default_prompt = check_prompts(value.get("prompts"), value.get("default_prompt"), path)
    return settings


def find(state, names):
    """The one tensor whose name is, or ends with a dot and, one of `names`; None if there is none."""
    found = [each for each in state.names() if any(each == name or each.endswith("." + name) for name in names)]
    found = [each for each in found if each not in state.used]
    if len(found) > 1:
        raise ConversionError(f"{state.path}: {' and '.join(found)}: which of them is meant cannot be told")
    return found[0] if found else None


def has_gru(state):
    return any(GRU_START.search(name) for name in state.names())


def add_gru(model, state):
    """torch.nn.GRU's parameters; -> (input size, hidden size, layers)."""
    starts = [name for name in state.names() if GRU_START.search(name)]
    if len(starts) != 1:
        raise ConversionError(f"{state.path}: expected one GRU, found {', '.join(starts) or 'none'}")
    prefix = starts[0][:-len("weight_ih_l0")]
    parts = [name for name in state.names() if name.startswith(prefix) and re.match(r"(weight|bias)_(ih|hh|hr)_l\d+",
                                                                                     name[len(prefix):])]
    for name in parts:
        if name.endswith("_reverse"):
            raise ConversionError(f"{state.path}: {name}: a bidirectional GRU is not supported")
    layers = 1 + max(int(name.rsplit("_l", 1)[1]) for name in parts)
    if state.rank(starts[0]) != 2 or f"{prefix}weight_hh_l0" not in state or state.rank(f"{prefix}weight_hh_l0") != 2:
        raise ConversionError(f"{state.path}: {prefix}weight_ih_l0 and {prefix}weight_hh_l0 must be matrices")
    rows, into = state.array(starts[0]).shape
    hidden = state.array(f"{prefix}weight_hh_l0").shape[1]
    if rows != 3 * hidden:
        other = {4: " (an LSTM has 4)", 1: " (a plain RNN has 1)"}.get(rows // hidden if rows % hidden == 0 else 0, "")
        raise ConversionError(f"{state.path}: tensor {starts[0]} has {rows} rows, a GRU of hidden size {hidden} has 3 x "
                              f"{hidden}{other}")
    model.key("ranklet.gru.input_size", into, "u32")
    model.key("ranklet.gru.hidden_size", hidden, "u32")
    model.key("ranklet.gru.layer_count", layers, "u32")
    for n in range(layers):
        width = into if n == 0 else hidden
        model.matrix(f"ranklet.gru.{n}.weight_ih", state.take(f"{prefix}weight_ih_l{n}", [3 * hidden, width]))
        model.matrix(f"ranklet.gru.{n}.weight_hh", state.take(f"{prefix}weight_hh_l{n}", [3 * hidden, hidden]))
        for bias in ("bias_ih", "bias_hh"):
            if f"{prefix}{bias}_l{n}" in state:
                model.exact(f"ranklet.gru.{n}.{bias}", state.take(f"{prefix}{bias}_l{n}", [3 * hidden]))
    return into, hidden, layers


def _add_linear(model, state, ours, name, shape):
    """`name` is the weight's; a bias beside it is taken too."""
    model.matrix(f"{ours}.weight", state.take(name, shape))
    bias = name[:-len("weight")] + "bias"
    if bias in state:
        model.exact(f"{ours}.bias", state.take(bias, shape[:1]))


def _add_rating(model, state, rating, into, settings_path):
    name = find(state, ["rating.weight"])
    where = settings_path or "ranklet.json (which is missing)"
    if (rating.mode == "embedding") != (name is not None):
        if name:
            raise ConversionError(f"{state.path}: holds {name}; {where} must state rating.mode embedding and rating.values")
        raise ConversionError(f"{state.path}: tensor rating.weight is missing, {where} states rating.mode embedding")
    if rating.mode == "none":
        return
    model.key("ranklet.rating.mode", rating.mode, "string")
    if rating.mode == "weight":
        model.key("ranklet.rating.scale", rating.scale, "f32")
        return
    model.key("ranklet.rating.values", rating.values, "[f32]")
    model.matrix("ranklet.rating.weight", state.take(name, [len(rating.values), into]))


def add_text_recommender(model, state, scoring, rating, settings_path, token_dim, vector_dim):
    """GRU and heads of a recommender that reads text; token_dim: the encoder's, vector_dim: of a text's vector."""
    into, hidden, layers = add_gru(model, state)
    wanted = token_dim if scoring == "text_gru" else vector_dim
    if into != wanted:
        what = "token states" if scoring == "text_gru" else "a text's vector"
        raise ConversionError(f"{state.path}: the GRU reads {into} values, {scoring} feeds it {what} of {wanted}")
    model.key("ranklet.recommender.scoring", scoring, "string")
    if scoring == "dot_product":
        name = find(state, ["user_proj.weight"])
        if name:
            _add_linear(model, state, "ranklet.user_proj", name, [vector_dim, hidden])
        elif hidden != vector_dim:
            raise ConversionError(f"{state.path}: without user_proj.weight the GRU's hidden size {hidden} must be the "
                                  f"vector's, {vector_dim}")
    else:
        name = find(state, ["out.weight"])
        if name is None:
            raise ConversionError(f"{state.path}: tensor out.weight is missing (with any prefix), {scoring} scores with it")
        _add_linear(model, state, "ranklet.out", name, [1, hidden])
    if scoring == "text_gru" and rating.mode != "none":
        raise ConversionError(f"{settings_path}: rating.mode {rating.mode} has no meaning with scoring text_gru, which reads "
                              "token states; use next_event or dot_product, or rating.mode none")
    _add_rating(model, state, rating, into, settings_path)
    return f"GRU {into} -> {hidden}, {layers} layer{'s' * (layers > 1)}"


def add_item_recommender(model, state, rating, settings_path, items_path, note):
    """Learned item embeddings, GRU, scores of all items as a Linear (or the embeddings themselves)."""
    into, hidden, layers = add_gru(model, state)
    model.key("ranklet.encoder.type", "items", "string")
    model.key("ranklet.recommender.scoring", "dot_product", "string")
    table = find(state, ITEM_TABLES)
    if table is None:
        raise ConversionError(f"{state.path}: no item embeddings; looked for {', '.join(ITEM_TABLES)} with any prefix")
    embeddings = state.take(table, [None, into])
    output = find(state, [f"{name}.weight" for name in ITEM_OUTPUTS])
    if output is None:
        count, dim = embeddings.shape[0], into
        note(f"no Linear over the items ({', '.join(ITEM_OUTPUTS)}): the item embeddings themselves are the output")
    else:
        count, dim = state.array(output).shape[0], None
    projection = find(state, ["user_proj.weight", "dense.weight"])
    if projection is None:
        if dim not in (None, hidden):
            raise ConversionError(f"{state.path}: the GRU's hidden size {hidden} differs from the item embeddings' {dim}")
        dim = hidden
    else:
        dim = dim if dim else state.array(output).shape[-1]
        _add_linear(model, state, "ranklet.user_proj", projection, [dim, hidden])
    extra = embeddings.shape[0] - count
    if extra < 0:
        raise ConversionError(f"{state.path}: {table} has {embeddings.shape[0]} rows, {output} scores {count} items")
    if extra:
        if not embeddings[0].any() and embeddings[-1].any():
            raise ConversionError(f"{state.path}: {table} has {extra} rows more than {output} and its first row is zero: "
                                  "padding in front of the items is not supported")
        note(f"{table} has {embeddings.shape[0]} rows, {output} scores {count} items: the last {extra} "
             f"{'are' if extra > 1 else 'is'} padding and dropped")
    model.matrix("ranklet.item_embd.weight", embeddings[:count])
    if output is not None:
        model.matrix("ranklet.item_out.weight", state.take(output, [count, dim]))
        bias = output[:-len("weight")] + "bias"
        if bias in state:
            model.exact("ranklet.item_bias", state.take(bias, [count]))
    _add_rating(model, state, rating, into, settings_path)
    if items_path:
        _add_items(model, items_path, count)
    return count, f"GRU {into} -> {hidden}, {layers} layer{'s' * (layers > 1)}"


def _add_items(model, path, count):
    """items.tsv: line n is item n, its id, then a tab and its title (may be left out)."""
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    if len(lines) != count:
        raise ConversionError(f"{path}: {len(lines)} lines, the model has {count} items")
    ids, titles = zip(*[(line.split("\t", 1) + [""])[:2] for line in lines])
    seen = set()
    for n, item in enumerate(ids):
        if not item or item in seen:
            raise ConversionError(f"{path}, line {n + 1}: id {item!r} is {'repeated' if item else 'empty'}")
        seen.add(item)
    model.key("ranklet.items.ids", list(ids), "[string]")
    if any(titles):
        model.key("ranklet.items.texts", list(titles), "[string]")
