#!/usr/bin/env bash
# Two threads beside a busy neighbour: the benchmarks neighbour_* (bench/neighbour_bench.cpp), as ratios to one thread.
# In: the build's folder (default: build/release); started in the repository's root, on a machine with nothing else to do.
# Out: a table; exit code 1 where two threads beside the neighbour take more than 1.2 times what one thread takes there.
set -euo pipefail

build=${1:-build/release}
results=$(mktemp)
trap 'rm -f "$results"' EXIT
"$build/bench/ranklet_bench" --benchmark_filter='^neighbour_' --benchmark_min_time=0.2 --benchmark_repetitions=5 \
    --benchmark_enable_random_interleaving=true --benchmark_report_aggregates_only=true \
    --benchmark_out="$results" --benchmark_out_format=json >&2
python3 - "$results" <<'PY'
import json
import sys

bound = 1.2
times = {}
for run in json.load(open(sys.argv[1], encoding="utf-8"))["benchmarks"]:
    if run.get("aggregate_name") != "median":
        continue
    name, *arguments = run["run_name"].split("/")
    where, busy, size = (int(argument.split(":")[1]) for argument in arguments[:3])
    times[name, size, busy, where] = run["real_time"]
if not times:
    sys.exit("no benchmark ran")
over = 0
print("| work | size | one thread, us | OpenMP | ThreadPool | beside the neighbour: one thread, us | OpenMP | ThreadPool |")
print("|---|---|---|---|---|---|---|---|")
for name, size in sorted({key[:2] for key in times}):
    cells = []
    for busy in (0, 1):
        one = times[name, size, busy, 0]
        cells.append(f"{one:.0f}")
        for where in (1, 2):
            ratio = times[name, size, busy, where] / one
            late = busy == 1 and ratio > bound
            over += late
            cells.append(f"{ratio:.2f}" + (" over" if late else ""))
    print(f"| {name.removeprefix('neighbour_')} | {size} | " + " | ".join(cells) + " |")
print(f"{over} over {bound}" if over else f"none over {bound}")
sys.exit(over > 0)
PY
