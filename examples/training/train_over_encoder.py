#!/usr/bin/env python3
"""Trains a GRU over the vectors of an encoder that stays as it is: an LLM's (Qwen3-Embedding ...), or any other's.

    python3 -m examples.training.train_over_encoder CHECKPOINT [--out FOLDER] [--steps N]

In: a folder of sentence-transformers; the demo shop (examples/data and the simulated sessions). Items are read as documents, what
shoppers typed as queries, each with the checkpoint's prompt (its instruction) for that. Out: a folder for weights_converter, with
the checkpoint's weights and the GRU's, and metrics.json. The loss is that of train.py. Needs torch and sentence-transformers; the
texts are encoded once, so that an LLM costs a few minutes, the GRU about one.
"""
import argparse
import json
import random
import shutil
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from torch import nn

from . import batches, data, evaluate, train

GRU_HIDDEN, LOGIT_SCALE, SEED = 160, 12.0, 7


class Decoder(nn.Module):
    """A GRU over events' vectors and what makes a user's vector of its state; the names are weights_converter's."""

    def __init__(self, dim, hidden=GRU_HIDDEN):
        super().__init__()
        self.decoder = nn.ModuleDict({"gru": nn.GRU(dim, hidden, batch_first=True)})
        self.user_proj = nn.Linear(hidden, dim)
        with torch.no_grad():  # a vector of length 1 has small elements: the GRU's input weights make up for it
            self.decoder["gru"].weight_ih_l0.mul_(dim**0.5 / 2)
            self.user_proj.weight.mul_(0.5)

    def forward(self, events):
        """Event vectors [batch, events, dim] -> user vectors after every event."""
        return self.user_proj(F.dropout(self.decoder["gru"](events)[0], 0.1, self.training))


class Scorer:
    """Logits of every catalog item after every event."""

    def __init__(self, decoder, vectors, texts):
        self.decoder, self.vectors, self.texts = decoder, vectors, texts

    @torch.no_grad()
    def logits(self, sessions):
        text, _, target = train.layout(sessions, self.texts)
        return self.decoder(self.vectors[text]) @ self.vectors[:len(self.texts.items)].T, text, target


def fit(vectors, texts, sessions, steps, size, peak, log):
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    decoder, count = Decoder(vectors.shape[1]).train(), len(texts.items)
    new = torch.tensor(texts.new)  # whatever else happens, nobody has met these
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=peak, weight_decay=0.01)
    source, mean = batches.shuffled(sessions, size, rng), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = batches.learning_rate(step, steps, peak)
        text, _, target = train.layout(next(source), texts)
        logits = LOGIT_SCALE * decoder(vectors[text]) @ vectors[:count].T
        logits, met, wanted, _ = evaluate.cases(logits, text, target, count)
        loss = F.cross_entropy(logits.masked_fill(met | new, -1e4), wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if step == 0 else 0.95 * mean + 0.05 * loss.item()
        if step % 100 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps}  loss {mean:.3f}")
    with torch.no_grad():  # the factor moves into the weights: what is saved needs no temperature
        decoder.user_proj.weight.mul_(LOGIT_SCALE)
        decoder.user_proj.bias.mul_(LOGIT_SCALE)
    return decoder.eval()


def save(folder, checkpoint, encoder, decoder, metrics):
    """The checkpoint's folder with both parts' weights in one file."""
    weights = {"encoder." + name: tensor for name, tensor in encoder[0].model.state_dict().items()}
    weights.update(decoder.state_dict())
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model*.safetensors*", "pytorch_model*"))
    save_file({name: tensor.contiguous().clone() for name, tensor in weights.items()}, str(folder / "model.safetensors"))
    for name, value in (("ranklet.json", {"scoring": "dot_product"}), ("metrics.json", metrics)):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(given=None):
    parser = argparse.ArgumentParser(description="Trains a GRU over an encoder's vectors.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=train.REPOSITORY / "build" / "training" / "over-encoder")
    parser.add_argument("--catalog", type=Path, default=train.REPOSITORY / "examples" / "data" / "catalog.tsv")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=160, help="sessions a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    arguments = parser.parse_args(given)
    log = lambda line: print(line, file=sys.stderr, flush=True)
    texts, training, test = data.load(arguments.catalog, train.VOCABULARY, train.MAX_LENGTH)
    encoder = SentenceTransformer(str(arguments.checkpoint), device="cpu", local_files_only=True)
    with torch.no_grad():
        items = encoder.encode_document([data.item_text(row["title"], row["description"]) for row in texts.items])
        vectors = torch.cat([torch.from_numpy(items), torch.from_numpy(encoder.encode_query(texts.queries))]).float()
    log(f"{len(texts.items)} items and {len(texts.queries)} queries of {vectors.shape[1]} numbers, {len(training)} sessions")
    decoder = fit(vectors, texts, training, arguments.steps, arguments.batch, arguments.rate, log)
    metrics = evaluate.report(Scorer(decoder, vectors, texts), texts, training, test)
    metrics.update(steps=arguments.steps, batch=arguments.batch, rate=arguments.rate, seed=SEED, torch=torch.__version__)
    save(arguments.out, arguments.checkpoint, encoder, decoder, metrics)
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
