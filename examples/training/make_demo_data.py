#!/usr/bin/env python3
"""Makes the demo shop: a bilingual catalog, shoppers to replay, and simulated sessions to train on.

    python3 -m examples.training.make_demo_data [--out examples/data] [--sessions FILE]

In: shop.txt beside this file (hand-written word lists). Out: catalog.tsv and shoppers.tsv in --out; with --sessions
also the sessions for training and testing (large, made anew when needed, the same bytes every time).
Standard library only, fixed seed.
"""
import argparse
import random
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
LANGUAGES = ("en", "zh")
SEED = 20260101
TRAIN_SESSIONS, TEST_SESSIONS = 24000, 2400

# What interests one person tends to come from one of these circles.
CIRCLES = (("phones", "power", "audio", "cameras", "computers", "gaming"), ("coffee", "tea", "kitchen"),
           ("outdoor", "running", "cycling", "fitness"), ("books", "toys", "pets"),
           ("home", "beauty", "music", "garden"))


# ---------------------------------------------------------------- the word lists

@dataclass
class Brand:
    names: tuple  # by language
    tier: int     # 0 cheap, 1 middle, 2 dear
    models: list = field(default_factory=list)  # (name, tier)


@dataclass
class Kind:
    name: str
    domain: str
    categories: tuple
    price: float
    queries: tuple = ((), ())
    titles: list = field(default_factory=list)
    sentences: list = field(default_factory=list)


@dataclass
class Shop:
    brands: dict = field(default_factory=dict)  # domain -> [Brand]
    kinds: dict = field(default_factory=dict)   # name -> Kind
    paths: list = field(default_factory=list)   # [[kind name]]


def read_shop(path=HERE / "shop.txt"):
    shop, kind = Shop(), None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        parts = [part.strip() for part in rest.split("|")]
        if word == "brand":
            domain, _, name = parts[0].partition(" ")
            shop.brands.setdefault(domain, []).append(Brand((name.strip(), parts[1]), int(parts[2])))
        elif word == "model":
            owner = next(b for brands in shop.brands.values() for b in brands if b.names[0] == parts[0])
            owner.models.append((parts[1], int(parts[2])))
        elif word == "kind":
            name, domain = parts[0].split()[:2]
            category = parts[1]
            kind = shop.kinds[name] = Kind(name, domain, (category, parts[2]), float(parts[3]))
        elif word == "query":
            kind.queries = tuple(tuple(q.strip() for q in part.split(";")) for part in parts)
        elif word == "+":
            kind.titles.append(tuple(parts))
        elif word == "-":
            kind.sentences.append(tuple(parts))
        elif word == "path":
            shop.paths.append(rest.split())
        else:
            raise SystemExit(f"{path.name}:{number}: what is {word!r}?")
    for path_ in shop.paths:
        for name in path_:
            if name not in shop.kinds:
                raise SystemExit(f"{path.name}: the path {path_} names no kind {name!r}")
    return shop


# ---------------------------------------------------------------- the catalog

@dataclass
class Item:
    id: str
    language: str
    kind: Kind
    brand: Brand
    model: str  # of the phone that it is or is made for, or ""
    tier: int
    title: str
    description: str
    price: float
    new: bool = False   # no training session has met it
    liking: float = 0.0  # how well it sells among its like

    @property
    def currency(self):
        return "USD" if self.language == "en" else "CNY"


