#!/usr/bin/env python3
"""PyTorch, faiss and numpy behind the protocol of measure.py.

In: one command a line on stdin, "work key=value ...". Out: one JSON line each: {"seconds": [...]} of every run, or
{"error": text}. With out=FILE the work is done once, its result is written there and nothing is timed.
"""
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests/parity")]
from reference_models import load_encoder  # noqa: E402

warnings.filterwarnings("ignore")
torch.set_grad_enabled(False)
kept = {}  # models and large arrays, until "forget"


def keep(key, make):
    if key not in kept:
        kept[key] = make()
    return kept[key]


def lines(path):
    return Path(path).read_text(encoding="utf-8").split("\n")[:-1]


def batches(path, count, batch):
    """Texts' ids as (ids, mask) of `batch` texts, padded to the longest of each; no mask where nothing is padded."""
    rows = [torch.tensor([int(word) for word in line.split()]) for line in lines(path)[:count]]
    made = []
    for first in range(0, len(rows), batch):
        part = rows[first:first + batch]
        ids = torch.nn.utils.rnn.pad_sequence(part, batch_first=True)
        mask = torch.arange(ids.shape[1])[None] < torch.tensor([len(row) for row in part])[:, None]
        made.append((ids, None if mask.all() else mask))
    return made


class FastEncoder(torch.nn.Module):
    """The checkpoint in torch.nn.TransformerEncoder, whose fused path in evaluation is PyTorch's fastest in f32; it
    skips padded tokens too (nested tensors)."""

    def __init__(self, model):
        super().__init__()
        c = model.bert.config
        layer = torch.nn.TransformerEncoderLayer(c.hidden_size, c.num_attention_heads, c.intermediate_size, 0.0, "gelu",
                                                 c.layer_norm_eps, batch_first=True)
        self.embeddings, self.normalize = model.bert.embeddings, model.normalize
        self.encoder = torch.nn.TransformerEncoder(layer, c.num_hidden_layers)
        for to, of in zip(self.encoder.layers, model.bert.encoder.layer):
            parts = (of.attention.self.query, of.attention.self.key, of.attention.self.value)
            to.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            to.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            for target, source in ((to.self_attn.out_proj, of.attention.output.dense), (to.linear1, of.intermediate.dense),
                                   (to.linear2, of.output.dense), (to.norm1, of.attention.output.LayerNorm),
                                   (to.norm2, of.output.LayerNorm)):
                target.load_state_dict(source.state_dict())
        self.eval()

    def forward(self, ids, mask=None):
        states = self.encoder(self.embeddings(ids), src_key_padding_mask=None if mask is None else ~mask)
        if mask is None:
            vectors = states.mean(1)
        else:
            states = torch.nn.functional.pad(states, (0, 0, 0, ids.shape[1] - states.shape[1]))
            vectors = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(vectors) if self.normalize else vectors


def load(folder, dtype):
    model = load_encoder(Path(folder), pooling="mean", normalize=False)
    if dtype != "i8":
        return FastEncoder(model).to({"f32": torch.float32, "bf16": torch.bfloat16}[dtype])
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = next(e for e in ("fbgemm", "onednn", "qnnpack") if e in engines)
    return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)


def encode(o):
    model = keep((o["model"], o["dtype"]), lambda: load(o["model"], o["dtype"]))
    feeds = batches(o["ids"], int(o["count"]), int(o["batch"]))
    return lambda: [model(*feed) for feed in feeds], lambda vectors: torch.cat(vectors).float().numpy()


def gru(o):
    hidden, steps, sequences = int(o["hidden"]), int(o["steps"]), int(o["sequences"])
    weights = np.fromfile(o["weights"], np.float32)
    model = torch.nn.GRU(hidden, hidden).eval()
    parts = np.split(weights, np.cumsum([p.numel() for p in model.parameters()])[:-1])
    for parameter, part in zip(model.parameters(), parts):
        parameter.copy_(torch.from_numpy(part).view_as(parameter))
    x = torch.from_numpy(np.fromfile(o["x"], np.float32)[:steps * sequences * hidden]).view(steps, sequences, hidden)
    return lambda: model(x)[0], lambda states: states.numpy()


def search(o):
    dim, users, k = int(o["dim"]), int(o["users"]), int(o["k"])
    queries = np.fromfile(o["queries"], np.float32)[:users * dim].reshape(users, dim)
    if o["engine"] == "faiss":
        import faiss
        faiss.omp_set_num_threads(int(o["threads"]))

        def make():
            index = faiss.IndexFlatIP(dim)
            for block in np.array_split(np.memmap(o["rows"], np.float32, "r").reshape(-1, dim), 16):
                index.add(np.ascontiguousarray(block))
            return index
        index = keep((o["rows"], "faiss"), make)
        return lambda: index.search(queries, k)[1], lambda ids: ids.astype(np.int32)
    rows = keep((o["rows"], "numpy"), lambda: np.fromfile(o["rows"], np.float32).reshape(-1, dim))

    def run():
        scores = queries @ rows.T
        best = np.argpartition(-scores, k, 1)[:, :k]
        return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), 1), 1)
    return run, lambda ids: ids.astype(np.int32)


WORKS = dict(encode=encode, gru=gru, search=search)


def answer(line):
    name, *pairs = line.split(" ")
    o = dict(pair.split("=", 1) for pair in pairs)
    if name == "forget":
        kept.clear()
        return {}
    if name == "versions":
        found = {"Python": sys.version.split()[0], "PyTorch": torch.__version__, "numpy": np.__version__}
        try:
            import faiss
            found["faiss"] = faiss.__version__
        except ImportError:
            pass
        return found
    torch.set_num_threads(int(o["threads"]))  # OpenMP's number, which OpenBLAS follows
    run, result = WORKS[name](o)
    if "out" in o:
        np.ascontiguousarray(result(run())).tofile(o["out"])
        return {}
    seconds, began = [], time.perf_counter()
    while not seconds or time.perf_counter() - began < float(o["seconds"]):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}


for command in sys.stdin:
    try:
        reply = answer(command.rstrip("\n"))
    except Exception as error:  # what a peer cannot do is a row of the table, not the end of the run
        reply = {"error": f"{type(error).__name__}: {error}".split("\n")[0]}
    print(json.dumps(reply), flush=True)
