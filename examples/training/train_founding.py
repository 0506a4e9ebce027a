#!/usr/bin/env python3
"""Trains the founding model: RecommendationModel{encoder.bert, decoder.gru, decoder.out}, scoring text_gru.

    python3 -m examples.training.train_founding [--start FILE] [--out FOLDER] [--steps N]

In: the demo shop, as train.py, and the model file that train.py's checkpoint became: its encoder is where this one
starts.
Out: a checkpoint folder (model.pth is the plain state dict) with metrics.json.
The GRU runs over the token states of the history's texts, one after another, then over a candidate's; `out` at the
candidate's last token is its logit. The loss is a sampled softmax (Bengio and Senecal 2008): the true next item among
drawn ones, each logit corrected by how likely the draw was, so that a softmax over a whole catalog is calibrated.
A second loss helps the GRU to keep what matters: a projection of the user's state, dropped after training, must point at
the next item's mean token state among the step's texts.
"""
import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from weights_converter.gguf import read_gguf
from weights_converter.kinds.bert import BERT_LAYER, LAYER
from weights_converter.reference.recommender import RecommendationModel

from . import batches, data, evaluate, train

CONFIG = dict(train.CONFIG, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
HISTORY, POSITIONS, DRAWN, SEED = 4, 1, 24, 11
ENCODER_RATE, POINTER_SHARE = 0.3, 0.5
FULL_STEPS = 0.15  # share of the steps that read descriptions too; the others read titles


def make_model(vocabulary_size, start):
    """The founding model; start: the model file whose encoder it begins with."""
    model = RecommendationModel(dict(CONFIG, vocab_size=vocabulary_size), "text_gru", normalize=True)
    tensors = read_gguf(start)[1]
    names = {"embeddings.word_embeddings.weight": "token_embd.weight",
             "embeddings.position_embeddings.weight": "position_embd.weight",
             "embeddings.token_type_embeddings.weight": "token_types.weight"}
    for end in "weight", "bias":
        names[f"embeddings.LayerNorm.{end}"] = f"token_embd_norm.{end}"
        for n in range(CONFIG["num_hidden_layers"]):
            names.update({f"{BERT_LAYER.format(n)}{theirs}.{end}": f"blk.{n}.{ours}.{end}"
                          for ours, theirs, *_ in LAYER})
    model.encoder.bert.load_state_dict({theirs: torch.tensor(tensors[ours], dtype=torch.float32)
                                        for theirs, ours in names.items()}, strict=True)
    return model


class Bank:
    """What the GRU reads of each text, looked up by number: W_ih x + b_ih of every token state x, computed once."""

    def __init__(self, model, ids, chunk=96):
        self.gru, gru = model.decoder.gru, model.decoder.gru
        self.lengths = torch.tensor([len(row) for row in ids])
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        starts, rows, total = torch.zeros(len(ids), dtype=torch.long), [], 0
        for begin in range(0, len(order), chunk):
            part = order[begin:begin + chunk]
            tokens, mask = batches.padded([ids[i] for i in part])
            rows.append(model.encoder.bert(tokens, mask)[mask])
            for i in part:
                starts[i] = total
                total += len(ids[i])
        self.starts = starts
        states = torch.cat(rows)
        owner = torch.empty(len(order), dtype=torch.long)
        owner[torch.tensor(order)] = torch.arange(len(order))
        sorted_lengths = self.lengths[torch.tensor(order)]
        sums = states.new_zeros(len(order), states.shape[1]).index_add(
            0, torch.arange(len(order)).repeat_interleave(sorted_lengths), states)
        self.means = (sums / sorted_lengths[:, None])[owner]  # each text's mean token state, [texts, dim]
        self.rows = F.linear(states, gru.weight_ih_l0, gru.bias_ih_l0)

    def run(self, texts, state):
        """The state [texts, hidden] after each text's token states, started from `state` [texts, hidden].

        torch.nn.GRU's formula, longest texts first, so that a step runs over those alone that still have a token.
        """
        lengths, order = self.lengths[texts].sort(descending=True)
        steps = torch.arange(int(lengths[0]))
        places = (self.starts[texts[order]] + steps[:, None]).clamp(max=len(self.rows) - 1)
        running = (lengths > steps[:, None]).sum(1).tolist() + [0]
        inputs, h, ended = self.rows[places].unbind(0), state[order], []
        for t, x in enumerate(inputs):
            x_rz, x_n = x[:running[t]].split([2 * h.shape[1], h.shape[1]], 1)
            h_rz, h_n = F.linear(h, self.gru.weight_hh_l0, self.gru.bias_hh_l0).split([2 * h.shape[1], h.shape[1]], 1)
            r, z = torch.sigmoid(x_rz + h_rz).chunk(2, 1)
            n = torch.tanh(x_n + r * h_n)
            h, done = (n + z * (h - n)).split([running[t + 1], running[t] - running[t + 1]])
            ended.append(done)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        return torch.cat(ended[::-1])[back]


class Draws:
    """Negatives for an item: half from the whole catalog, half from the same kind or domain; with their chances."""

    def __init__(self, texts, rng):
        self.rng = rng
        self.all = [i for i in range(len(texts.items)) if not texts.new[i]]
        self.group = [texts.shop.kinds[row["kind"]].domain for row in texts.items]
        self.kind = [row["kind"] for row in texts.items]
        members = lambda label: {name: [i for i in self.all if label[i] == name] for name in set(label)}
        self.by_group, self.by_kind = members(self.group), members(self.kind)

    def chance(self, item, target):
        """How likely one draw for `target` is `item`."""
        total = 0.5 / len(self.all)
        if self.group[item] == self.group[target]:
            total += 0.25 / len(self.by_group[self.group[target]])
        if self.kind[item] == self.kind[target]:
            total += 0.25 / len(self.by_kind[self.kind[target]])
        return total

    def draw(self, target):
        pick, pools = self.rng.random, (self.by_kind[self.kind[target]], self.by_group[self.group[target]])
        return self.rng.choice(self.all if pick() < 0.5 else pools[pick() < 0.5])


def step_loss(model, pointer, sessions, texts, draws, rng):
    """Sampled softmax at POSITIONS places of every session, plus the pointer's loss."""
    n, prefixes = len(texts.items), []
    full = float(rng.random() < FULL_STEPS)
    for session in sessions:
        places = [p for p in range(1, len(session.events)) if session.events[p].text < n]
        for place in rng.sample(places, min(POSITIONS, len(places))):
            history = session.events[max(0, place - rng.randint(1, HISTORY)):place]
            met = {event.text for event in session.events[:place]}
            prefixes.append((history, met, session.events[place].text))
    numbers, views = {}, []

    def number(source, ids):
        """One row a text: the first view of it that the step makes serves all its uses."""
        if source not in numbers:
            numbers[source] = len(views)
            views.append(ids())
        return numbers[source]

    histories, candidates, corrections = [], [], []
    for history, met, target in prefixes:
        row = []
        for event in history:
            if event.text < n and rng.random() < 0.1:
                query = texts.as_query(event.text, rng)
                row.append(number(query, lambda: texts.exact(query)))
            else:
                row.append(number(event.text, lambda: texts.history_view(event.text, rng, full)))
        histories.append(row)
        chosen = [target]
        while len(chosen) <= DRAWN:
            item = draws.draw(target)
            if item != target and item not in met:
                chosen.append(item)
        candidates.append([number(item, lambda: texts.candidate_view(item, rng, full)) for item in chosen])
        corrections.append([draws.chance(item, target) for item in chosen])
    bank = Bank(model, views)
    state = torch.zeros(len(prefixes), model.decoder.gru.hidden_size)
    for back in range(HISTORY, 0, -1):  # histories end together
        rows = torch.tensor([i for i, row in enumerate(histories) if len(row) >= back], dtype=torch.long)
        if len(rows):
            read = torch.tensor([histories[i][-back] for i in rows.tolist()])
            state = state.index_put((rows,), bank.run(read, state[rows]))
    flat = torch.tensor(candidates).reshape(-1)
    after = bank.run(flat, state.repeat_interleave(DRAWN + 1, 0))
    logits = model.decoder.out(after).view(len(prefixes), DRAWN + 1) - torch.tensor(corrections).log()
    right = F.cross_entropy(logits, torch.zeros(len(prefixes), dtype=torch.long))
    items = [(source, row) for source, row in numbers.items() if source < n and not texts.new[source]]
    rows = torch.tensor([row for _, row in items])
    met = torch.tensor([[source in met and source != target for source, _ in items] for _, met, target in prefixes])
    points = pointer(state) @ F.normalize(bank.means[rows], dim=1).T
    place = {source: i for i, (source, _) in enumerate(items)}
    pointed = F.cross_entropy(points.masked_fill(met, -1e4), torch.tensor([place[t] for *_, t in prefixes]))
    return right, pointed


def fit(texts, sessions, start, steps, size, peak, log=print):
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    model = make_model(len(texts.tokens), start).train()
    pointer = torch.nn.Linear(model.decoder.gru.hidden_size, CONFIG["hidden_size"])
    with torch.no_grad():
        pointer.weight.mul_(4.0)
    draws = Draws(texts, rng)
    sessions = [s for s in sessions if any(e.text < len(texts.items) for e in s.events[1:])]
    encoder, decoder = list(model.encoder.parameters()), [*model.decoder.parameters(), *pointer.parameters()]
    optimizer = torch.optim.AdamW([dict(params=decoder, share=1.0), dict(params=encoder, share=ENCODER_RATE)],
                                  lr=peak, weight_decay=0.005)
    source, began, mean = batches.shuffled(sessions, size, rng), time.time(), None
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = batches.learning_rate(step, steps, peak) * group["share"]
        loss, pointed = step_loss(model, pointer, next(source), texts, draws, rng)
        optimizer.zero_grad()
        (loss + POINTER_SHARE * pointed).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        both = torch.stack([loss.detach(), pointed.detach()])
        mean = both if mean is None else 0.97 * mean + 0.03 * both
        if step % 20 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps}  loss {mean[0]:.3f}, pointer {mean[1]:.3f}  {time.time() - began:.0f} s")
    return model.eval()


