#!/usr/bin/env python3
"""Trains the examples' classifiers: taggers of products and of parts of speech, a review's stars, a query's answers.

    python3 -m examples.training.train_classifiers tagger|parts-of-speech|stars|relevance [--out FOLDER] [--steps N]

In: the grammars of shop_language.py and parts_of_speech.py, the queries of shop_queries.py; the demo model's encoder
(examples/models/demo-shop.gguf) to start from. Out: a
checkpoint folder in Hugging Face's layout (BertForTokenClassification, BertForSequenceClassification) for
weights_converter, with metrics.json. One thread, fixed seeds; a few minutes on one core.
"""
import argparse
import json
import math
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from weights_converter.gguf import read_gguf
from weights_converter.reference.bert import BertModel
from weights_converter.wordpiece import is_chinese

from . import batches, parts_of_speech, shop_language, shop_queries, vocabulary

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MAX_LENGTH, VOCABULARY, SEED = 64, 2000, 3
ENCODER_RATE = 0.5  # the encoder learns at this share of the head's rate, where the task does not say otherwise
CONFIG = dict(
    model_type="bert", hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=384,
    max_position_embeddings=MAX_LENGTH, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
    hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.02, pad_token_id=0,
    position_embedding_type="absolute")
TAGS = ["O"] + [f"{prefix}-{entity}" for entity in shop_language.ENTITIES for prefix in "BI"]
WORD_TAGS = [f"{prefix}-{tag}" for tag in parts_of_speech.TAGS for prefix in "BI"]
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
        after_first = (ids == vocabulary.SEP).cumsum(-1) - (ids == vocabulary.SEP).long()
        states = self.bert(ids, mask, after_first.clamp(max=1))  # a second text and its [SEP] have type 1
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


def places_of(text, tokenizer, rng=None):
    """(ids, (start, end) of each in code points) of a text whose normalised words are its own in lower case. With `rng`
    some words are spelled in small pieces, as words that training never sees are."""
    ids, places, at, lower = [vocabulary.CLS], [None], 0, text.lower()
    for word in vocabulary.words_of(text):
        at = lower.index(word, at)
        if rng is not None and len(word) > 3 and rng.random() < 0.3:
            pieces = small_pieces(word, tokenizer, rng.randint(2, 4))
        else:
            pieces = tokenizer.wordpiece._pieces_of(word)
        for piece in pieces:
            spelled = tokenizer.tokens[piece]
            length = len(word) if piece == vocabulary.UNK else len(spelled) - 2 * spelled.startswith("##")
            ids.append(piece)
            places.append((at, at + length))
            at += length
    ids, places = ids[:MAX_LENGTH - 1], places[:MAX_LENGTH - 1]
    return ids + [vocabulary.SEP], places + [None]


