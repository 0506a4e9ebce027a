"""Learned items: an embedding an item, a GRU over the items met, a score for every item. No text is read.

In: the weights; items.tsv with ids and titles. Out: the keys `ranklet.items.*`, `ranklet.gru.*`, their tensors and
`ranklet.item_embd.weight`, `ranklet.item_out.weight`, `ranklet.item_bias`.
Names: README.md lists those that are looked for, with any prefix.
"""
import os

import numpy as np

from ..checkpoint import read_lines
from ..errors import ConversionError
from ..options import SCORING, Option
from ..recurrent import LOOKED_FOR, GruReference, add_gru, add_linear, add_rating, find, has_gru, selftest_ratings
from ..selftest import SelfTest
from ..settings import padding_row

TABLES = ("item_embeddings.weight", "item_embedding.weight", "item_emb.weight", "emb.weight", "embedding.weight")
OUTPUTS = ("s_fc", "fc", "out", "output")
SELFTEST_EVENTS = 8

MODELS = {"gru4rec": "a GRU over learned items"}
ITEMS = Option("--items", "learned item embeddings", dict(
    metavar="FILE.tsv", help="ids and titles, an item a line, separated by a tab (default: items.tsv beside the weights, if it "
    "is there)"))
PADDING_ROW = Option("--padding-row", "learned item embeddings", dict(
    metavar="ROW|none", help="the row of the item embeddings that stands for no item, counted from 0; none: every row is an "
    "item"), lambda text: padding_row(int(text) if text.isdecimal() else text, "--padding-row"))
OPTIONS = (SCORING, ITEMS, PADDING_ROW)


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
    settings.refuse(("pooling", "normalize", "max_length", "prompts", "default_prompt"), "learned items have no text")
    items = _ItemList(path) if path else None
    count, gru = _add_weights(model, source, _stated_padding(settings, options), items)
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


def _add_weights(model, source, stated, items):
    """Item embeddings, GRU, scores of all items as a Linear (or the embeddings themselves); -> (how many items, a few words
    of the GRU). stated: the padding row that somebody stated; items: an _ItemList or None."""
    state, note = source.state, source.note
    into, hidden, summary = add_gru(model, state, source.settings)
    model.key("ranklet.encoder.type", "items", "string")
    model.key("ranklet.recommender.scoring", "dot_product", "string")
    table = find(state, TABLES)
    if table is None:
        raise ConversionError(f"{state.path}: no item embeddings; looked for {', '.join(TABLES)} with any prefix")
    embeddings = state.take(table, [None, into])
    output = find(state, [f"{name}.weight" for name in OUTPUTS])
    if output is None:
        outputs, dim = len(embeddings), into
        note(f"no Linear over the items ({', '.join(OUTPUTS)}): the item embeddings themselves are the output")
    else:
        outputs, dim = state.array(output).shape[0], None
    projection = find(state, ["user_proj.weight", "dense.weight"])
    if projection is None:
        if dim not in (None, hidden):
            raise ConversionError(f"{state.path}: the GRU's hidden size {hidden} differs from the item embeddings' {dim}")
        dim = hidden
    else:
        dim = dim if dim else state.array(output).shape[-1]
        add_linear(model, state, "ranklet.user_proj", projection, [dim, hidden])
    rows = _item_rows(source, table, embeddings, output, outputs, stated, items)
    # where the outputs are the items alone, they have lost the padding already
    scored = rows if outputs == len(embeddings) else slice(None)
    model.matrix("ranklet.item_embd.weight", embeddings[rows])
    if output is not None:
        model.matrix("ranklet.item_out.weight", state.take(output, [outputs, dim])[scored])
        bias = output[:-len("weight")] + "bias"
        if bias in state:
            model.exact("ranklet.item_bias", state.take(bias, [outputs])[scored])
    _add_ids(model, items, rows, len(embeddings))
    add_rating(model, state, source.settings, into)
    return len(rows), summary


# ---- which rows are items


def _stated_padding(settings, options):
    """The padding row that somebody stated: a number, "none", or None where nobody did."""
    if None not in (settings.padding_row, options.padding_row) and settings.padding_row != options.padding_row:
        raise ConversionError(f"{settings.path}: padding_row is {settings.padding_row}, the command line says "
                              f"{options.padding_row}")
    return settings.padding_row if options.padding_row is None else options.padding_row