class Scorer:
    """Logits of every catalog item (by title) after every event of a session, the whole history read."""

    def __init__(self, model, texts):
        self.model, self.texts = model, texts
        with torch.no_grad():
            self.bank = Bank(model, texts.titles + texts.query_ids)

    @torch.no_grad()
    def logits(self, sessions):
        text, _, target = train.layout(sessions, self.texts)
        n = len(self.texts.items)
        result = torch.zeros(*text.shape, n)
        catalog = torch.arange(n)
        for b, session in enumerate(sessions):
            state = torch.zeros(1, CONFIG["hidden_size"])
            for e in range(len(session.events)):
                state = self.bank.run(text[b, e:e + 1], state)
                if target[b, e] >= 0:
                    after = self.bank.run(catalog, state.expand(n, -1))
                    result[b, e] = self.model.decoder.out(after)[:, 0]
        return result, text, target


def main():
    parser = argparse.ArgumentParser(description="Trains the founding model.")
    parser.add_argument("--start", type=Path, default=train.REPOSITORY / "examples" / "models" / "demo-shop.gguf")
    parser.add_argument("--out", type=Path, default=train.REPOSITORY / "build" / "training" / "founding")
    parser.add_argument("--catalog", type=Path, default=train.REPOSITORY / "examples" / "data" / "catalog.tsv")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=64, help="sessions a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--test", type=int, default=60, help="held-out sessions to measure on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    log = lambda line: print(line, file=sys.stderr, flush=True)
    began = time.time()
    texts, training, test = data.load(arguments.catalog, train.VOCABULARY, train.MAX_LENGTH)
    model = fit(texts, training, arguments.start, arguments.steps, arguments.batch, arguments.rate, log)
    seconds = time.time() - began
    metrics = evaluate.report(Scorer(model, texts), texts, training, test[:arguments.test], size=20)
    metrics.update(steps=arguments.steps, batch=arguments.batch, rate=arguments.rate, seed=SEED,
                   seconds=round(seconds), torch=torch.__version__,
                   parameters=sum(p.numel() for p in model.parameters()))
    train.save(arguments.out, model, texts, metrics, CONFIG)
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