def small_pieces(word, tokenizer, longest):
    pieces, start = [], 0
    while start < len(word):
        for end in range(min(len(word), start + longest), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in tokenizer.ids:
                break
        else:
            return [vocabulary.UNK]
        pieces.append(tokenizer.ids[piece])
        start = end
    return pieces


def tag_ids(places, spans, tags):
    """A label for each token, -100 (no loss) for special ones."""
    labels = []
    for place in places:
        if place is None:
            labels.append(-100)
            continue
        inside = [(s, e, kind) for s, e, kind in spans if s <= place[0] < e]
        labels.append(tags.index(("B-" if inside[0][0] == place[0] else "I-") + inside[0][2] if inside else "O"))
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
            rows.append((ids, tag_ids(places, sentence.spans, self.labels)))
        return rows

    def loss(self, logits, labels):
        longest = logits.shape[1]
        target = torch.tensor([row + [-100] * (longest - len(row)) for row in labels])
        return F.cross_entropy(logits.flatten(0, 1), target.flatten())

    def read(self, ids, labels, tokenizer):
        """The spans of a text's labels, special tokens included in both."""
        return spans_of(labels[1:-1], self.labels)

    def measure(self, predict, sentences, tokenizer):
        """Entity F1: a span counts when place and kind are right."""
        rows = self.encode(sentences, tokenizer)
        right = found = wanted = 0
        for logits, (ids, labels) in zip(predict([ids for ids, _ in rows]), rows):
            own, true = (self.read(ids, row, tokenizer) for row in (logits.argmax(-1).tolist(), labels))
            right, found, wanted = right + len(own & true), found + len(own), wanted + len(true)
        return dict(f1=round(2 * right / (found + wanted), 3), precision=round(right / found, 3), recall=round(right / wanted, 3))


class PartsOfSpeech(Tagging):
    """Words and their parts of speech. The spans tile the text, so F1 counts words found and named rightly."""
    labels = WORD_TAGS

    def __init__(self):
        make = parts_of_speech.sentences
        self.train = make(40000, 21)
        tests = {"new sentences": make(800, 22), "words that training never saw": make(800, 23, new_words=True),
                 "forms that training never saw": make(800, 24, new_rules=True), "descriptions of the shop, tagged by hand": parts_of_speech.by_hand()}
        self.tests = {f"{name}, {language}": [s for s in test if s.language == language]
                      for name, test in tests.items() for language in ("en", "zh")}

    def read(self, ids, labels, tokenizer):
        """As the aggregation "first" has it: what continues a word has its first piece's label."""
        joined = list(labels)
        for i in range(1, len(joined) - 1):
            if tokenizer.tokens[ids[i]].startswith("##"):
                joined[i] = self.labels.index("I-" + self.labels[joined[i - 1]][2:])
        return super().read(ids, joined, tokenizer)

    def encode(self, sentences, tokenizer):
        rng = random.Random(SEED) if sentences is self.train else None
        rows = []
        for sentence in sentences:
            ids, places = places_of(sentence.text, tokenizer, rng)
            rows.append((ids, tag_ids(places, sentence.spans, self.labels)))
        return rows


def spans_of(labels, tags):
    spans, begin = set(), None
    for i, name in enumerate([*(tags[label] for label in labels), "O"]):
        if begin is not None and name != "I-" + begin[1]:
            spans.add((begin[0], i, begin[1]))
            begin = None
        if name != "O" and begin is None:
            begin = (i, name[2:])
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


class Relevance:
    """Queries and titles as one sequence of token ids, and how well the title answers the query."""
    labels, of_tokens, architecture = ["relevance"], False, "BertForSequenceClassification"
    steps, batch = 1800, 13  # a query comes with up to five titles
    encoder_rate = 1.0  # comparing two texts is new to it
    config = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}

    unknown = 0.0  # a word that is unknown on one side would have nothing to be compared with

    @dataclass
    class Group:
        query: str
        titles: list  # (title, relevance)

        @property
        def text(self):
            return " ".join([self.query] + [title for title, _ in self.titles])

    def __init__(self):
        self.train = [self.Group(*group) for group in shop_queries.groups(24000, 31)]
        self.tests = {"new queries": shop_queries.test_queries(250, 32), "new wordings": shop_queries.test_queries(100, 33, new_wording=True)}
        self.shop = shop_queries.Shop()

    def start(self, model):
        """In the first layer a token's key starts as its query would be, so that equal words find each other."""
        attention = model.bert.encoder.layer[0].attention.self
        with torch.no_grad():
            attention.key.weight.copy_(attention.query.weight)
            attention.key.bias.copy_(attention.query.bias)

    def encode(self, groups, tokenizer):
        """A row is a query's titles, whose order of relevance the loss compares."""
        return [([self.ids(g.query, title, tokenizer) for title, _ in g.titles], [r for _, r in g.titles]) for g in groups]

    def flat(self, batch):
        return [(ids, relevance) for rows, relevances in batch for ids, relevance in zip(rows, relevances)]

    @staticmethod
    def ids(query, title, tokenizer):
        return (tokenizer.encode(query) + tokenizer.encode(title)[1:])[:MAX_LENGTH]

    def loss(self, logits, targets):
        return F.binary_cross_entropy_with_logits(logits[:, 0], torch.tensor(targets))

    def group_loss(self, logits, batch):
        """Of each query's titles the shares of relevance against the softmax of their logits (ListNet, Cao et al. 2007)."""
        total, first = 0.0, 0
        for rows, relevances in batch:
            target = torch.tensor(relevances)
            if target.sum() > 0:
                total -= (target / target.sum() * F.log_softmax(logits[first:first + len(rows), 0], 0)).sum()
            first += len(rows)
        return total / len(batch)

    def measure(self, predict, queries, tokenizer):
        """Every item of the query's language is a candidate. NDCG's gains are the relevances."""
        right, ndcg, new_right, new_count = 0, 0.0, 0, 0
        for query in queries:
            items = [i for i in self.shop.items if i.language == ("en", "zh")[query.side]]
            gains = [self.shop.relevance(query, i) for i in items]
            scores = [float(logits[0]) for logits in predict([self.ids(query.text, i.title, tokenizer) for i in items])]
            order = sorted(range(len(items)), key=lambda i: -scores[i])
            discounted = lambda row: sum(g / math.log2(2 + rank) for rank, g in enumerate(row[:10]))
            right += gains[order[0]] == 1.0
            ndcg += discounted([gains[i] for i in order]) / discounted(sorted(gains, reverse=True))
            whole = [i for i in range(len(items)) if gains[i] == 1.0]
            if all(items[i].new for i in whole):  # only products that training never saw answer it
                new_count += 1
                new_right += gains[order[0]] == 1.0
        return dict(first_is_right=round(right / len(queries), 3), ndcg_at_10=round(ndcg / len(queries), 3),
                    new_products_only=new_count, first_is_right_then=round(new_right / max(1, new_count), 3))


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
    if hasattr(task, "start"):
        task.start(model)
    log(f"{len(texts)} texts, {len(tokens)} tokens, {shared} of them the demo model's")
    rows = task.encode(task.train, tokenizer)
    head = list(model.classifier.parameters())
    encoder = [p for p in model.parameters() if all(p is not q for q in head)]
    optimizer = torch.optim.AdamW([dict(params=head, share=1.0), dict(params=encoder, share=getattr(task, "encoder_rate", ENCODER_RATE))], lr=peak,
                                  weight_decay=0.01)
    source, began, mean = batches.shuffled(rows, size, rng), time.time(), None
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = batches.learning_rate(step, steps, peak) * group["share"]
        batch = next(source)
        groups = batch
        if hasattr(task, "flat"):
            batch = task.flat(groups)
        unknown = getattr(task, "unknown", 0.04)
        if unknown and rng.random() < 0.9:  # unknown and cut-off words must not surprise the model
            batch = [([token if token < 5 or rng.random() > unknown else vocabulary.UNK for token in ids], label) for ids, label in batch]
        logits = model(*batches.padded([ids for ids, _ in batch]))
        loss = task.loss(logits, [label for _, label in batch])
        if hasattr(task, "group_loss"):
            loss = loss + task.group_loss(logits, groups)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 50 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps}  loss {mean:.3f}  {time.time() - began:.0f} s")
    return model.eval(), tokenizer


