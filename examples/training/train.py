#!/usr/bin/env python3
"""Trains the demo's recommender: a small BERT, a GRU over events, dot-product scores over the catalog.

    python3 -m examples.training.train [--out FOLDER] [--steps N]

In: the demo shop (examples/data and the simulated sessions). Out: a checkpoint folder for weights_converter, with
metrics.json. The loss is the cross-entropy of the next item among all items not met yet, so that a softmax over the
candidates is a calibrated probability. One thread, fixed seeds; about a quarter of an hour on one core.
"""
import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from weights_converter.reference.recommender import RecommendationModel

from . import batches, data, evaluate, vocabulary

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RATINGS = [1.0, 2.0, 3.0, 4.0, 5.0]
MAX_LENGTH, VOCABULARY = 64, 3000
CONFIG = dict(
    architectures=["BertModel"], model_type="bert", hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
    intermediate_size=384, max_position_embeddings=MAX_LENGTH, type_vocab_size=2, hidden_act="gelu",
    layer_norm_eps=1e-12, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.04,
    pad_token_id=0, position_embedding_type="absolute")
GRU_HIDDEN, LOGIT_SCALE, SEED = 160, 12.0, 7


def make_model(vocabulary_size):
    model = RecommendationModel(dict(CONFIG, vocab_size=vocabulary_size), "dot_product", GRU_HIDDEN, normalize=True,
                                user_proj=True, rating_values=RATINGS)
    dim = CONFIG["hidden_size"]
    with torch.no_grad():  # a vector of length 1 has small elements: the GRU's input weights make up for it
        model.decoder.gru.weight_ih_l0.mul_(dim**0.5 / 2)
        model.user_proj.weight.mul_(0.5)
        model.rating.weight.normal_(std=0.02)
    return model


def user_vectors(model, events, ratings, scale=1.0):
    """Event vectors [batch, events, dim], ratings [batch, events] (0: none) -> user vectors after every event."""
    table = torch.cat([model.rating.weight.new_zeros(1, events.shape[2]), model.rating.weight])
    states, _ = model.decoder.gru(events + F.embedding(ratings, table))
    return model.user_proj(F.dropout(states, 0.1, model.training)) * scale


def layout(sessions, texts):
    """Events as tensors [batch, longest]: text, rating; target of each step: the next event's item or -1."""
    longest = max(len(s.events) for s in sessions)
    text = torch.zeros(len(sessions), longest, dtype=torch.long)
    rating = torch.zeros_like(text)
    target = torch.full_like(text, -1)
    for row, session in enumerate(sessions):
        for column, event in enumerate(session.events):
            text[row, column], rating[row, column] = event.text, event.rating
            if column and event.text < len(texts.items):
                target[row, column - 1] = event.text
    return text, rating, target


def step_loss(model, sessions, texts, candidates, position, rng):
    """Cross-entropy of the next item among all candidates but those met before."""
    text, rating, target = layout(sessions, texts)
    views = [texts.candidate_view(item, rng) for item in candidates]
    rows, extra = torch.zeros_like(text), {}
    for b, session in enumerate(sessions):
        for e, event in enumerate(session.events):
            is_item, chance = event.text < len(texts.items), rng.random()
            if is_item and chance < 0.85:
                rows[b, e] = position[event.text]  # the view that it has as a candidate
                continue
            source = event.text
            if is_item and chance < 0.93:
                source = texts.as_query(event.text, rng)
            ids = tuple(texts.history_view(source, rng))
            rows[b, e] = extra.setdefault(ids, len(candidates) + len(extra))
    vectors = batches.encode(model.encoder, views + [list(ids) for ids in extra])
    users = user_vectors(model, vectors[rows], rating, LOGIT_SCALE)
    logits = users @ vectors[:len(candidates)].T
    met = torch.zeros(len(sessions), len(candidates) + 1, dtype=torch.bool)
    mask = torch.empty(logits.shape, dtype=torch.bool)
    to_position = torch.tensor(position + [len(candidates)] * len(texts.queries))
    for e in range(text.shape[1]):
        met[torch.arange(len(sessions)), to_position[text[:, e]]] = True
        mask[:, e] = met[:, :-1]
    wanted = target >= 0
    logits = logits[wanted].masked_fill(mask[wanted], -1e4)
    return F.cross_entropy(logits, to_position[target[wanted]])


def train(texts, sessions, steps, size, peak, log=print):
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    model = make_model(len(texts.tokens)).train()
    candidates = [i for i in range(len(texts.items)) if not texts.new[i]]
    position = [len(candidates)] * len(texts.items)
    for place, item in enumerate(candidates):
        position[item] = place
    decayed = [p for p in model.parameters() if p.dim() > 1]
    other = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=0.01), dict(params=other, weight_decay=0.0)], lr=peak)
    source, began, mean = batches.shuffled(sessions, size, rng), time.time(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = batches.learning_rate(step, steps, peak)
        loss = step_loss(model, next(source), texts, candidates, position, rng)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if step == 0 else 0.95 * mean + 0.05 * loss.item()
        if step % 20 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps}  loss {mean:.3f}  {time.time() - began:.0f} s")
    with torch.no_grad():  # the factor moves into the weights: what is saved needs no temperature
        model.user_proj.weight.mul_(LOGIT_SCALE)
        model.user_proj.bias.mul_(LOGIT_SCALE)
    return model.eval()


class Scorer:
    """Logits of every catalog item after every event, as the library computes them: full texts, exact tokens."""

    def __init__(self, model, texts):
        self.model, self.texts = model, texts
        with torch.no_grad():
            self.vectors = batches.encode(model.encoder, texts.fulls + texts.query_ids)

    @torch.no_grad()
    def logits(self, sessions):
        text, rating, target = layout(sessions, self.texts)
        users = user_vectors(self.model, self.vectors[text], rating)
        return users @ self.vectors[:len(self.texts.items)].T, text, target


def save(folder, model, texts, metrics, config):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "model.pth")
    config = dict(config, vocab_size=len(texts.tokens))
    described = {"scoring": model.scoring, "pooling": model.encoder.pooling, "normalize": model.encoder.normalize,
                 "max_length": MAX_LENGTH}
    if hasattr(model, "rating"):
        described["rating"] = {"mode": "embedding", "values": model.rating.values}
    for name, value in (("config.json", config), ("ranklet.json", described), ("metrics.json", metrics)):
        (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    vocabulary.save(folder, texts.tokens, MAX_LENGTH)


def main():
    parser = argparse.ArgumentParser(description="Trains the demo's recommender.")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "training" / "demo-shop")
    parser.add_argument("--catalog", type=Path, default=REPOSITORY / "examples" / "data" / "catalog.tsv")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=160, help="sessions a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    log = lambda line: print(line, file=sys.stderr, flush=True)
    began = time.time()
    texts, training, test = data.load(arguments.catalog, VOCABULARY, MAX_LENGTH)
    log(f"{len(texts.items)} items ({sum(texts.new)} new), {len(texts.tokens)} tokens, {len(training)} sessions")
    model = train(texts, training, arguments.steps, arguments.batch, arguments.rate, log)
    seconds = time.time() - began
    metrics = evaluate.report(Scorer(model, texts), texts, training, test)
    metrics.update(steps=arguments.steps, batch=arguments.batch, rate=arguments.rate, seed=SEED,
                   seconds=round(seconds), torch=torch.__version__,
                   parameters=sum(p.numel() for p in model.parameters()))
    save(arguments.out, model, texts, metrics, CONFIG)
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
