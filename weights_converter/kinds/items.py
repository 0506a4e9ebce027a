"""Learned items: an embedding an item, a GRU over the items met, a score for every item. No text is read.

In: the weights; items.tsv with ids and titles. Out: the keys `ranklet.items.*`, `ranklet.gru.*`, their tensors and
`ranklet.item_embd.weight`, `ranklet.item_out.weight`, `ranklet.item_bias`.
Names: README.md lists those that are looked for, with any prefix.
"""
import os

from ..checkpoint import read_text
from ..errors import ConversionError
from ..options import SCORING, Option
from ..recurrent import LOOKED_FOR, GruReference, add_gru, add_linear, add_rating, find, has_gru, selftest_ratings
from ..selftest import SelfTest

TABLES = ("item_embeddings.weight", "item_embedding.weight", "item_emb.weight", "emb.weight", "embedding.weight")
OUTPUTS = ("s_fc", "fc", "out", "output")
SELFTEST_EVENTS = 8

MODELS = {"gru4rec": "a GRU over learned items"}
ITEMS = Option("--items", "learned item embeddings", dict(
    metavar="FILE.tsv", help="ids and titles, an item a line, separated by a tab (default: items.tsv beside the weights, if it "
    "is there)"))
OPTIONS = (SCORING, ITEMS)


def matches(source):
    """A GRU that no encoder of texts feeds; the kinds with one are asked before."""
    return has_gru(source.state)


def looked_for(source):
    return LOOKED_FOR


def refusal(source, option):
    return f"{source.state.path}: has no text encoder, so {option.flag} means nothing"


def write(model, source, options):
    """-> (lines of the summary, SelfTest)"""
    settings = source.settings
    scoring = options.scoring or settings.scoring
    if scoring not in (None, "dot_product"):
        raise ConversionError(f"{source.state.path}: scoring {scoring} needs a text encoder; learned items have dot_product")
    path = options.items
    if path is None:
        beside = os.path.join(os.path.dirname(source.weights) or ".", "items.tsv")
        if os.path.isfile(beside):
            path = beside
            source.note(f"item ids and titles from {path}")
    model.key("general.name", options.name or settings.name or source.name, "string")
    count, gru = _add_weights(model, source)
    if path:
        _add_items(model, path, count)
    source.state.refuse_rest(source.note)
    lines = [f"  architecture  {count} learned items",
             f"  decoder       {gru}, scoring dot_product, ratings {settings.rating.mode}"]
    return lines, _selftest(model, count)


def _selftest(model, count):
    history = [(n * 7919 + 3) % count for n in range(SELFTEST_EVENTS)]
    ratings = selftest_ratings(model.metadata(), len(history))
    test = SelfTest(Reference, lambda reference: {"scores": reference.scores(reference.item_events(), history, ratings)})
    test.history(history, ratings, count)
    return test


class Reference(GruReference):
    def item_events(self):
        """What the GRU reads of every item, [items, 1, input]."""
        return self.tensor("ranklet.item_embd.weight")[:, None, :]

    def scores(self, events, history, ratings=None):
        """Logits [items] after a history of indices into events."""
        user = self.user_vector(self.after(events, history, ratings))
        output, bias = self.tensor("ranklet.item_out.weight"), self.tensor("ranklet.item_bias")
        scores = (self.tensor("ranklet.item_embd.weight") if output is None else output) @ user
        return scores if bias is None else scores + bias


def _add_weights(model, source):
    """Item embeddings, GRU, scores of all items as a Linear (or the embeddings themselves); -> (how many items, a few words
    of the GRU)."""
    state, note = source.state, source.note
    into, hidden, summary = add_gru(model, state)
    model.key("ranklet.encoder.type", "items", "string")
    model.key("ranklet.recommender.scoring", "dot_product", "string")
    table = find(state, TABLES)
    if table is None:
        raise ConversionError(f"{state.path}: no item embeddings; looked for {', '.join(TABLES)} with any prefix")
    embeddings = state.take(table, [None, into])
    output = find(state, [f"{name}.weight" for name in OUTPUTS])
    if output is None:
        count, dim = embeddings.shape[0], into
        note(f"no Linear over the items ({', '.join(OUTPUTS)}): the item embeddings themselves are the output")
    else:
        count, dim = state.array(output).shape[0], None
    projection = find(state, ["user_proj.weight", "dense.weight"])
    if projection is None:
        if dim not in (None, hidden):
            raise ConversionError(f"{state.path}: the GRU's hidden size {hidden} differs from the item embeddings' {dim}")
        dim = hidden
    else:
        dim = dim if dim else state.array(output).shape[-1]
        add_linear(model, state, "ranklet.user_proj", projection, [dim, hidden])
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
    add_rating(model, state, source.settings, into)
    return count, summary


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
