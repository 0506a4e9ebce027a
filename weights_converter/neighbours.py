"""How much of a model's answers another one keeps: cosines of the vectors, and the nearest texts of each text.

In: vectors [texts, dim] of the same texts by both. Out: Kept.
"""
from typing import NamedTuple

import numpy as np

BLOCK = 512  # texts that are compared with all others at a time


class Kept(NamedTuple):
    mean: float  # cosine of a text's two vectors
    worst: float
    kept: float  # of the nearest texts by the one, the share that is among the nearest by the other


def _unit(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def nearest(vectors, count, of):
    """Of each of the texts `of`, the `count` others with the largest cosine: [texts, count], each row sorted by index.

    vectors [n, dim] of length 1."""
    rows = []
    for first in range(0, len(of), BLOCK):
        queries = of[first:first + BLOCK]
        cosines = vectors[queries] @ vectors.T
        cosines[np.arange(len(queries)), queries] = -np.inf  # itself
        rows.append(np.sort(np.argpartition(-cosines, count - 1, axis=1)[:, :count], axis=1))
    return np.concatenate(rows)


def compare(exact, other, count=10, of=None):
    """-> Kept. of: indices of the texts whose neighbours, among all, are compared; None: all. At least two texts."""
    exact, other = _unit(exact.astype(np.float32)), _unit(other.astype(np.float32))
    of = np.arange(len(exact)) if of is None else np.asarray(of)
    count = min(count, len(exact) - 1)
    cosines = np.sum(exact[of] * other[of], axis=1)
    same = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in
            zip(nearest(exact, count, of), nearest(other, count, of))]
    return Kept(float(cosines.mean()), float(cosines.min()), sum(same) / (count * len(same)))
