#!/usr/bin/env python3
"""Trains the examples' two classifiers: a tagger of products in text, and the stars of a review.

    python3 -m weights_converter.training.train_classifiers tagger|stars [--out FOLDER] [--steps N]

In: the grammar of shop_language.py; the demo model's encoder (examples/models/demo-shop.gguf) to start from. Out: a
checkpoint folder in Hugging Face's layout (BertForTokenClassification, BertForSequenceClassification) for
weights_converter, with metrics.json. One thread, fixed seeds; a few minutes on one core.
"""
import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from . import batches, shop_language, vocabulary
from ..gguf import read_gguf
from ..reference.bert import BertModel
from ..wordpiece import is_chinese

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MAX_LENGTH, VOCABULARY, SEED = 64, 2000, 3
ENCODER_RATE = 0.5  # the encoder learns at this share of the head's rate
CONFIG = dict(
    model_type="bert", hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=384,
    max_position_embeddings=MAX_LENGTH, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
    hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.02, pad_token_id=0,
    position_embedding_type="absolute")
TAGS = ["O"] + [f"{prefix}-{entity}" for entity in shop_language.ENTITIES for prefix in "BI"]
STARS = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]


class Classifier(torch.nn.Module):
    """Parameters carry the names of Hugging Face's classes."""

    def __init__(self, config, labels, of_tokens):
        super().__init__()
        self.bert, self.of_tokens = BertModel(config), of_tokens
        dim = config["hidden_size"]
        if not of_tokens:
            self.bert.pooler = torch.nn.ModuleDict({"dense": torch.nn.Linear(dim, dim)})
        self.classifier = torch.nn.Linear(dim, labels)

    def forward(self, ids, mask):
        states = self.bert(ids, mask)
        if not self.of_tokens:
            states = torch.tanh(self.bert.pooler["dense"](states[:, 0]))
        return self.classifier(F.dropout(states, 0.1, self.training))


def start_from_demo(model, tokens):
    """Copies what the demo model's encoder has: embeddings of tokens that both know, and its first layers."""
    metadata, tensors = read_gguf(REPOSITORY / "examples" / "models" / "demo-shop.gguf")
    mark, spelled = "▁", {}
    for i, token in enumerate(metadata["tokenizer.ggml.tokens"]):
        special = len(token) > 1 and token[0] == "[" and token[-1] == "]"
        spelled[token if special else token[1:] if token.startswith(mark) else "##" + token] = i
    state = model.bert.state_dict()
    table = {"attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value",
             "attn_output": "attention.output.dense", "attn_output_norm": "attention.output.LayerNorm",
             "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm"}
    names = {"position_embd.weight": "embeddings.position_embeddings.weight",
             "token_types.weight": "embeddings.token_type_embeddings.weight"}
    for part in ("weight", "bias"):
        names[f"token_embd_norm.{part}"] = f"embeddings.LayerNorm.{part}"
        for n in range(CONFIG["num_hidden_layers"]):
            names.update({f"blk.{n}.{ours}.{part}": f"encoder.layer.{n}.{theirs}.{part}" for ours, theirs in table.items()})
    with torch.no_grad():
        for ours, theirs in names.items():
            state[theirs].copy_(torch.tensor(tensors[ours]).float())
        known = [(row, spelled[token]) for row, token in enumerate(tokens) if token in spelled]
        words = torch.tensor(tensors["token_embd.weight"]).float()
        state["embeddings.word_embeddings.weight"].normal_(std=float(words.std()))
        state["embeddings.word_embeddings.weight"][[row for row, _ in known]] = words[[row for _, row in known]]
    return len(known)


def places_of(text, tokenizer):
    """(ids, (start, end) of each in code points) of a text whose normalised words are its own in lower case."""
    ids, places, at, lower = [vocabulary.CLS], [None], 0, text.lower()
    for word in vocabulary.words_of(text):
        at = lower.index(word, at)
        for piece in tokenizer.wordpiece._pieces_of(word):
            spelled = tokenizer.tokens[piece]
            length = len(word) if piece == vocabulary.UNK else len(spelled) - 2 * spelled.startswith("##")
            ids.append(piece)
            places.append((at, at + length))
            at += length
    ids, places = ids[:MAX_LENGTH - 1], places[:MAX_LENGTH - 1]
    return ids + [vocabulary.SEP], places + [None]


def tag_ids(places, spans):
    """A label for each token, -100 (no loss) for special ones."""
    labels = []
    for place in places:
        if place is None:
            labels.append(-100)
            continue
        inside = [(s, e, kind) for s, e, kind in spans if s <= place[0] < e]
        labels.append(TAGS.index(("B-" if inside[0][0] == place[0] else "I-") + inside[0][2]) if inside else 0)
    return labels


