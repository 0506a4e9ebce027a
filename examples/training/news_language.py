"""News made by a grammar: titles of a few sections, and readers who like some of them more than others.

In: a seed. Out: items (title, category, subcategory) and readers (id, what they read in order). Nothing of it is real;
it is for the example and its recipe (train_news.py), where what a model should learn is known.
"""
import random

SECTIONS = {
    "sports": {
        "football": ["{team} beat {team} in the {cup} final", "striker signs for {team}", "{team} coach happy after late goal",
                     "injury worry for {team} before the {cup}"],
        "tennis": ["young player reaches {open} final", "champion out of {open} after long match", "{open} begins in the rain"],
    },
    "finance": {
        "markets": ["shares {move} as banks report", "oil prices {move} again", "investors wait as the dollar may {move}"],
        "economy": ["central bank keeps rates unchanged", "inflation may {move} this year", "jobs report surprises investors"],
    },
    "weather": {
        "storms": ["storm hits the {coast} coast", "heavy rain floods {coast} towns", "wind warning for the {coast} coast"],
        "climate": ["warmest year on record", "glaciers melt faster than expected", "drought continues in the {coast}"],
    },
    "technology": {
        "phones": ["new phone has a better camera", "phone maker cuts prices", "battery of the new phone lasts two days"],
        "science": ["telescope finds a distant planet", "researchers grow plants on the moon", "robot learns to walk"],
    },
}
FILL = {"team": ["united", "city", "rovers", "athletic"], "cup": ["cup", "league"], "open": ["summer open", "winter open"],
        "move": ["rise", "fall"], "coast": ["north", "south", "west"]}


def title_of(draw, pattern):
    while "{" in pattern:
        name = pattern[pattern.index("{") + 1:pattern.index("}")]
        pattern = pattern.replace("{" + name + "}", draw.choice(FILL[name]), 1)
    return pattern


def all_titles(seed=1):
    """Distinct items: (title, category, subcategory), a few from every pattern."""
    draw, items = random.Random(seed), {}
    for section, kinds in SECTIONS.items():
        for kind, patterns in kinds.items():
            for pattern in patterns:
                for _ in range(6 if "{" in pattern else 1):
                    items.setdefault(title_of(draw, pattern), (section, kind))
    return [(title, *of) for title, of in items.items()]


def vocabulary():
    """Every word of the grammar, row 0 without a word."""
    words = {word for title, _, _ in all_titles() for word in title.split()}
    words |= {word for values in FILL.values() for value in values for word in value.split()}
    return [""] + sorted(words)


def readers(items, count, length, seed=2):
    """(id, indices read): a reader has one section that they come back to and one that holds them for the day."""
    draw, sections = random.Random(seed), list(SECTIONS)
    by_section = {section: [i for i, item in enumerate(items) if item[1] == section] for section in sections}
    result = []
    for n in range(count):
        usual = sections[n % len(sections)]
        today = draw.choice([section for section in sections if section != usual])
        read = [draw.choice(by_section[today if draw.random() < 0.5 else usual]) for _ in range(length)]
        result.append((f"reader-{usual}-{n // len(sections)}", read))
    return result


def image_of(draw, section):
    """Eight numbers as an image model might give for a picture of this section: two high ones of its own, and noise."""
    place = 2 * list(SECTIONS).index(section)
    return [draw.gauss(1.0 if i in (place, place + 1) else 0.0, 0.35) for i in range(8)]
