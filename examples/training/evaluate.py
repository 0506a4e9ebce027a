"""Held-out measures of a next-item recommender, beside baselines that look at no text.

In: a scorer (logits of all items after every event), training and test sessions. Out: a dict of numbers.
HR@10: share of the next items that are among the ten best; NDCG@10: 1 / log2(rank + 1) of those, averaged (Jarvelin and
Kekalainen 2002, with one relevant item). Every item of the catalog is a candidate but those that the shopper has met.
"""
import collections
import random

import torch

TOP = 10


class Tally:
    def __init__(self):
        self.count, self.hits, self.gain = 0, 0, 0.0

    def add(self, ranks):
        """Ranks from 1."""
        good = ranks[ranks <= TOP].double()
        self.count += len(ranks)
        self.hits += len(good)
        self.gain += float((1.0 / torch.log2(good + 1.0)).sum())

    def numbers(self):
        return {"hr@10": round(self.hits / max(1, self.count), 4), "ndcg@10": round(self.gain / max(1, self.count), 4),
                "cases": self.count}


def ranks_of(scores, met, target):
    """Rank of each row's target among the items not met; equal scores: the earlier item first."""
    scores = scores.masked_fill(met, -float("inf"))
    own = scores.gather(1, target[:, None])
    earlier = (scores == own) & (torch.arange(scores.shape[1]) < target[:, None])
    return 1 + (scores > own).sum(1) + earlier.sum(1)


def cases(logits, text, target, items):
    """Flattens [batch, events, items] to the rows that have a target; with what had been met by then."""
    met = torch.zeros(logits.shape[0], logits.shape[1], items + 1, dtype=torch.bool)
    for e in range(text.shape[1]):
        if e:
            met[:, e] = met[:, e - 1]
        met[torch.arange(len(text)), e, text[:, e].clamp(max=items)] = True
    wanted = target >= 0
    return logits[wanted], met[..., :items][wanted], target[wanted], text[wanted]


def baselines(texts, training):
    """Scorers of one row: popularity, what followed the last item most often, and chance."""
    n = len(texts.items)
    popularity, follows = torch.zeros(n), torch.zeros(n, n)
    by_language = {}
    for session in training:
        last = None
        for event in session.events:
            if event.text < n:
                popularity[event.text] += 1
                if last is not None:
                    follows[last, event.text] += 1
                last = event.text
    for language in ("en", "zh"):
        speaks = torch.tensor([row["language"] == language for row in texts.items])
        by_language[language] = popularity + speaks * 1e6
    return popularity, by_language, follows


def report(scorer, texts, training, test, size=200):
    n, rng = len(texts.items), torch.Generator().manual_seed(0)
    popularity, by_language, follows = baselines(texts, training)
    new = torch.tensor(texts.new)
    tallies = collections.defaultdict(Tally)
    loss, loss_count, speaks = 0.0, 0, collections.Counter()
    languages = [row["language"] for row in texts.items]
    for start in range(0, len(test), size):
        part = test[start:start + size]
        everything, text, target = scorer.logits(part)
        logits, met, wanted, last = cases(everything, text, target, n)
        rows = {"model": logits, "popularity": popularity.expand(len(wanted), n),
                "popularity in the shopper's language": torch.stack(
                    [by_language[s.language] for s, t in zip(part, target) for _ in range(int((t >= 0).sum()))]),
                "what followed the last item": torch.stack(
                    [follows[i] * 1e6 + popularity if i < n else popularity for i in last.tolist()]),
                "random": torch.rand(len(wanted), n, generator=rng)}
        for name, scores in rows.items():
            ranks = ranks_of(scores, met, wanted)
            tallies[name].add(ranks)
            tallies[name + ", new items"].add(ranks[new[wanted]])
            if name == "model":
                tallies["model, items of training"].add(ranks[~new[wanted]])
                tallies["model, right after a query"].add(ranks[last >= n])
        probabilities = logits.masked_fill(met, -float("inf")).softmax(1)
        loss -= float(probabilities.gather(1, wanted[:, None]).clamp(min=1e-12).log().sum())
        loss_count += len(wanted)
        best = probabilities.max(1)
        tallies["top"].count += len(wanted)
        tallies["top"].gain += float(best.values.sum())
        tallies["top"].hits += int((best.indices == wanted).sum())
        ten = logits.masked_fill(met, -float("inf")).topk(TOP).indices
        own = [s.language for s, t in zip(part, target) for _ in range(int((t >= 0).sum()))]
        speaks["right"] += sum(languages[i] == l for row, l in zip(ten.tolist(), own) for i in row)
        speaks["all"] += TOP * len(own)
    top = tallies.pop("top")
    return {"held-out": {name: tally.numbers() for name, tally in tallies.items()},
            "cross-entropy": round(loss / loss_count, 4),
            "calibration": {"mean probability of the best item": round(top.gain / top.count, 4),
                            "how often it was right": round(top.hits / top.count, 4)},
            "top ten in the shopper's language": round(speaks["right"] / speaks["all"], 4)}
