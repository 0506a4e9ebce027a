"""What people type in the demo shop and which titles answer it: pairs to train and test a cross-encoder on.

In: shop.txt, through make_demo_data. Out: Query values (words, what they ask for) and, of a query and an item, the
relevance: 1 all that was asked for, OTHER the right kind of thing but another brand, model or property, 0 anything else.
The last of three or more wordings for a kind, and the catalog's new items, are for the test alone. Standard library only.
"""
import random
import re
from dataclasses import dataclass

from . import make_demo_data
from .shop_language import invented_brand

OTHER = 0.25
SMALL_WORDS = set("with for and of a the in on to by two 2 4 6 set pair pack".split())


@dataclass(frozen=True)
class Query:
    text: str
    side: int     # language
    kind: str
    asked: tuple  # what else the title has to have: brand, model, a property


class Shop:
    """The catalog by kind and language, and what its titles can be asked for."""

    def __init__(self):
        self.shop = make_demo_data.read_shop()
        self.items = make_demo_data.make_catalog(self.shop)
        self.of_kind, self.properties = {}, {}
        for item in self.items:
            self.of_kind.setdefault((item.kind.name, item.language), []).append(item)
        for key, items in self.of_kind.items():
            found = set().union(*map(properties_of, items))
            self.properties[key] = sorted(p for p in found if sum(has(i.title, p) for i in items) < len(items))

        self.held_out = {words for kind in self.shop.kinds.values() for side in (0, 1)
                         for words in self.wordings(kind, side, True)}

    def wordings(self, kind, side, new):
        words = kind.queries[side]
        if len(words) < 3:
            return () if new else words
        return words[-1:] if new else words[:-1]

    def query(self, rng, new_wording=False):
        while True:
            kind, side = rng.choice(list(self.shop.kinds.values())), rng.randrange(2)
            words = self.wordings(kind, side, new_wording)
            if not words:
                continue
            items, gap = self.of_kind[kind.name, make_demo_data.LANGUAGES[side]], " " if side == 0 else ""
            text, asked, chance = rng.choice(words), [], rng.random()
            target = rng.choice(items)
            own = [p for p in self.properties[kind.name, target.language] if has(target.title, p) and p not in text.lower()]
            if own and (chance < 0.3 or chance > 0.9):
                asked.append(rng.choice(own))
                text = asked[0] + gap + text
            if chance > 0.45:
                brand = target.brand.names[side]
                asked.append(brand)
                if target.model and rng.random() < 0.7:
                    asked.append(target.model)
                    brand = (brand + " " if rng.random() < 0.6 else "") + target.model
                last = rng.random() < 0.25
                text = (f"{text} from {brand}" if side == 0 else f"{brand}的{text}") if last else f"{brand}{gap}{text}"
            return Query(text.lower() if side == 0 and rng.random() < 0.8 else text, side, kind.name, tuple(asked))

    def relevance(self, query, item):
        if item.kind.name != query.kind or item.language != make_demo_data.LANGUAGES[query.side]:
            return 0.0
        return 1.0 if all(has(item.title, part) for part in query.asked) else OTHER


def has(title, part):
    """Whether a title has this brand, model or property, as words of its own in English ("N7" is not "N7 Pro")."""
    place = re.search(rf"(?<![a-z0-9]){re.escape(part.lower())}(?![a-z0-9])" if part.isascii() else re.escape(part), title.lower())
    return place is not None and not re.match(r" (pro|plus|max)\b", title.lower()[place.end():])


def properties_of(item):
    title = item.title.replace(item.brand.names[make_demo_data.LANGUAGES.index(item.language)], " ")
    if item.model:
        title = title.replace(item.model, " ")
    if item.language == "en":
        return {w for w in re.findall(r"[a-z0-9-]+", title.lower()) if w not in SMALL_WORDS and (len(w) > 2 or w.isdigit())}
    parts = [p for p in title.split() if not p.isascii() or len(p) > 2]
    return {p[:2] if len(p) > 5 else p for p in parts}


def groups(count, seed):
    """(query, [(title, relevance)]): for every query titles that answer it wholly, in part, hardly and not at all. Of some
    the brand is replaced on both sides by one that nobody has, so that brands are compared and not learned by heart."""
    rng, shop, out = random.Random(seed), Shop(), []
    known = [item for item in shop.items if not item.new]
    while len(out) < count:
        query = shop.query(rng)
        if query.text.lower() in shop.held_out:  # a property and a wording may make another wording
            continue
        language = make_demo_data.LANGUAGES[query.side]
        own = [i for i in shop.of_kind[query.kind, language] if not i.new]
        near = [i for i in known if i.language == language and i.kind.domain == shop.shop.kinds[query.kind].domain]
        whole = [i for i in own if shop.relevance(query, i) == 1.0]
        part = [i for i in own if shop.relevance(query, i) == OTHER]
        chosen = [rng.choice(some) for some in (whole, part, part, near, known) if some]
        swap = {b.names[query.side]: invented_brand(rng, query.side)
                for b in shop.shop.brands[shop.shop.kinds[query.kind].domain]} if rng.random() < 0.4 else {}
        titles = []
        for item in chosen:
            title = item.title
            for old, new in swap.items():
                title = title.replace(old, new)
            titles.append((title, shop.relevance(query, item)))
        text = query.text
        for old, new in swap.items():
            text = re.sub(re.escape(old), new.lower() if text.islower() else new, text, flags=re.IGNORECASE)
        out.append((text, titles))
    return out


def test_queries(count, seed, new_wording=False):
    """Different queries that some item answers wholly."""
    rng, shop, found = random.Random(seed), Shop(), {}
    while len(found) < count:
        query = shop.query(rng, new_wording)
        if any(shop.relevance(query, item) == 1.0 for item in shop.items):
            found[query] = None
    return list(found)
