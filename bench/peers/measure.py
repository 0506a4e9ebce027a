#!/usr/bin/env python3
"""Measures ranklet and its peers in turn on the same inputs, and writes what it saw as JSON.

    python3 bench/peers/measure.py PEERS_FOLDER OUT.json [--quick] [--only WORD ...] [--append]

Three processes are kept: ranklet_peer (C++), peer_node.mjs and peer_python.py. Each takes one command a line and answers
with one JSON line. A piece of work is done by every engine once and the results are compared; an engine whose result
differs is not timed and the exit code is 1. Then, in each round, every engine is timed right after the other, so that
what disturbs the machine disturbs all. An engine's time in a round is the median of its runs there.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
MODELS = {"MiniLM-L6": dict(checkpoint="all-MiniLM-L6-v2", layers=6, dim=384, inner=1536),
          "BERT-base": dict(checkpoint="bert-base-uncased", layers=12, dim=768, inner=3072)}
PAUSE = 0.03  # seconds for the last engine's waiting threads to fall asleep


class Peer:
    def __init__(self, *command, **environment):
        self.command, self.environment = [str(word) for word in command], {**os.environ, **environment}
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, env=self.environment)

    def ask(self, name, **options):
        line = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            reply = self.process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            code = self.process.wait()
            self.start()
            return {"error": f"ended with code {code}"}
        return json.loads(reply)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


# ---------------------------------------------------------------- what is measured

def flops(model, lengths):
    """Of the transformer layers on real tokens: four products with [dim, dim], two with [dim, inner], attention."""
    m = MODELS[model]
    return sum(m["layers"] * (2 * n * (4 * m["dim"]**2 + 2 * m["dim"] * m["inner"]) + 4 * n * n * m["dim"]) for n in lengths)


def lengths_of(path, count):
    return [len(line.split()) for line in path.read_text().split("\n")[:-1][:count]]


class Work:
    """One row group of the table. engines: name -> (process, command, options); `base` is what the others are divided by.
    amount per run in `unit`; limit: the kind of limit that amount is held against, if any."""

    def __init__(self, group, title, base, engines, amount, unit, compare, limit=None, seconds=1.0, headline=False):
        self.group, self.title, self.base, self.engines = group, title, base, engines
        self.amount, self.unit, self.compare, self.limit = amount, unit, compare, limit
        self.seconds, self.headline = seconds, headline


def encode_work(root, model, dtype, threads, title, texts, ids, batch, count, headline=False):
    # "texts" is what ranklet reads as it comes; (ids, name suffix, order) are the peers' inputs.
    of = lambda path: f"{root}/{path}"
    ranklet = "ranklet" if dtype == "f32" else f"ranklet {dtype}"
    given = dict(model=of(f"models/{model}-{dtype}.gguf"), threads=threads, count=count)
    engines = {}
    if Path(given["model"]).exists():
        engines[ranklet] = ("ranklet", "encode", dict(given, texts=of(f"inputs/{texts}.txt")))
        if count == 1 and threads == 1:
            engines[ranklet + ", ids given"] = ("ranklet", "encode_ids", dict(given, ids=of(f"inputs/{texts}.ids")))
    forms = {"f32": {"ONNX Runtime": "fused"}, "bf16": {"ONNX Runtime f32": "fused"},
             "i8": {"ONNX Runtime int8": "int8", "ONNX Runtime int8, fused": "int8-fused"}}[dtype]
    for suffix, file in ids.items():
        options = dict(threads=threads, count=count, batch=batch, ids=of(f"inputs/{file}.ids"))
        for engine, form in forms.items():
            engines[engine + suffix] = ("node", "encode", dict(options, model=of(f"graphs/{model}-{form}.onnx")))
        checkpoint = of("checkpoints/" + MODELS[model]["checkpoint"])
        engines["PyTorch" + {"f32": "", "bf16": " bf16", "i8": " int8"}[dtype] + suffix] = (
            "python", "encode", dict(options, model=checkpoint, dtype=dtype))
    lengths = lengths_of(root / f"inputs/{texts}.ids", count)
    compare = Vectors(root, model, threads, texts, count, dtype)
    return Work(f"{model}, {dtype}, {threads} thread{'s' * (threads > 1)}", title, ranklet, engines,
                flops(model, lengths), "GFLOP/s", compare, dtype, seconds=1.0 if count == 1 else 0.5, headline=headline)


def plan(root, quick):
    works = []
    threads = [n for n in (1, 2) if n <= os.cpu_count()]
    shapes = [(1, 8), (1, 16), (1, 32), (1, 128), (8, 16), (8, 32), (8, 128), (32, 16), (32, 32), (32, 128)]
    for model in MODELS:
        for count in threads:
            for dtype in ("f32", "bf16", "i8"):
                for batch, length in [(1, 32), (8, 128), (32, 32)] if quick else shapes:
                    works.append(encode_work(
                        root, model, dtype, count, f"{batch} text{'s' * (batch > 1)} of {length} tokens", f"equal-{length}",
                        {"": f"equal-{length}"}, batch, batch, headline=(batch, length) in ((1, 32), (32, 32))))
                if model == "MiniLM-L6" or not quick:
                    works.append(encode_work(
                        root, model, dtype, count, "1,000 titles", "catalog",
                        {"": "catalog", ", sorted": "catalog-sorted"}, 32, 1000, headline=True))
    for hidden in (384, 768):
        for count in threads:
            for sequences in (1, 32):
                files = dict(hidden=hidden, steps=50, sequences=sequences, threads=count, x=f"{root}/inputs/gru-{hidden}-x.f32")
                weights = f"{root}/inputs/gru-{hidden}.f32"
                works.append(Work(
                    f"GRU, f32, {count} thread{'s' * (count > 1)}",
                    f"{hidden}, 50 events, {sequences} sequence{'s' * (sequences > 1)}", "ranklet",
                    {"ranklet": ("ranklet", "gru", dict(files, weights=weights)),
                     "ranklet, bf16 weights": ("ranklet", "gru", dict(files, weights=weights, bf16=1)),
                     "ranklet, i8 weights": ("ranklet", "gru", dict(files, weights=weights, i8=1)),
                     "ONNX Runtime": ("node", "gru", dict(files, model=f"{root}/graphs/gru-{hidden}.onnx")),
                     "PyTorch": ("python", "gru", dict(files, weights=weights))},
                    2 * 50 * sequences * 6 * hidden * hidden, "GFLOP/s", Numbers(1e-4), "f32", headline=hidden == 384))
    for count in threads:
        for users in (1, 32):
            files = dict(rows=f"{root}/inputs/rows.f32", queries=f"{root}/inputs/queries.f32", dim=384, users=users, k=100,
                         threads=count)
            works.append(Work(
                f"Exact top 100 of 1,000,000 x 384, f32, {count} thread{'s' * (count > 1)}", f"{users} user{'s' * (users > 1)}",
                "ranklet",
                {"ranklet": ("ranklet", "search", files), "ranklet, 8-bit rows first": ("ranklet", "search", dict(files, i8=1)),
                 "faiss IndexFlatIP": ("python", "search", dict(files, engine="faiss")),
                 "numpy": ("python", "search", dict(files, engine="numpy")), "usearch": ("node", "search", files)},
                *((1_000_000 * 384 * 4, "GB/s") if users == 1 else (2 * users * 1_000_000 * 384, "GFLOP/s")),
                Best(files), "read" if users == 1 else "f32", headline=True))
    titles = dict(texts=f"{root}/inputs/titles.txt", count=10**9, max_length=256)
    works.append(Work(
        "WordPiece, 1 thread", "10,000 titles", "ranklet",
        {"ranklet": ("ranklet", "tokenize", dict(titles, model=f"{root}/models/MiniLM-L6-f32.gguf")),
         "Hugging Face tokenizers": ("node", "tokenize", dict(
             titles, tokenizer=f"{root}/checkpoints/all-MiniLM-L6-v2/tokenizer.json"))},
        sum(lengths_of(root / "inputs/titles.ids", 10**9)), "M tokens/s", Same(), headline=True))
    return works


# ---------------------------------------------------------------- comparing results: (fine, what to say), or an exception

class Vectors:
    """Each text's vector against ranklet's in f32: the smallest cosine."""

    def __init__(self, root, model, threads, texts, count, dtype):
        self.root, self.dim, self.floor = root, MODELS[model]["dim"], {"f32": 0.99999, "bf16": 0.99, "i8": 0.9}[dtype]
        self.reference = ("ranklet", "encode", dict(model=f"{root}/models/{model}-f32.gguf", threads=threads, count=count,
                                                    texts=f"{root}/inputs/{texts}.txt"))

    def __call__(self, engine, result, reference):
        vectors = np.frombuffer(result, np.float32).reshape(-1, self.dim).astype(np.float64)
        expected = np.frombuffer(reference, np.float32).reshape(-1, self.dim).astype(np.float64)
        if engine.endswith(", sorted"):
            expected = expected[np.loadtxt(self.root / "inputs/catalog-sorted.order", int)]
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
        cosine = ((vectors * expected).sum(1) / norms).min()
        return bool(cosine >= self.floor), f"cosine {cosine:.6f}" if self.floor > 0.9 else f"cosine {cosine:.4f}"


class Numbers:
    reference = None

    def __init__(self, tolerance):
        self.tolerance = tolerance

    def __call__(self, engine, result, reference):
        difference = np.abs(np.frombuffer(result, np.float32) - np.frombuffer(reference, np.float32)).max()
        # 8 bits on weights that are all noise: 0.07 at most after 50 steps (bf16: 0.009)
        tolerance = self.tolerance * (300 if "bf16" in engine else 1000 if "i8" in engine else 1)
        return bool(difference <= tolerance), f"differs by {difference:.0e}"


class Best:
    """Indices of the best rows: as good, in float64, as the reference's (near-ties may come in another order)."""
    reference = None

    def __init__(self, files):
        self.files = files

    def __call__(self, engine, result, reference):
        f, shape = self.files, (self.files["users"], self.files["k"])
        rows = np.memmap(f["rows"], np.float32, "r").reshape(-1, f["dim"])
        users = np.fromfile(f["queries"], np.float32).reshape(-1, f["dim"])
        same, worst = 0, 0.0
        pairs = zip(users, np.frombuffer(result, np.int32).reshape(shape), np.frombuffer(reference, np.int32).reshape(shape))
        for user, found, expected in pairs:
            score = lambda ids: rows[np.sort(ids)].astype(np.float64) @ user.astype(np.float64)
            same += len(set(found.tolist()) & set(expected.tolist()))
            worst = max(worst, np.abs(np.sort(score(found)) - np.sort(score(expected))).max())
            if len(set(found.tolist())) != f["k"]:
                return False, "an index comes twice"
        return bool(worst <= 1e-6), f"{same} of {shape[0] * shape[1]} ids equal"