def make_catalog(shop):
    """Every product in both languages; ids are LANGUAGE-KIND-NUMBER."""
    rng, items = random.Random(SEED), []
    for kind in shop.kinds.values():
        brands = shop.brands[kind.domain]
        listings = []  # (brand, model, tier, title pair)
        jitter = {}    # a brand's models keep their order of price
        for index, titles in enumerate(kind.titles):
            if "{model}" in titles[0]:
                listings += [(brand, model, tier, titles) for brand in brands for model, tier in brand.models]
            elif "{brand}" in titles[0]:
                listings += [(brand, "", brand.tier, titles) for brand in brands]
            else:
                brand = brands[index % len(brands)]
                listings.append((brand, "", brand.tier, ("{brand} " + titles[0], "{brand} " + titles[1])))
        listings.sort(key=lambda listing: (listing[0].tier, listing[1]))
        for number, (brand, model, tier, titles) in enumerate(listings, 1):
            count = min(2, len(kind.sentences))
            first = rng.randrange(len(kind.sentences))
            chosen = [kind.sentences[(first + i) % len(kind.sentences)] for i in range(count)]
            variant = 1.0 + 0.08 * kind.titles.index(titles) if titles in kind.titles else 1.0
            factor = jitter.setdefault(brand.names[0] if model else number, rng.uniform(0.88, 1.12))
            dollars = kind.price * (0.6, 1.0, 1.7)[tier] * factor * variant
            for side, language in enumerate(LANGUAGES):
                title = titles[side].format(brand=brand.names[side], model=model)
                description = (" " if language == "en" else "").join(pair[side] for pair in chosen)
                price = int(dollars) + 0.99 if language == "en" else float(max(int(dollars * 6.5), 9))
                items.append(Item(f"{language}-{kind.name}-{number}", language, kind, brand, model, tier, title,
                                  description, price, liking=rng.gauss(0, 0.5)))
    for item in items:  # a kind keeps at least two items of a language that training may see
        like = [i for i in items if i.kind is item.kind and i.language == item.language and not i.new]
        item.new = len(like) > 2 and rng.random() < 0.12
    return items


# ---------------------------------------------------------------- shoppers

class Shopper:
    """One person's taste: language, budget, favourite brands; walks along the shop's paths."""

    def __init__(self, rng, shop, index, with_new):
        self.rng, self.shop, self.index, self.with_new = rng, shop, index, with_new
        self.language = rng.choice(LANGUAGES)
        self.mixing = 0.3 if rng.random() < 0.05 else 0.0  # a few people read both languages
        self.tier = rng.choice((0, 1, 1, 2))
        self.circle = rng.choice(CIRCLES)
        self.favourites, self.model, self.events = {}, "", []
        self.seen, self.shunned = set(), set()

    def side(self):
        return LANGUAGES.index(self.language)

    def pick(self, kind):
        """The item of a kind that this person meets next, or None when nothing is left."""
        language = self.language
        if self.mixing and self.rng.random() < self.mixing:
            language = LANGUAGES[1 - self.side()]
        items = [i for i in self.index[kind.name, language] if i.id not in self.seen and (self.with_new or not i.new)]
        if not items:
            return None
        weights = []
        for item in items:
            like = item.liking - 1.0 * abs(item.tier - self.tier)
            favourite = self.favourites.get(kind.domain)
            if favourite:
                like += 2.5 if favourite is item.brand else 0.0
            if self.model and item.model and kind.name != "phone":
                like += 6.0 if item.model == self.model else 0.0
            weights.append(2.718281828 ** like)
        item = self.rng.choices(items, weights)[0]
        self.favourites[kind.domain] = item.brand
        if item.model:
            self.model = item.model
        return item

    def query(self, kind):
        """What this person types: words for the kind, often with a brand or a model before them."""
        words = self.rng.choice(kind.queries[self.side()])
        chance, gap = self.rng.random(), " " if self.side() == 0 else ""
        brand = self.favourites.get(kind.domain)
        if chance < 0.15 and self.model and kind.name in ("phone_case", "screen_protector"):
            words = self.model + " " + words
        elif chance < 0.3:
            brand = brand or self.rng.choice(self.shop.brands[kind.domain])
            words = brand.names[self.side()] + gap + words
            self.favourites[kind.domain] = brand
        return words.lower() if self.side() == 0 else words

    def meet(self, kind):
        """One event: appended. Returns False when it puts the person off this kind and this plan."""
        item = self.pick(kind)
        if item is None:
            return True
        self.seen.add(item.id)
        rating = None
        if self.rng.random() < 0.3:
            rating = self.rng.choices((1, 2, 3, 4, 5), (10, 10, 15, 35, 30))[0]
        self.events.append((item.id, rating))
        if rating is not None and (rating <= 2 or (rating == 3 and self.rng.random() < 0.5)):
            self.shunned.add(kind.domain)
            return False
        return True

    def plan(self):
        """A path whose kinds the person has not turned away from; mostly of the own circle."""
        paths = [p for p in self.shop.paths if not any(self.shop.kinds[k].domain in self.shunned for k in p)]
        own = [p for p in paths if self.shop.kinds[p[0]].domain in self.circle]
        return self.rng.choice(own if own and self.rng.random() < 0.75 else paths)

    def walk(self, length):
        while len(self.events) < length:
            path = self.plan()
            start = self.rng.randrange(len(path) - 1) if self.rng.random() < 0.25 else 0
            for step, name in enumerate(path[start:]):
                kind = self.shop.kinds[name]
                if step and self.rng.random() < 0.15:
                    continue
                if self.rng.random() < (0.35 if step == 0 else 0.12):
                    self.events.append((self.query(kind), "query"))
                looks = self.rng.choices((1, 2, 3), (50, 35, 15))[0] if step == 0 else 1
                if not all(self.meet(kind) for _ in range(looks)):
                    break
                if len(self.events) >= length:
                    break
        return self.events


