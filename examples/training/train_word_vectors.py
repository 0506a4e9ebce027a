#!/usr/bin/env python3
"""Word vectors from a shop's own texts: counts, PPMI and a truncated SVD (Levy, Goldberg, Dagan 2015). numpy alone.

    python3 -m examples.training.train_word_vectors [--catalog FILE.tsv] [--out FILE.txt] [--dim N]

In: a catalog (language, category, title, description; the demo shop's by default). Out: a word2vec text file for
weights_converter, and how good its neighbours are. A few seconds; no random numbers: the result
depends on the texts alone.

Words: English ones as they stand, lower-cased. Chinese has no spaces, so its words are found first: strings of 2 to 4
characters that are frequent and whose halves are seen together far more often than chance (pointwise mutual information),
beside all single characters; texts are then cut by longest match, as the library will cut them.
"""
import argparse
import csv
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from weights_converter.wordpiece import is_chinese
from weights_converter.words import Words, lower, units_of

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MIN_COUNT = 2  # of a word in all texts
MIN_CHINESE, MIN_PMI, LONGEST = 4, 4.0, 4  # of a Chinese word: occurrences, pointwise mutual information (nats), characters
SMOOTHING, EIGENVALUES = 0.75, 0.5  # of context counts; power of the singular values (Levy et al.'s cds and eig)
SIF = 1e-3


def read_catalog(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [f"{row['title']} {row['description']}" for row in rows], [f"{row['language']} {row['category']}" for row in rows]


def chinese_runs(text):
    run = ""
    for char in text + " ":
        if is_chinese(char):
            run += char
        elif run:
            yield run
            run = ""


def find_chinese_words(texts):
    """Strings of characters that belong together."""
    counts, total = Counter(), 0
    for text in texts:
        for run in chinese_runs(text):
            total += len(run)
            counts.update(run[i:i + n] for n in range(1, LONGEST + 1) for i in range(len(run) - n + 1))
    words = []
    for word, count in counts.items():
        if len(word) == 1:
            words.append(word)
        elif count >= MIN_CHINESE:
            # The weakest joint decides: a string is a word when no way to cut it explains it.
            chance = max(counts[word[:i]] * counts[word[i:]] / total for i in range(1, len(word)))
            if math.log(count / chance) >= MIN_PMI:
                words.append(word)
    return words


def build_vocabulary(texts):
    """Words by falling frequency, then by spelling."""
    counts = Counter(lower(unit) for text in texts for kind, unit in units_of(text) if kind == "word")
    known = [word for word, count in counts.items() if count >= MIN_COUNT] + find_chinese_words(texts)
    cutter = Words(known, True, "skip")
    used = Counter(i for text in texts for i in cutter.encode(text))
    words = [(-used[i], word) for i, word in enumerate(known) if used[i] >= MIN_COUNT or len(word) == 1 and used[i]]
    return [word for _, word in sorted(words)]


def vectors(texts, words, dim):
    """[words, dim]: PPMI of words in the same text, its truncated SVD."""
    cutter = Words(words, True, "skip")
    presence = np.zeros((len(texts), len(words)))
    for row, text in zip(presence, texts):
        for i in cutter.encode(text):
            row[i] += 1
    together = presence.T @ presence
    together -= np.diag(presence.sum(0))  # a word is no context of itself at the same place
    contexts = together.sum(0) ** SMOOTHING
    expected = np.outer(together.sum(1), contexts / contexts.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        ppmi = np.maximum(np.log(together / expected), 0)
    ppmi[~np.isfinite(ppmi)] = 0
    u, s, _ = np.linalg.svd(ppmi, full_matrices=False)
    u, s = u[:, :dim], s[:dim]
    u *= np.where(u[np.abs(u).argmax(0), np.arange(dim)] < 0, -1, 1)  # the sign of a singular vector is anybody's choice
    return (u * s ** EIGENVALUES).astype(np.float32)


def text_vectors(texts, words, table, sif):
    cutter = Words(words, True, "skip")
    ids = [cutter.encode(text) for text in texts]
    weights = np.ones(len(words))
    if sif:
        counts = np.bincount([i for each in ids for i in each], minlength=len(words))
        weights = SIF / (SIF + counts / counts.sum())
    found = np.stack([(weights[each, None] * table[each]).mean(0) for each in ids])
    if sif:
        common = np.linalg.svd(found, full_matrices=False)[2][0]
        found -= np.outer(found @ common, common)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def precision(found, groups):
    """Of each item's nearest, as many as there are others of its language and category: the share that are of it."""
    scores = found @ found.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1, kind="stable")
    groups, sizes = np.array(groups), Counter(groups)
    shares = [(groups[row[:sizes[group] - 1]] == group).mean() for row, group in zip(nearest, groups) if sizes[group] > 1]
    return float(np.mean(shares))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--catalog", default=REPOSITORY / "examples/data/catalog.tsv", type=Path)
    parser.add_argument("--out", default=REPOSITORY / "build/training/shop-words.txt", type=Path)
    parser.add_argument("--dim", default=64, type=int)
    given = parser.parse_args()
    texts, groups = read_catalog(given.catalog)
    words = build_vocabulary(texts)
    table = vectors(texts, words, given.dim)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with open(given.out, "w", encoding="utf-8") as file:
        file.write(f"{len(words)} {given.dim}\n")
        for word, row in zip(words, table):
            file.write(f"{word} {' '.join(f'{x:.6g}' for x in row)}\n")
    chance = sum(count * (count - 1) for count in Counter(groups).values()) / (len(groups) * (len(groups) - 1))
    print(f"{given.out}: {len(words)} words from {len(texts)} texts, {given.dim} wide")
    print("share of an item's nearest that are of its category: "
          f"mean {precision(text_vectors(texts, words, table, False), groups):.3f}, "
          f"SIF {precision(text_vectors(texts, words, table, True), groups):.3f}, chance {chance:.3f}")


if __name__ == "__main__":
    sys.exit(main())