class Same:
    reference = None

    def __call__(self, engine, result, reference):
        ours, theirs = result.decode().split("\n"), reference.decode().split("\n")
        different = sum(a != b for a, b in zip(ours, theirs)) + abs(len(ours) - len(theirs))
        return different == 0, f"{different} texts differ" if different else "ids equal"


def outputs(peers, root, work):
    """What each engine answers: engine -> note; and engine -> why it is not timed."""
    def result(process, command, options):
        out = root / "out.bin"
        out.unlink(missing_ok=True)
        reply = peers[process].ask(command, **options, out=out)
        if "error" in reply:
            raise RuntimeError(reply["error"].replace(f"{root}/", ""))
        return out.read_bytes()

    reference = result(*(work.compare.reference or work.engines[work.base]))
    notes, refused = {}, {}
    for engine, command in work.engines.items():
        try:
            fine, notes[engine] = work.compare(engine, result(*command), reference)
            if not fine:
                refused[engine] = "another result: " + notes[engine]
        except (RuntimeError, ValueError) as error:
            refused[engine] = str(error)
    return notes, refused


# ---------------------------------------------------------------- the run

def busy_cores():
    """How many cores others use, over two seconds."""
    def ticks():
        values = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(values) - values[3] - values[4], sum(values)
    if not Path("/proc/stat").exists():
        return os.getloadavg()[0]
    before = ticks()
    time.sleep(2)
    busy, total = (now - then for now, then in zip(ticks(), before))
    return os.cpu_count() * busy / max(total, 1)


