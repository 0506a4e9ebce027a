"""What recommenders with a GRU share: torch.nn.GRU's parameters, how an event's rating enters, the state in numpy.

In: a StateDict and what ranklet.json states of ratings. Out: keys `ranklet.gru.*`, `ranklet.rating.*` and their tensors.
Names: torch.nn.GRU's parameters under any prefix; the other tensors are listed in README.md.
"""
import re

import numpy as np

from .errors import ConversionError
from .numpy_reference import GATES, Reference

GRU_START = re.compile(r"(?:^|\.)weight_ih_l0$")
LOOKED_FOR = "a GRU (weight_ih_l0)"


def find(state, names):
    """The one tensor whose name is, or ends with a dot and, one of `names`; None if there is none."""
    found = [each for each in state.names() if any(each == name or each.endswith("." + name) for name in names)]
    found = [each for each in found if each not in state.used]
    if len(found) > 1:
        raise ConversionError(f"{state.path}: {' and '.join(found)}: which of them is meant cannot be told")
    return found[0] if found else None


def has_gru(state):
    return any(GRU_START.search(name) for name in state.names())


def add_form(model, reset, gates):
    """What the key `ranklet.gru.reset` says: on which side of its product the reset gate acts, "after" as PyTorch or
    "before", and how the gates are made where that is not the logistic sigmoid (settings.GATE_ACTIVATIONS). One key for both:
    a reader that does not know a value of it refuses the file."""
    if reset != "after" or gates != "sigmoid":
        model.key("ranklet.gru.reset", reset if gates == "sigmoid" else f"{reset}+{gates}", "string")


def add_gru(model, state, settings):
    """torch.nn.GRU's parameters, and what `settings` state of its gates; -> (input size, hidden size, a few words of
    summary)."""
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
    add_form(model, "after", settings.gates)
    for n in range(layers):
        width = into if n == 0 else hidden
        model.matrix(f"ranklet.gru.{n}.weight_ih", state.take(f"{prefix}weight_ih_l{n}", [3 * hidden, width]))
        model.matrix(f"ranklet.gru.{n}.weight_hh", state.take(f"{prefix}weight_hh_l{n}", [3 * hidden, hidden]))
        for bias in ("bias_ih", "bias_hh"):
            if f"{prefix}{bias}_l{n}" in state:
                model.exact(f"ranklet.gru.{n}.{bias}", state.take(f"{prefix}{bias}_l{n}", [3 * hidden]))
    gates = "" if settings.gates == "sigmoid" else f", gates {settings.gates}"
    return into, hidden, f"GRU {into} -> {hidden}, {layers} layer{'s' * (layers > 1)}{gates}"


def add_linear(model, state, ours, name, shape):
    """`name` is the weight's; a bias beside it is taken too."""
    model.matrix(f"{ours}.weight", state.take(name, shape))
    bias = name[:-len("weight")] + "bias"
    if bias in state:
        model.exact(f"{ours}.bias", state.take(bias, shape[:1]))


def add_rating(model, state, settings, into):
    """The part that ratings play, as settings state it; into: the GRU's input size."""
    rating = settings.rating
    name = find(state, ["rating.weight"])
    where = settings.path or "ranklet.json (which is missing)"
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


def selftest_ratings(metadata, count):
    """Ratings of `count` events, None for a model that has none."""
    mode = metadata.get("ranklet.rating.mode", "none")
    if mode == "none":
        return None
    values = metadata["ranklet.rating.values"] if mode == "embedding" else [5.0, 1.0, 3.5, 4.0, 2.0]
    return [float(np.float32(values[(n * 2 + 1) % len(values)])) for n in range(count)]


class GruReference(Reference):
    """torch.nn.GRU and what is made of its state ("Scoring" in docs/model-file.md)."""

    def new_state(self):
        return np.zeros((self.metadata["ranklet.gru.layer_count"], self.metadata["ranklet.gru.hidden_size"]), self.kind)

    def form(self):
        """("after" or "before", the function that makes the gates)"""
        reset, _, gates = self.metadata.get("ranklet.gru.reset", "after").partition("+")
        return reset, GATES[gates or "sigmoid"]

    def gru(self, steps, state):
        """steps [n, input], state [layers, hidden] -> the state after them (torch.nn.GRU, gates r, z, n)."""
        state, (_, gate) = state.copy(), self.form()
        for n in range(len(state)):
            prefix = f"ranklet.gru.{n}."
            inputs = self.map(prefix + "weight_ih", prefix + "bias_ih", True)(steps)
            from_state = self.map(prefix + "weight_hh", prefix + "bias_hh", True)
            h, outputs = state[n], []
            for x in inputs:
                xr, xz, xn = np.split(x, 3)
                hr, hz, hn = np.split(from_state(h), 3)
                z = gate(xz + hz)
                h = (1 - z) * np.tanh(xn + gate(xr + hr) * hn) + z * h
                outputs.append(h)
            state[n], steps = h, np.stack(outputs)
        return state

    def rate(self, steps, rating):
        """The rating of an event put into what the GRU reads of it."""
        mode = self.metadata.get("ranklet.rating.mode", "none")
        if rating is None or mode == "none":
            return steps
        if mode == "weight":
            return steps * self.kind(rating * self.metadata["ranklet.rating.scale"])
        values = self.metadata["ranklet.rating.values"]
        nearest = min(range(len(values)), key=lambda i: (abs(values[i] - rating), i))
        return steps + self.tensor("ranklet.rating.weight", np.array([nearest]))[0]

    def after(self, events, history, ratings=None):
        """The state after a history. events: of each item what the GRU reads of it, [steps, input]; history: indices into it."""
        state = self.new_state()
        for index, rating in zip(history, ratings if ratings is not None else [None] * len(history)):
            state = self.gru(self.rate(events[index], rating), state)
        return state

    def user_vector(self, state):
        """dot_product: what the items' vectors are multiplied with."""
        user = state[-1]
        return user if self.tensor("ranklet.user_proj.weight") is None else self.linear(user, "ranklet.user_proj")