def make_sessions(shop, items):
    """Yields (number, split, language, events); an event is (item id, rating or None) or (text, "query")."""
    index = {}
    for item in items:
        index.setdefault((item.kind.name, item.language), []).append(item)
    rng = random.Random(SEED + 1)
    for number in range(TRAIN_SESSIONS + TEST_SESSIONS):
        split = "train" if number < TRAIN_SESSIONS else "test"
        shopper = Shopper(rng, shop, index, with_new=split == "test")
        yield number, split, shopper.language, shopper.walk(rng.randint(3, 10))


def event_text(event):
    value, mark = event
    if mark == "query":
        return "query:" + value
    return "item:" + value + ("" if mark is None else f"={mark}")


# ---------------------------------------------------------------- shoppers to replay

# (name, what they are about, events). Events: text in quotes is a query; else language-kind-"words of the title".
REPLAYS = (
    ("Mia", "wants a new phone and what goes with it", "en",
     (("?", "phone with a good camera"), ("phone", "Orvik N7 Smartphone, 128", 5))),
    ("小林", "在找手机", "zh", (("?", "手机"), ("phone", "奥维克 N7 智能手机 128GB", 5))),
    ("Jonas", "sets up a coffee corner", "en",
     (("espresso", "Milk Frother", 5), ("beans", "Colombia", None))),
    ("Ada", "goes camping for the first time; did not like the tent", "en",
     (("?", "camping"), ("tent", "Two-Person", 1))),
    ("王芳", "准备周末露营", "zh", (("tent", "双人露营", 5), ("sleeping_bag", "三季", None))),
    ("Leo", "runs, and listens to music", "en",
     (("running_shoes", "Everyday", 4), ("running_socks", "Merino", None), ("?", "wireless earphones"))),
    ("陈老师", "爱喝茶，也给孩子买书", "zh",
     (("tea", "乌龙", 5), ("teapot", "紫砂", 5), ("picture_book", "月亮", None))),
)


def replay_rows(items):
    for name, about, language, events in REPLAYS:
        for kind, words, *rating in events:
            if kind == "?":
                yield name, about, language, "query", words, ""
                continue
            found = [i for i in items if i.kind.name == kind and i.language == language and words in i.title]
            if not found:
                raise SystemExit(f"no {language} {kind} has {words!r} in its title")
            yield name, about, language, "item", found[0].id, str(rating[0] or "")


# ---------------------------------------------------------------- files

def write_table(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in (header, *rows):
            if any("\t" in cell or "\n" in cell for cell in row):
                raise SystemExit(f"{path.name}: a cell holds a tab or a line break: {row}")
            file.write("\t".join(row) + "\n")


def write_sessions(path, shop, items):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for number, split, language, events in make_sessions(shop, items):
            file.write("\t".join([str(number), split, language, *map(event_text, events)]) + "\n")


def main():
    parser = argparse.ArgumentParser(description="Makes the demo shop's catalog, replays and (optionally) sessions.")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "examples" / "data", help="folder for the tables")
    parser.add_argument("--sessions", type=Path, help="also write the training and test sessions to this file")
    arguments = parser.parse_args()
    shop = read_shop()
    items = make_catalog(shop)
    write_table(arguments.out / "catalog.tsv",
                ("id", "language", "category", "title", "description", "price", "currency", "new"),
                ((i.id, i.language, i.kind.categories[LANGUAGES.index(i.language)], i.title, i.description,
                  f"{i.price:.2f}", i.currency, str(int(i.new))) for i in items))
    write_table(arguments.out / "shoppers.tsv", ("shopper", "about", "language", "event", "value", "rating"),
                replay_rows(items))
    print(f"{len(items)} items, {sum(i.new for i in items)} of them new")
    if arguments.sessions:
        write_sessions(arguments.sessions, shop, items)


if __name__ == "__main__":
    main()