class Tagging:
    """Texts as token ids and labels of tokens."""
    labels, of_tokens, architecture = TAGS, True, "BertForTokenClassification"

    def __init__(self):
        make = shop_language.sentences
        self.train = make(14000, 1, invent=0.5) + shop_language.noisy_sentences(16000, 6) + shop_language.plain_sentences(4000, 2)
        self.tests = {"new sentences": make(600, 3, new_templates=True), "new brands and products": make(600, 4, True),
                      "both": make(600, 5, True, True)}

    def encode(self, sentences, tokenizer):
        rows = []
        for sentence in sentences:
            ids, places = places_of(sentence.text, tokenizer)
            rows.append((ids, tag_ids(places, sentence.spans)))
        return rows

    def loss(self, logits, labels):
        longest = logits.shape[1]
        target = torch.tensor([row + [-100] * (longest - len(row)) for row in labels])
        return F.cross_entropy(logits.flatten(0, 1), target.flatten())

    def measure(self, predict, sentences, tokenizer):
        """Entity F1: a span counts when place and kind are right."""
        rows = self.encode(sentences, tokenizer)
        right = found = wanted = 0
        for logits, (ids, labels) in zip(predict([ids for ids, _ in rows]), rows):
            own, true = spans_of(logits.argmax(-1).tolist()[1:-1]), spans_of(labels[1:-1])
            right, found, wanted = right + len(own & true), found + len(own), wanted + len(true)
        return dict(f1=round(2 * right / (found + wanted), 3), precision=round(right / found, 3), recall=round(right / wanted, 3))


def spans_of(labels):
    spans, begin = set(), None
    for i, label in enumerate([*labels, 0]):
        if begin is not None and TAGS[label] != "I-" + begin[1]:
            spans.add((begin[0], i, begin[1]))
            begin = None
        if label and begin is None:
            begin = (i, TAGS[label][2:])
    return spans


class Rating:
    """Reviews as token ids and stars."""
    labels, of_tokens, architecture = STARS, False, "BertForSequenceClassification"

    def __init__(self):
        self.train = shop_language.reviews(30000, 11)
        self.tests = {"new reviews": shop_language.reviews(1000, 12), "new phrases": shop_language.reviews(1000, 13, new=True)}

    def encode(self, reviews, tokenizer):
        return [(tokenizer.encode(review.text), review.stars - 1) for review in reviews]

    def loss(self, logits, labels):
        return F.cross_entropy(logits, torch.tensor(labels))

    def measure(self, predict, reviews, tokenizer):
        rows = self.encode(reviews, tokenizer)
        logits = torch.stack(list(predict([ids for ids, _ in rows])))
        true = torch.tensor([stars for _, stars in rows])
        expected = torch.softmax(logits, -1) @ torch.arange(5.0)
        return dict(accuracy=round(float((logits.argmax(-1) == true).float().mean()), 3),
                    within_one=round(float(((logits.argmax(-1) - true).abs() <= 1).float().mean()), 3),
                    mean_error_of_expected_stars=round(float((expected - true).abs().mean()), 3))


def train(task, steps, size, peak, log):
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    texts = [each.text for each in task.train]
    tokens = vocabulary.train(texts, VOCABULARY, minimum=3)
    # Every Chinese character of the shop, so that a new word has no unknown ones
    known = set(tokens)
    shop = (Path(__file__).parent / "shop.txt").read_text(encoding="utf-8")
    tokens += sorted({c for c in shop if is_chinese(c)} - known)
    tokenizer = vocabulary.Tokenizer(tokens, MAX_LENGTH)
    model = Classifier(dict(CONFIG, vocab_size=len(tokens)), len(task.labels), task.of_tokens)
    shared = start_from_demo(model, tokens)
    log(f"{len(texts)} texts, {len(tokens)} tokens, {shared} of them the demo model's")
    rows = task.encode(task.train, tokenizer)
    head = list(model.classifier.parameters())
    encoder = [p for p in model.parameters() if all(p is not q for q in head)]
    optimizer = torch.optim.AdamW([dict(params=head, share=1.0), dict(params=encoder, share=ENCODER_RATE)], lr=peak,
                                  weight_decay=0.01)
    source, began, mean = batches.shuffled(rows, size, rng), time.time(), None
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = batches.learning_rate(step, steps, peak) * group["share"]
        batch = next(source)
        if rng.random() < 0.9:  # unknown and cut-off words must not surprise the model
            batch = [([token if token < 5 or rng.random() > 0.04 else vocabulary.UNK for token in ids], label) for ids, label in batch]
        loss = task.loss(model(*batches.padded([ids for ids, _ in batch])), [label for _, label in batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 50 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps}  loss {mean:.3f}  {time.time() - began:.0f} s")
    return model.eval(), tokenizer


def predictor(model):
    @torch.no_grad()
    def predict(ids):
        for row in ids:
            yield model(torch.tensor([row]), None)[0]
    return predict


def save(folder, task, model, tokenizer, metrics):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    config = dict(CONFIG, architectures=[task.architecture], vocab_size=len(tokenizer.tokens),
                  id2label={str(i): name for i, name in enumerate(task.labels)})
    for name, value in (("config.json", config), ("metrics.json", metrics)):
        (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    vocabulary.save(folder, tokenizer.tokens, MAX_LENGTH)


def main():
    parser = argparse.ArgumentParser(description="Trains the examples' classifiers.")
    parser.add_argument("task", choices=("tagger", "stars"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    log = lambda line: print(line, file=sys.stderr, flush=True)
    task = Tagging() if arguments.task == "tagger" else Rating()
    began = time.time()
    model, tokenizer = train(task, arguments.steps, arguments.batch, arguments.rate, log)
    seconds = time.time() - began
    metrics = {name: task.measure(predictor(model), test, tokenizer) for name, test in task.tests.items()}
    metrics.update(steps=arguments.steps, batch=arguments.batch, rate=arguments.rate, seed=SEED, seconds=round(seconds),
                   torch=torch.__version__, parameters=sum(p.numel() for p in model.parameters()))
    save(arguments.out or REPOSITORY / "build" / "training" / arguments.task, task, model, tokenizer, metrics)
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
