"""Runs the encoder over many texts of unlike length, and lays sessions out as tensors.

In: lists of token ids; sessions. Out: token states or vectors in the order given; padded index tensors with masks.
"""
import torch

from .vocabulary import PAD


def padded(ids):
    """Lists of token ids -> (tensor [texts, longest], mask of real tokens)."""
    longest = max(map(len, ids))
    tensor = torch.tensor([row + [PAD] * (longest - len(row)) for row in ids])
    lengths = torch.tensor([len(row) for row in ids])
    return tensor, torch.arange(longest) < lengths[:, None]


def encode(encoder, ids, chunk=96):
    """Vectors [texts, dim]; texts of like length run together, so that little is computed on padding."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    parts = [encoder(*padded([ids[i] for i in order[start:start + chunk]])) for start in range(0, len(order), chunk)]
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(parts)[back]


def shuffled(sessions, size, rng):
    """Endless batches; every session once an epoch."""
    while True:
        order = list(range(len(sessions)))
        rng.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            yield [sessions[i] for i in order[start:start + size]]


def learning_rate(step, steps, peak, warmup=40):
    """Linear warm-up, then a cosine down to a twentieth."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.05 + 0.95 * 0.5 * (1 + float(torch.cos(torch.tensor(progress * 3.141592653589793)))))
