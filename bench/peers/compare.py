#!/usr/bin/env python3
"""Turns the raw output of both sides of bench/peers/llama_cpp.sh into one table, or one JSON object a row.

Reads files of JSON lines (a missing one counts as empty; lines that are no JSON objects are skipped):
ours         - `pagoda bench --json`: test, batch, tokens_per_second, and the fraction of the machine's limit reached
FORMAT=PATH  - `llama-bench -o jsonl` (n_prompt, n_gen, avg_ts) and `llama-batched-bench --output-format jsonl` (pl, tg,
               speed_tg) with weights in that format; with several, the fastest one of each row counts
The same measurement occurs once a round; the median of the rounds is reported.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any, Iterator

Key = tuple[str, int]  # test, batch
Rates = dict[Key, list[float]]  # tokens per second, one a round


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def our_values(path: Path, name: str) -> Rates:
    values: Rates = defaultdict(list)
    for record in json_lines(path):
        values[record["test"], record["batch"]].append(record[name])
    return values


def peer_rates(path: Path) -> Rates:
    rates: Rates = defaultdict(list)
    for record in json_lines(path):
        if "pl" in record:
            rates[f"tg{record['tg']}", record["pl"]].append(record["speed_tg"])
        elif record["n_prompt"]:
            rates[f"pp{record['n_prompt']}", 1].append(record["avg_ts"])
        else:
            rates[f"tg{record['n_gen']}", 1].append(record["avg_ts"])
    return rates


def wanted(tests: str, batches: str) -> Iterator[Key]:
    for test in tests.split(","):
        for batch in [1] if test.startswith("pp") else [int(text) for text in batches.split(",")]:
            yield test, batch


def middle(rates: Rates, key: Key) -> float | None:
    return median(rates[key]) if rates.get(key) else None


def shown(value: float | None, decimals: int = 2) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tests", "batches", "shape", "format", "peer", "peer-version", "cpu"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("ours", type=Path)
    parser.add_argument("theirs", nargs="+", metavar="FORMAT=PATH")
    arguments = parser.parse_args()
    ours = our_values(arguments.ours, "tokens_per_second")
    fractions = our_values(arguments.ours, "fraction")
    theirs = {name: peer_rates(Path(path)) for name, path in (text.split("=", 1) for text in arguments.theirs)}

    if not arguments.json:
        print(f"{arguments.shape} {arguments.format}, {arguments.threads} threads, {arguments.cpu}; "
              f"tokens/s, medians; theirs: {arguments.peer_version}")
        print(f"{'test':<8}{'batch':>6}{'ours':>10}{'of limit':>10}" + "".join(f"{name:>10}" for name in theirs)
              + f"{'ratio':>8}")
    for test, batch in wanted(arguments.tests, arguments.batches):
        key = (test, batch)
        our, fraction = middle(ours, key), middle(fractions, key)
        each = {name: middle(rates, key) for name, rates in theirs.items()}
        best = max((name for name in each if each[name] is not None), key=lambda name: each[name] or 0.0, default=None)
        their = each[best] if best is not None else None
        ratio = our / their if our is not None and their else None
        if arguments.json:
            print(json.dumps({
                "test": test, "batch": batch, "shape": arguments.shape, "format": arguments.format, "ours": our,
                "fraction_of_limit": fraction, "theirs": their, "their_format": best, "ratio": ratio,
                "peer": arguments.peer, "peer_version": arguments.peer_version, "threads": arguments.threads,
                "cpu": arguments.cpu, "our_rounds": ours.get(key, []),
                "their_rounds": {name: rates.get(key, []) for name, rates in theirs.items()}}))
        else:
            limit = "-" if fraction is None else f"{100 * fraction:.0f} %"
            print(f"{test:<8}{batch:>6}{shown(our):>10}{limit:>10}"
                  + "".join(f"{shown(value):>10}" for value in each.values()) + f"{shown(ratio):>8}")


if __name__ == "__main__":
    main()
