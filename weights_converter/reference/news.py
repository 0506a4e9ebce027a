"""News recommenders in PyTorch: LSTUR, NAML, NRMS and what their parts combine to, the reference for the C++ ones.

In: a config (what ranklet.json of the checkpoint holds), items as dicts of views, histories of items. Out: vectors of
items and users, one logit a candidate. Published layers: An et al. 2019 (LSTUR), Wu et al. 2019 (NAML, NRMS), Li et al.
2017 (NARM), Kim 2014 (max over time), Arevalo et al. 2017 (gated sum of modalities).

The parameters' names are those that the converter reads. Texts are lists of word ids; padding is done here as the
training framework does it: ids are filled up to pad_to, without a mask unless mask_padding is set.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {"identity": lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
FORMS = {"lstur": "cnn_attention", "naml": "cnn_attention", "nrms": "self_attention", "narm": "cnn_max"}


class Pool(nn.Module):
    """Attention over rows: additive (with or without a query), dot or bilinear; softmax (+ epsilon) or the scores."""

    def __init__(self, dim, inner=0, query=0, form="additive", activation="tanh", softmax=True, epsilon=0.0, bias=True):
        super().__init__()
        self.form, self.activation, self.softmax, self.epsilon = form, activation, softmax, epsilon
        if form == "additive":
            self.keys = nn.Linear(dim, inner, bias=bias)
            self.v = nn.Parameter(torch.randn(inner) / math.sqrt(inner))
            if query:
                self.query = nn.Linear(query, inner, bias=False)
        if form == "bilinear":
            self.query = nn.Linear(query, dim, bias=False)

    def forward(self, x, query=None, mask=None):
        if x.shape[0] == 0:
            return x.new_zeros(x.shape[1])
        if self.form == "additive":
            inner = self.keys(x) + self.query(query) if hasattr(self, "query") else self.keys(x)
            scores = ACTIVATIONS[self.activation](inner) @ self.v
        else:
            scores = x @ (self.query(query) if self.form == "bilinear" else query)
        mask = torch.ones_like(scores) if mask is None else mask
        if not self.softmax:
            weights = scores * mask
        elif self.epsilon:
            e = torch.exp(scores) * mask
            weights = e / (e.sum() + self.epsilon)
        elif not mask.any():
            weights = torch.zeros_like(scores)
        else:
            weights = torch.softmax(scores.masked_fill(mask == 0, -math.inf), -1)
        return weights @ x


class SelfAttention(nn.Module):
    """Heads side by side, no output projection."""

    def __init__(self, dim, heads, size, bias=False):
        super().__init__()
        self.heads, self.size = heads, size
        self.q, self.k, self.v = (nn.Linear(dim, heads * size, bias=bias) for _ in "qkv")

    def forward(self, x, mask=None):
        q, k, v = (layer(x).view(len(x), self.heads, self.size).transpose(0, 1) for layer in (self.q, self.k, self.v))
        scores = q @ k.transpose(1, 2) / math.sqrt(self.size)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -math.inf)
        return (torch.softmax(scores, -1) @ v).transpose(0, 1).reshape(len(x), -1)


class View(nn.Module):
    def __init__(self, config, words, form):
        super().__init__()
        self.config, self.form = config, config.get("form", form)
        kind = config["kind"]
        if kind == "text":
            bias = config.get("bias", True)
            if self.form == "self_attention":
                self.self_attention = SelfAttention(words, config["heads"], config["head_size"], config.get("qkv_bias", False))
                dim = config["heads"] * config["head_size"]
            else:
                self.conv = nn.ModuleList(nn.Conv1d(words, config["filters"], width, bias=bias) for width in config["widths"])
                dim = config["filters"] * len(config["widths"])
            if self.form != "cnn_max":
                self.pool = Pool(dim, config["attention_size"], epsilon=config.get("epsilon", 0.0))
        elif kind == "category":
            dim = config["size"]
            self.embedding = nn.Embedding(len(config["values"]) + 1, dim)
        else:
            dim = config["size"]
            if config.get("learned_missing"):
                self.missing = nn.Parameter(torch.randn(dim))
        if "dense" in config:
            self.dense = nn.Linear(dim, config["dense"])
            dim = config["dense"]
        self.dim = dim

    def forward(self, value, table):
        if self.config["kind"] == "category":
            values = self.config["values"]
            x = self.embedding.weight[1 + values.index(value) if value in values else 0]
        elif self.config["kind"] == "vector":
            missing = getattr(self, "missing", None)
            x = value if value is not None else torch.zeros(self.config["size"], dtype=table.dtype) if missing is None else missing
        else:
            x = self.text(value or [], table)
        return ACTIVATIONS[self.config["activation"]](self.dense(x)) if hasattr(self, "dense") else x

    def text(self, ids, table):
        ids = list(ids)[:self.config["max_length"]]
        length = len(ids)
        ids += [self.config.get("padding_id", 0)] * (self.config.get("pad_to", 0) - length)
        if not ids:
            return torch.zeros(self.pool.keys.in_features if hasattr(self, "pool") else
                               sum(conv.out_channels for conv in self.conv), dtype=table.dtype)
        x = table[torch.tensor(ids)]
        mask = (torch.arange(len(ids)) < length).to(table.dtype) if self.config.get("mask_padding") else None
        if self.form == "self_attention":
            if mask is not None and length == 0:
                return torch.zeros(self.pool.keys.in_features, dtype=table.dtype)
            return self.pool(self.self_attention(x, mask), mask=mask)
        outputs = []
        for conv, padding in zip(self.conv, self.config["padding"]):
            padded = F.pad(x.t()[None], padding)
            outputs.append(torch.relu(conv(padded))[0].t() if padded.shape[2] >= conv.kernel_size[0]
                           else x.new_zeros(0, conv.out_channels))
        if self.form == "cnn_max":
            return torch.cat([each.max(0).values if len(each) else each.new_zeros(each.shape[1]) for each in outputs])
        return self.pool(outputs[0], mask=mask)


GATES = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid_keras2": lambda x: torch.clamp(0.2 * x + 0.5, 0, 1),
    "hard_sigmoid_keras3": F.hardsigmoid,
}


class KerasGru(nn.Module):
    """Keras's GRU in its own layout: kernel [in, 3H], recurrent_kernel [H, 3H], gates z, r, h; bias [3H] or [2, 3H]."""

    def __init__(self, into, hidden, reset_after=True, bias=True, gates="sigmoid"):
        super().__init__()
        self.reset_after, self.gate = reset_after, GATES[gates]
        self.kernel = nn.Parameter(torch.randn(into, 3 * hidden) / math.sqrt(into))
        self.recurrent_kernel = nn.Parameter(torch.randn(hidden, 3 * hidden) / math.sqrt(hidden))
        if bias:
            self.bias = nn.Parameter(torch.randn(*([2] if reset_after else []), 3 * hidden) * 0.3)

    def step(self, x, h):
        bias = getattr(self, "bias", None)
        first = 0 if bias is None else bias[0] if self.reset_after else bias
        second = bias[1] if bias is not None and self.reset_after else 0
        xz, xr, xh = (x @ self.kernel + first).chunk(3)
        if self.reset_after:
            hz, hr, hh = (h @ self.recurrent_kernel + second).chunk(3)
            z, r = self.gate(xz + hz), self.gate(xr + hr)
            n = torch.tanh(xh + r * hh)
        else:
            uz, ur, uh = self.recurrent_kernel.chunk(3, 1)
            z, r = self.gate(xz + h @ uz), self.gate(xr + h @ ur)
            n = torch.tanh(xh + (r * h) @ uh)
        return z * h + (1 - z) * n


