"""The forward pass of news models in numpy: what a model file's self-test expects.

In: a model's metadata and tensors (as docs/model-file.md names them), the views of items. Out: vectors, logits.
Written from the model file's side, apart from reference/news.py; for clearness and double precision, not speed.
"""
import numpy as np

from ..numpy_reference import ACTIVATIONS, attention, sigmoid
from ..recurrent import GruReference


class NewsReference(GruReference):
    def pool(self, prefix, x, query=None, mask=None):
        """Attention over rows of x [n, dim]; no row that counts: zero."""
        form, n = self.metadata[f"{prefix}.form"], len(x)
        mask = np.ones(n, bool) if mask is None else mask
        if not mask.any():
            return np.zeros(x.shape[1], self.kind)
        if form == "additive":
            inner = self.linear(x, f"{prefix}.keys")
            if self.tensor(f"{prefix}.query.weight") is not None:
                inner = inner + self.linear(query, f"{prefix}.query")
            scores = ACTIVATIONS[self.metadata[f"{prefix}.activation"]](inner) @ self.tensor(f"{prefix}.v")
        else:
            scores = x @ (query if form == "dot" else self.linear(query, f"{prefix}.query"))
        if not self.metadata[f"{prefix}.softmax"]:
            weights = scores * mask
        else:
            e = np.exp(scores) * mask
            weights = e / (e.sum() + self.kind(np.float32(self.metadata[f"{prefix}.epsilon"])))
        return (weights.astype(self.kind)) @ x

    def heads(self, prefix, x):
        q, k, v = (self.linear(x, f"{prefix}.{name}") for name in "qkv")
        return attention(q, k, v, self.metadata[f"{prefix}.heads"]) if len(x) else v

    def text(self, prefix, ids):
        meta = self.metadata
        form = meta[f"{prefix}.form"]
        ids = list(ids)[:meta[f"{prefix}.max_length"]]
        length = len(ids)
        ids += [meta["ranklet.words.padding_id"]] * (meta[f"{prefix}.pad_to"] - length)
        x = self.tensor("ranklet.words.weight", np.array(ids, np.int64)) if ids else np.zeros((0, self.words()), self.kind)
        mask = np.arange(len(ids)) < length if meta[f"{prefix}.mask_padding"] else None
        if form == "self_attention":
            states = self.heads(f"{prefix}.self_attention", x[:length] if mask is not None else x)
            return self.pool(f"{prefix}.pool", states)
        if not ids:
            return np.zeros(sum(len(self.tensor(f"{prefix}.conv.{i}.weight"))
                                for i in range(len(meta[f"{prefix}.conv.widths"]))), self.kind)
        outputs = []
        for i, width in enumerate(meta[f"{prefix}.conv.widths"]):
            left, right = meta[f"{prefix}.conv.padding"][2 * i:2 * i + 2]
            padded = np.pad(x, ((left, right), (0, 0)))
            windows = [padded[t:t + width].reshape(-1) for t in range(len(padded) - width + 1)]
            size = len(self.tensor(f"{prefix}.conv.{i}.weight"))
            outputs.append(np.maximum(self.linear(np.stack(windows), f"{prefix}.conv.{i}"), 0) if windows
                           else np.zeros((0, size), self.kind))
        if form == "cnn_max":
            return np.concatenate([each.max(0) if len(each) else np.zeros(each.shape[1], self.kind) for each in outputs])
        return self.pool(f"{prefix}.pool", outputs[0], mask=mask)

    def words(self):
        return self.source("ranklet.words.weight", np.array([0])).shape[1]

    def view(self, name, value):
        prefix, meta = f"ranklet.news.{name}", self.metadata
        kind = meta[f"{prefix}.kind"]
        if kind == "text":
            x = self.text(prefix, value or [])
        elif kind == "category":
            values = meta[f"{prefix}.values"]
            x = self.tensor(f"{prefix}.embd.weight", np.array([1 + values.index(value) if value in values else 0]))[0]
        else:
            missing = self.tensor(f"{prefix}.missing")
            missing = np.zeros(meta[f"{prefix}.size"], self.kind) if missing is None else missing
            x = missing if value is None else np.asarray(value, self.kind)
        if self.tensor(f"{prefix}.dense.weight") is not None:
            x = ACTIVATIONS[meta[f"{prefix}.dense.activation"]](self.linear(x, f"{prefix}.dense"))
        return x

    def item(self, views):
        """views: by name a list of word ids, a category's name, a vector or None."""
        parts = [self.view(name, views.get(name)) for name in self.metadata["ranklet.news.views"]]
        join = self.metadata["ranklet.news.join"]
        if join == "attention":
            x = self.pool("ranklet.news.join.pool", np.stack(parts))
        else:
            x = np.concatenate(parts)
            if join == "gated":
                x = sum(sigmoid(self.linear(x, f"ranklet.news.join.{name}.gate")) *
                        np.tanh(self.linear(part, f"ranklet.news.join.{name}.value"))
                        for name, part in zip(self.metadata["ranklet.news.views"], parts))
        return self.linear(x, "ranklet.news.proj") if self.tensor("ranklet.news.proj.weight") is not None else x

    def step(self, x, state):
        reset, gate = self.form()
        if reset == "after":
            return self.gru(x[None], state)
        w, u, b = (self.tensor(f"ranklet.gru.0.{name}") for name in ("weight_ih", "weight_hh", "bias_ih"))
        xr, xz, xn = np.split(w @ x + (0 if b is None else b), 3)
        ur, uz, un = np.split(u, 3)
        h = state[0]
        r, z = gate(xr + ur @ h), gate(xz + uz @ h)
        return (z * h + (1 - z) * np.tanh(xn + un @ (r * h)))[None].astype(self.kind)

    def user(self, events, user=None):
        """Vectors of the events -> the user's vector."""
        meta = self.metadata
        own = None
        if "ranklet.user.ids" in meta:
            ids = meta["ranklet.user.ids"]
            size = self.source("ranklet.user.embd.weight", np.array([0])).shape[1]
            own = self.tensor("ranklet.user.embd.weight", np.array([ids.index(user)]))[0] if user in ids else np.zeros(size, self.kind)
        state, states = None, []
        if "ranklet.gru.input_size" in meta:
            state = self.new_state()
            if meta.get("ranklet.user.initial"):
                state = own.reshape(state.shape)
            for x in events:
                if meta.get("ranklet.gru.skip_zero") and not x.any():
                    continue
                state = self.step(x, state)
                states.append(state[-1])
        found = {"state": None if state is None else state[-1], "user": own}
        memory = meta["ranklet.user.memory"]
        if memory != "none":
            rows = (states if memory == "states" else list(events))[-meta["ranklet.user.max_events"]:]
            width = meta["ranklet.gru.hidden_size"] if memory == "states" else events.shape[1]
            if memory == "padded_events":
                padding = [self.tensor("ranklet.user.padding")] * (meta["ranklet.user.pad_to"] - len(rows))
                rows = padding + rows if meta["ranklet.user.pad_side"] == "front" else rows + padding
            rows = np.stack(rows) if rows else np.zeros((0, width), self.kind)
            if "ranklet.user.self_attention.heads" in meta:
                rows = self.heads("ranklet.user.self_attention", rows)
            query = found["state"] if state is not None else rows[-1] if len(rows) else None
            found["pooled"] = self.pool("ranklet.user.pool", rows, query)
        x = np.concatenate([found[part] for part in meta["ranklet.user.parts"]])
        return self.linear(x, "ranklet.user_proj") if self.tensor("ranklet.user_proj.weight") is not None else x
