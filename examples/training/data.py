"""The demo shop as training sees it: texts as token ids in several views, sessions as lists of events.

In: the tables and sessions of make_demo_data.py. Out: Texts (what an event may read as) and Session lists.
"""
import csv
import random
from dataclasses import dataclass

from . import make_demo_data, vocabulary

FULL_VARIANTS, TITLE_VARIANTS = 2, 4


@dataclass
class Event:
    text: int      # index into Texts: an item's, or a query's after the items
    rating: int    # 1 to 5; 0: none


@dataclass
class Session:
    language: str
    events: list


def item_text(title, description):
    """An item's text, as examples/data/README.md defines it."""
    return title + " " + description


class Texts:
    """Token ids of every item (by catalog index) and of every query (after the items)."""

    def __init__(self, catalog, shop, queries, vocabulary_size, max_length):
        self.items = [dict(row, kind=row["id"].split("-")[1]) for row in catalog]
        self.index = {row["id"]: i for i, row in enumerate(self.items)}
        self.new = [row["new"] == "1" for row in self.items]
        self.shop = shop
        known = [row for row in self.items if row["new"] == "0"]  # a new item's words are not looked at
        kind_queries = {text for kind in shop.kinds.values() for side in kind.queries for text in side}
        corpus = [text for row in known for text in (row["title"], row["description"], row["category"])]
        self.tokens = vocabulary.train(corpus + sorted(kind_queries), vocabulary_size)
        self.tokenizer = vocabulary.Tokenizer(self.tokens, max_length)
        self.queries = sorted(queries | kind_queries)
        for number, text in enumerate(self.queries):
            self.index["query:" + text] = len(self.items) + number
        encode, rng = self.tokenizer.encode, random.Random(1)
        self.titles = [encode(row["title"]) for row in self.items]
        self.fulls = [encode(item_text(row["title"], row["description"])) for row in self.items]
        self.query_ids = [encode(text) for text in self.queries]
        spelled = lambda text, n: [encode(text, rng) for _ in range(n)]
        self.title_variants = [spelled(row["title"], TITLE_VARIANTS) if row["new"] == "0" else [] for row in self.items]
        self.full_variants = [spelled(item_text(row["title"], row["description"]), FULL_VARIANTS)
                              if row["new"] == "0" else [] for row in self.items]
        self.kind_query_ids = {kind.name: [[self.index["query:" + q] for q in side] for side in kind.queries]
                               for kind in shop.kinds.values()}

    def exact(self, text, full=True):
        """Token ids as the library will see them."""
        if text >= len(self.items):
            return self.query_ids[text - len(self.items)]
        return (self.fulls if full else self.titles)[text]

    def candidate_view(self, item, rng, full_share=0.35):
        """Token ids of an item as a candidate in training: title or full text, now and then spelt in small pieces."""
        if rng.random() < full_share:
            return self.fulls[item] if rng.random() < 0.5 else rng.choice(self.full_variants[item])
        return self.titles[item] if rng.random() < 0.5 else rng.choice(self.title_variants[item])

    def history_view(self, text, rng, full_share=0.35):
        """Token ids of an event in training: also some words of the title, as a person might type them."""
        if text >= len(self.items):
            return self.query_ids[text - len(self.items)]
        if rng.random() < 0.08:
            ids = self.titles[text][1:-1]
            start = rng.randrange(len(ids))
            return [vocabulary.CLS, *ids[start:start + rng.randint(2, 6)], vocabulary.SEP]
        return self.candidate_view(text, rng, full_share)

    def as_query(self, text, rng, own_language=0.75):
        """In place of an item: a query for its kind, mostly in its own language."""
        row = self.items[text]
        side = make_demo_data.LANGUAGES.index(row["language"])
        if rng.random() > own_language:
            side = 1 - side
        return rng.choice(self.kind_query_ids[row["kind"]][side])


def read_table(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def load(catalog_path, vocabulary_size, max_length):
    """(Texts, training sessions, test sessions)"""
    catalog, shop = read_table(catalog_path), make_demo_data.read_shop()
    items = make_demo_data.make_catalog(shop)
    if [item.id for item in items] != [row["id"] for row in catalog]:
        raise SystemExit(f"{catalog_path} is not what make_demo_data makes; run it again")
    raw = list(make_demo_data.make_sessions(shop, items))
    queries = {value for _, split, _, events in raw for value, mark in events if mark == "query"}
    texts = Texts(catalog, shop, queries, vocabulary_size, max_length)
    splits = {"train": [], "test": []}
    for _, split, language, events in raw:
        splits[split].append(Session(language, [
            Event(texts.index["query:" + value], 0) if mark == "query" else Event(texts.index[value], mark or 0)
            for value, mark in events]))
    return texts, splits["train"], splits["test"]