class UserTower(nn.Module):
    """config: ranklet.json's "user"."""

    def __init__(self, config, model, dim):
        super().__init__()
        self.config, self.model, self.dim = config, model, dim
        hidden = config.get("hidden", dim)
        width = dim
        if model in ("lstur", "narm"):
            if config.get("gru", "torch") == "torch":
                self.gru = nn.GRU(dim, hidden)
            else:
                self.gru = KerasGru(dim, hidden, config["gru"] == "keras_reset_after",
                                    gates=config.get("recurrent_activation", "sigmoid"))
            width = hidden
        self.hidden = hidden if hasattr(self, "gru") else 0
        self.memory = {"lstur": "none", "narm": "states"}.get(model, "events")
        if model == "nrms":
            self.self_attention = SelfAttention(dim, config["heads"], config["head_size"])
            width = config["heads"] * config["head_size"]
        if self.memory != "none":
            self.pool = Pool(width, config.get("attention_size", 0), query=hidden if model == "narm" else width * (config.get("pool", {}).get("form") == "bilinear"), bias=model != "narm",
                             **config.get("pool", {}))
        self.parts = {"lstur": ["state", "user"] if config.get("mode") == "con" else ["state"], "narm": ["state", "pooled"]}.get(
            model, ["pooled"])
        if "users" in config:
            self.embedding = nn.Embedding(len(config["users"]), config["user_size"])
        if config.get("learned_padding"):
            self.padding = nn.Parameter(torch.zeros(dim))
        if config.get("project"):
            size = {"state": hidden, "pooled": width, "user": config.get("user_size", 0)}
            self.project = nn.Linear(sum(size[part] for part in self.parts), dim, bias=False)

    def forward(self, events, user=None, padding=None):
        """events: item vectors [n, dim]; padding: the vector of the item that fills histories up; -> the user's vector
        [dim]."""
        kind = events.dtype
        users = self.config.get("users", [])
        own = None
        if "users" in self.config:
            own = self.embedding.weight[users.index(user)] if user in users else torch.zeros(self.config["user_size"], dtype=kind)
        state, states = torch.zeros(self.hidden, dtype=kind), []
        if self.hidden:
            if self.config.get("mode") == "ini":
                state = own
            for x in events:
                if self.config.get("skip_zero") and not x.any():
                    continue
                state = (self.gru.step(x, state) if isinstance(self.gru, KerasGru)
                         else self.gru(x[None, None], state[None, None])[1][0, 0])
                states.append(state)
        found = {"state": state, "user": own}
        if self.memory != "none":
            rows = events if self.memory == "events" else states
            rows = rows[-self.config["max_events"]:]
            missing = [padding] * (self.config.get("pad_to", 0) - len(rows))
            rows = missing + list(rows) if self.config.get("pad_side", "front") == "front" else list(rows) + missing
            rows = torch.stack(rows) if rows else torch.zeros(0, self.dim if self.memory == "events" else self.hidden, dtype=kind)
            if hasattr(self, "self_attention"):
                rows = self.self_attention(rows) if len(rows) else torch.zeros(0, self.self_attention.v.out_features, dtype=kind)
            found["pooled"] = self.pool(rows, state if self.hidden else rows[-1] if len(rows) else None)
        vector = torch.cat([found[part] for part in self.parts])
        return self.project(vector) if hasattr(self, "project") else vector