def _item_rows(source, table, embeddings, output, outputs, stated, items):
    """The embeddings' rows that are items, in order; the others are padding, of which the person who converts is told.

    What trained checkpoints have in a row that stands for no item differs (zeros, or what the table was initialised
    with), so it is known by what is stated, by zeros, or by the layout's names. Fewer outputs than rows tell how many rows
    are padding, not whether they stand in front or at the end: a wrong guess would shift every item by one.
    """
    state, rows = source.state, len(embeddings)
    extra = rows - outputs  # so many rows no output scores: padding, however they look
    if extra < 0:
        raise ConversionError(f"{state.path}: {table} has {rows} rows, {output} scores {outputs} items")
    zero = [row for row in dict.fromkeys((0, rows - 1)) if not embeddings[row].any()]
    how = f"{table} has {rows} rows" + (f", {output} scores {outputs} items" if extra else "")
    if stated == "none":
        if extra:
            raise ConversionError(f"{state.path}: {how}: --padding-row none cannot be")
        return np.arange(rows)
    if stated is not None:
        if stated >= rows or extra > 1:
            raise ConversionError(f"{state.path}: {how}: row {stated} cannot be the padding row")
        padding, why = [stated], "as stated"
    elif len(zero) > 1 and rows > 1 and extra < 2:
        raise ConversionError(f"{state.path}: the first and the last row of {table} are zero; which of them is padding must be "
                              "stated: --padding-row ROW, or --padding-row none")
    elif extra > 1 and 0 in zero:
        raise ConversionError(f"{state.path}: {how} and its first row is zero: where the items begin cannot be told")
    elif zero and extra < 2:
        padding, why = zero, "it is zero"
    elif extra and not embeddings[outputs:].any():
        padding, why = list(range(outputs, rows)), "they are zero"
    elif extra == 1 and _pads_at_the_end(state, table, output):
        padding, why = [outputs], "beyond the items"
    elif extra == 1:
        raise ConversionError(f"{state.path}: {how}; which row is padding is not stated: --padding-row 0 where it is the first "
                              f"(padding_idx=0), --padding-row {outputs} where it is the last")
    elif extra:
        raise ConversionError(f"{state.path}: {how} and its last {extra} rows are not zero: where the items begin cannot be told")
    elif output is not None:
        return np.arange(rows)
    elif _is_recbole(state, table):
        padding, why = [0], "[PAD] in RecBole's GRU4Rec"
    elif items is not None and len(items.ids) == rows:
        return np.arange(rows)
    else:
        raise ConversionError(f"{state.path}: whether a row of {table} is padding and no item is not stated: --padding-row 0 "
                              "where it is the first (padding_idx=0), --padding-row none where every row is an item")
    if len(padding) == rows:
        raise ConversionError(f"{state.path}: {how}: there is no item beside the padding")
    named = f"row {padding[0]}" if len(padding) == 1 else f"rows {padding[0]} to {padding[-1]}"
    source.note(f"{how}: {named} {'is' if len(padding) == 1 else 'are'} padding ({why}) and dropped")
    return np.delete(np.arange(rows), padding)


def _is_recbole(state, table):
    """RecBole's GRU4Rec: item_embedding, gru_layers and dense; row 0 is padding, and keeps its initial numbers."""
    prefix = table[:-len("item_embedding.weight")]
    return table == f"{prefix}item_embedding.weight" and all(
        f"{prefix}{name}" in state for name in ("gru_layers.weight_ih_l0", "dense.weight", "dense.bias"))


def _pads_at_the_end(state, table, output):
    """The common PyTorch form of GRU4Rec: item_embeddings with a row more than there are items, gru, and s_fc or fc. Short
    histories are filled with the number of items, the last row, which keeps its initial numbers."""
    prefix = table[:-len("item_embeddings.weight")]
    return (table == f"{prefix}item_embeddings.weight" and f"{prefix}gru.weight_ih_l0" in state
            and output in (f"{prefix}s_fc.weight", f"{prefix}fc.weight"))


# ---- the items' names


class _ItemList:
    """What items.tsv says: line n is item n, its id, then a tab and its title (may be left out)."""

    def __init__(self, path):
        self.path, self.ids, self.titles = path, [], []
        seen = set()
        for number, (item, title) in enumerate(read_lines(path, fields=2), 1):
            if not item or item in seen or "\r" in item:
                what = "empty" if not item else "repeated" if item in seen else "one with a carriage return inside"
                raise ConversionError(f"{path}, line {number}: id {item!r} is {what}")
            seen.add(item)
            self.ids.append(item)
            self.titles.append(title)


def _add_ids(model, items, rows, all_rows):
    """Ids and titles of the items; without a list of them the rows' numbers, which the library counts by itself from 0.

    A list has a line an item, or a line for each of all rows, those of padding included.
    """
    if items is None:
        if rows[-1] >= len(rows):
            model.key("ranklet.items.ids", [str(row) for row in rows], "[string]")
        return
    if len(items.ids) not in (len(rows), all_rows):
        without = "" if len(rows) == all_rows else f" (and {all_rows} rows, padding included)"
        raise ConversionError(f"{items.path}: {len(items.ids)} lines, the model has {len(rows)} items{without}; --padding-row says "
                              "which row of the item embeddings is none")
    lines = rows if len(items.ids) == all_rows else range(len(rows))
    model.key("ranklet.items.ids", [items.ids[line] for line in lines], "[string]")
    if any(items.titles[line] for line in lines):
        model.key("ranklet.items.texts", [items.titles[line] for line in lines], "[string]")
