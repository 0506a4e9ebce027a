#!/usr/bin/env python3
"""Turns measure.py's JSON into a Markdown table and an SVG chart, named after the date and the processor.

    python3 bench/peers/report.py RESULTS.json OUT_FOLDER

Ratios are formed within each round and their median is taken. Percentages are of limits measured in the same run.
"""
import json
import re
import statistics
import sys
from html import escape
from math import log
from pathlib import Path

UNITS = {"GFLOP/s": 1e9, "GB/s": 1e9, "M tokens/s": 1e6}
LIMITS = {"f32": ("f32 multiply-adds in registers", "GFLOP/s"),
          "bf16": ("bf16 dot products in registers", "GFLOP/s"), "i8": ("int8 dot products in registers", "Gop/s"),
          "read": ("reading memory", "GB/s")}


def digits(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def span(values, scale=1.0):
    values = sorted(value * scale for value in values)
    return f"{digits(statistics.median(values))} ({digits(values[0])} to {digits(values[-1])})"


def ratios(row, engine):
    """How many times as long as the base the engine took, round by round; None for the base and where either is absent."""
    base, other = row["seconds"].get(row["base"]), row["seconds"].get(engine)
    if engine == row["base"] or not base or not other:
        return None
    return [theirs / ours for theirs, ours in zip(other, base)]


def table(results):
    lines, group = [], None
    for row in results["rows"]:
        if row["group"] != group:
            group = row["group"]
            rounds = max(map(len, row["seconds"].values()), default=0)
            fewer = f" ({rounds} rounds)" if rounds != results["rounds"] else ""
            lines += ["", f"### {group}{fewer}", "", "| work | engine | ms, median (least to most) | rate | of the limit | "
                      "ranklet is faster by | result |", "|---|---|---|---|---|---|---|"]
        for engine in row["engines"]:
            title = row["title"] if engine == row["engines"][0] else ""
            if engine not in row["seconds"]:
                lines.append(f"| {title} | {engine} | not timed: {row['refused'][engine]} | | | | |")
                continue
            seconds = row["seconds"][engine]
            rate = row["amount"] / statistics.median(seconds)
            limit = results["limits"].get(row["limit"])
            share = f"{100 * rate / statistics.median(limit):.0f} %" if limit else ""
            against = ratios(row, engine)
            name = f"**{engine}**" if engine == row["base"] else engine
            lines.append(f"| {title} | {name} | {span(seconds, 1e3)} | {digits(rate / UNITS[row['unit']])} {row['unit']} | {share} | "
                         f"{span(against) if against else ''} | {row['notes'].get(engine, '')} |")
    return lines


def markdown(results, chart):
    lines = [f"# ranklet and its peers, {results['date']}", "",
             f"Made by `bash bench/peers/run.sh{' --quick' if results['quick'] else ''}`: the same weights, inputs and threads for "
             f"all, engines in turn in each of {results['rounds']} rounds, medians over the rounds with the least and the most. "
             "A ratio compares an engine with ranklet in the same round; over 1, ranklet is faster.", ""]
    if results["load"] > 0.5:
        lines += [f"**The machine was busy ({results['load']:.1f} cores in use before the run): these numbers are noise.**", ""]
    lines += [f"![How many times as long as ranklet the others take]({chart})", "", "| machine | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in {**results["machine"], **results["versions"]}.items() if value]
    for key, values in results["limits"].items():
        kind, threads = key.split()
        name, unit = LIMITS[kind]
        lines.append(f"| limit: {name}, {threads} thread{'s' * (threads != '1')} | {span(values, 1e-9)} {unit} |")
    lines += table(results)
    lines += ["", "### Notes", "",
              "- ranklet takes texts and tokenizes them within its time; \"ids given\" is the layers alone. The other engines "
              "take ids that were made and padded before. 1,000 titles: 5 to 64 tokens, in batches of 32 for the others, as "
              "they come and (\"sorted\") sorted by length; ranklet gets them as they come.",
              "- Rates of encoders count real tokens only, padding is not work. \"cosine\" is the smallest of any text's to "
              "ranklet in f32.",
              f"- ONNX Runtime, tokenizers and usearch are called from Node. A call of an empty ONNX graph takes "
              f"{results['node_call'] * 1e6:.0f} microseconds there.",
              "- ONNX Runtime: all graph optimisations; \"int8\" has the operators that its dynamic quantiser writes, \"fused\" "
              "its own attention operator; it has no bf16 on processors. PyTorch f32 and bf16: its fused TransformerEncoder; "
              "int8: its dynamic quantisation."]
    return "\n".join(lines) + "\n"


def svg(results):
    """Bars of the headline work at one thread: log scale, a line where ranklet is."""
    bars = []
    for row in results["rows"]:
        if not row["headline"] or "1 thread" not in row["group"]:
            continue
        peers = [(engine, statistics.median(of)) for engine in row["engines"]
                 if not engine.startswith("ranklet") and (of := ratios(row, engine))]
        if peers:
            bars.append((f"{row['group'].replace(', 1 thread', '')}: {row['title']}", peers))
    if not bars:
        return None
    width, label, right, line, gap, top = 980, 250, 60, 17, 12, 56
    values = [value for _, peers in bars for _, value in peers]
    low, high = min(0.5, *values), max(2.0, *values)
    place = lambda x: label + (width - label - right) * (log(x) - log(low)) / (log(high) - log(low))
    height = top + sum(line * (len(peers) + 1) + gap for _, peers in bars) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           '<text x="12" y="22" font-size="16" font-weight="bold">Time of other engines, divided by ranklet\'s</text>',
           f'<text x="12" y="40" fill="#555">{escape(results["machine"]["cpu"])}, one thread, {results["date"]}; '
           'logarithmic; right of the line ranklet is faster</text>']
    for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64):
        if low <= tick <= high:
            x = place(tick)
            style = 'stroke="#222"' if tick == 1 else 'stroke="#ddd"'
            out += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - 20}" {style}/>',
                    f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" fill="#555">{tick:g}</text>']
    y = top
    for title, peers in bars:
        out.append(f'<text x="12" y="{y + 13}" font-weight="bold">{escape(title)}</text>')
        y += line
        for engine, value in peers:
            start, end = sorted((place(1), place(value)))
            out += [f'<text x="{label - 8}" y="{y + 12}" text-anchor="end">{escape(engine)}</text>',
                    f'<rect x="{start:.1f}" y="{y + 2}" width="{max(end - start, 1):.1f}" height="{line - 4}" '
                    f'fill="{"#2a7f62" if value >= 1 else "#c0504d"}"/>',
                    f'<text x="{max(end, place(1)) + 5:.1f}" y="{y + 12}">{value:.2f}</text>']
            y += line
        y += gap
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    results = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    cpu = re.sub(r"\((R|TM)\)|\bCPU\b|@.*", "", results["machine"]["cpu"])
    stem = results["date"] + "-" + re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") + ("-quick" if results["quick"] else "")
    chart = svg(results)
    if chart:
        (folder / f"{stem}.svg").write_text(chart, encoding="utf-8")
    (folder / f"{stem}.md").write_text(markdown(results, f"{stem}.svg"), encoding="utf-8")
    print(folder / f"{stem}.md")


if __name__ == "__main__":
    main()