def machine():
    info = {}
    for line in subprocess.run(["lscpu"], stdout=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"}).stdout.splitlines():
        key, _, value = line.partition(":")
        info[key.strip()] = value.strip()
    read = lambda path: Path(path).read_text() if Path(path).exists() else ""
    system = re.search(r'PRETTY_NAME="(.*)"', read("/etc/os-release"))
    wanted = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "asimd", "asimddp")
    return {
        "cpu": info.get("Model name", platform.machine()),
        "cores": f"{info.get('CPU(s)', os.cpu_count())} (family {info.get('CPU family', '?')}, model {info.get('Model', '?')})",
        "instruction sets": " ".join(flag for flag in wanted if flag in info.get("Flags", "").split()),
        "caches": ", ".join(f"{key[:-6]} {info[key]}" for key in ("L1d cache", "L2 cache", "L3 cache") if key in info),
        "memory": f"{int(re.search(r'MemTotal: +([0-9]+)', read('/proc/meminfo'))[1]) / 2**20:.0f} GiB",
        "system": f"{system[1] if system else platform.system()}, kernel {platform.release()}",
        "OpenBLAS kernels": os.environ.get("OPENBLAS_CORETYPE", "its own choice"),
    }


def main():
    parser = argparse.ArgumentParser(description="Measures ranklet and its peers in turn.")
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true", help="three rounds of fewer shapes instead of five of all")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="groups whose name holds one of these")
    parser.add_argument("--append", action="store_true", help="keep what OUT has of other groups, measured on this day here")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    rounds, scale = (3, 0.3) if arguments.quick else (5, 1.0)
    load = busy_cores()

    peers = {"ranklet": Peer(root / "ranklet_peer"),
             "node": Peer("node", HERE / "peer_node.mjs", root, RAYON_NUM_THREADS="1"),
             "python": Peer(sys.executable, HERE / "peer_python.py")}
    versions = {}
    for name, peer in peers.items():
        reply = peer.ask("versions", threads=1)
        if "error" in reply:
            raise SystemExit(f"{name}: {reply['error']}")
        versions.update(reply)

    groups = {}
    for work in plan(root, arguments.quick):
        if not arguments.only or any(word in work.group for word in arguments.only):
            groups.setdefault(work.group, []).append(work)
    failed, rows, limits, before = False, [], {}, None
    if arguments.append and arguments.out.exists():
        before = json.loads(arguments.out.read_text())
        if (before["date"], before["machine"]) != (time.strftime("%Y-%m-%d"), machine()):
            raise SystemExit(f"--append: {arguments.out} is of another day or machine")
        rows = [row for row in before["rows"] if row["group"] not in groups]
        limits, load = before["limits"], max(load, before["load"])
    for group, works in groups.items():
        print(group, file=sys.stderr)
        threads = int(re.search(r"(\d+) thread", group)[1])
        checked = []
        for work in works:
            notes, refused = outputs(peers, root, work)
            for engine, why in refused.items():
                print(f"  {work.title}: {engine}: {why}", file=sys.stderr)
                failed = failed or why.startswith("another result")
            checked.append((work, notes, refused, {engine: [] for engine in work.engines if engine not in refused}))
        for _ in range(rounds):
            for kind in ("f32", "bf16", "i8", "read"):
                reply = peers["ranklet"].ask("limit", kind=kind, threads=threads)
                if "per_second" in reply:
                    limits.setdefault(f"{kind} {threads}", []).append(reply["per_second"])
            for work, _, refused, times in checked:
                for engine in list(times):
                    process, command, options = work.engines[engine]
                    time.sleep(PAUSE)
                    reply = peers[process].ask(command, **options, seconds=work.seconds * scale)
                    if "error" in reply:
                        refused[engine] = reply["error"].replace(f"{root}/", "")
                        del times[engine]
                        continue
                    seconds = reply["seconds"]
                    # The first run finds caches as the engine before left them.
                    times[engine].append(statistics.median(seconds[1:] if len(seconds) > 1 else seconds))
        for work, notes, refused, times in checked:
            rows.append(dict(group=group, title=work.title, base=work.base, amount=work.amount, unit=work.unit,
                             limit=f"{work.limit} {threads}" if work.limit else None, headline=work.headline,
                             engines=list(work.engines), notes=notes, refused=refused, seconds=times))
            print("  " + work.title + ": " + ", ".join(f"{engine} {statistics.median(of) * 1e3:.3g} ms"
                                                      for engine, of in times.items()), file=sys.stderr)
        for peer in peers.values():
            peer.ask("forget")
        call = peers["node"].ask("call", model=f"{root}/graphs/nothing.onnx", threads=1, seconds=0.1)
        results = dict(date=time.strftime("%Y-%m-%d"), rounds=rounds, quick=arguments.quick, load=load, machine=machine(),
                       versions=versions, limits=limits, node_call=statistics.median(call["seconds"]), rows=rows)
        if before is not None:
            results.update(rounds=before["rounds"], quick=before["quick"])
        # After each group: a run that is broken off leaves what it has.
        arguments.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for peer in peers.values():
        peer.stop()
    if not rows:
        raise SystemExit("nothing to measure: --only matches no group")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