class NewsRecommender(nn.Module):
    """config: ranklet.json's content as a dict, with "values" of categories and "users" as lists."""

    def __init__(self, config, vocabulary):
        super().__init__()
        self.config, model = config, config["model"]
        self.words = nn.Embedding(vocabulary, config["word_size"])
        self.views = nn.ModuleDict({name: View({"padding_id": config.get("padding_id", 0), **view}, config["word_size"], FORMS[model])
                                    for name, view in config["views"].items()})
        dims = [view.dim for view in self.views.values()]
        self.how = config.get("join", "attention" if model == "naml" else "concatenate")
        dim = sum(dims)
        self.join = nn.ModuleDict()
        if self.how == "attention":
            dim = dims[0]
            self.join["pool"] = Pool(dim, config["join_attention_size"])
        if self.how == "gated":
            dim = config["join_size"]
            self.join["value"] = nn.ModuleDict({name: nn.Linear(view.dim, dim) for name, view in self.views.items()})
            self.join["gate"] = nn.ModuleDict({name: nn.Linear(sum(dims), dim) for name in self.views})
        if "project" in config:
            self.project = nn.Linear(dim, config["project"])
            dim = config["project"]
        self.dim = dim
        self.user = UserTower(config["user"], model, dim)

    def item(self, views):
        """views: by name a list of word ids, a category's name, a vector, or None -> [dim]."""
        parts = {name: view(views.get(name), self.words.weight) for name, view in self.views.items()}
        if self.how == "attention":
            vector = self.join["pool"](torch.stack(list(parts.values())))
        else:
            vector = torch.cat(list(parts.values()))
            if self.how == "gated":
                vector = sum(torch.sigmoid(self.join["gate"][name](vector)) * torch.tanh(self.join["value"][name](part))
                             for name, part in parts.items())
        return self.project(vector) if hasattr(self, "project") else vector

    def score(self, items, history, user=None):
        """Logits of all `items` (dicts of views) after the events `history` (indices into them)."""
        vectors = torch.stack([self.item(views) for views in items])
        padding = self.user.padding if hasattr(self.user, "padding") else self.item({})
        return vectors @ self.user(vectors[list(history)], user, padding)