def predictor(model):
    """Logits of each text: of all its tokens, or its own."""
    @torch.no_grad()
    def predict(ids):
        for start in range(0, len(ids), 64):
            rows = ids[start:start + 64]
            for row, logits in zip(rows, model(*batches.padded(rows))):
                yield logits[:len(row)] if model.of_tokens else logits
    return predict


def save(folder, task, model, tokenizer, metrics):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    config = dict(CONFIG, architectures=[task.architecture], vocab_size=len(tokenizer.tokens),
                  id2label={str(i): name for i, name in enumerate(task.labels)}, **getattr(task, "config", {}))
    for name, value in (("config.json", config), ("metrics.json", metrics)):
        (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    vocabulary.save(folder, tokenizer.tokens, MAX_LENGTH)


TASKS = {"tagger": Tagging, "parts-of-speech": PartsOfSpeech, "stars": Rating, "relevance": Relevance}


def main():
    parser = argparse.ArgumentParser(description="Trains the examples' classifiers.")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, help="900; relevance: 1800")
    parser.add_argument("--batch", type=int, help="64; relevance: 13 queries")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    log = lambda line: print(line, file=sys.stderr, flush=True)
    task = TASKS[arguments.task]()
    steps, batch = arguments.steps or getattr(task, "steps", 900), arguments.batch or getattr(task, "batch", 64)
    began = time.time()
    model, tokenizer = train(task, steps, batch, arguments.rate, log)
    seconds = time.time() - began
    metrics = {name: task.measure(predictor(model), test, tokenizer) for name, test in task.tests.items()}
    metrics.update(steps=steps, batch=batch, rate=arguments.rate, seed=SEED, seconds=round(seconds),
                   torch=torch.__version__, parameters=sum(p.numel() for p in model.parameters()))
    save(arguments.out or REPOSITORY / "build" / "training" / arguments.task, task, model, tokenizer, metrics)
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
