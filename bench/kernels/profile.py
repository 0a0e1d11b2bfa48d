#!/usr/bin/env python3
"""Profiles the kernels that cuda_layer launches, by Nsight Compute: a line of Markdown for each, by number of rows.

    bench/kernels/profile.py build/cuda/bench/cuda_layer --shape 7b --format int4 --rows 1,32,128
    bench/kernels/profile.py --csv saved.csv --rows 32      # from what `ncu --csv` printed; one file a number of rows

A line is a kernel and its grid, with the medians of its launches. Operators may share both, such as o and down:
launches whose times are far apart get lines of their own. ncu runs a kernel once for each group of counters, so a
matrix that fits in L2 may still be there from the run before: --cache-control all empties the caches in between.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Iterator

TIME, READ, WRITTEN = "gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum"
PERCENT = [f"{unit}.avg.pct_of_peak_sustained_elapsed"
           for unit in ("dram__throughput", "lts__throughput", "sm__pipe_tensor_cycles_active")]
UNITS = {"s": 1e9, "ms": 1e6, "us": 1e3, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}  # to nanoseconds and bytes
NAN = float("nan")
Launch = dict[str, float]  # by metric

# As cuda_layer.cc has it: each operator runs over all layers once, then in so many replays; whole layers follow, as
# often. Its measurements of the device come first, and launch no kernel more often than so many times.
ROUNDS, LAUNCHES_BEFORE = 1 + 8, 6
MOST_OPERATORS = 4  # of a layer that may share a kernel and grid
SAME_OPERATOR = 1.2  # times of its launches, from one to the next longer one, differ by less
LEAST_SHARE = 0.01  # of the time of all lines


def command(options: argparse.Namespace, rows: int) -> list[str]:
    # Of each kernel and grid the last launches of every operator, of whole layers, and of the head, which is one layer.
    ends = [ROUNDS, *(ROUNDS * options.layers * (i + 1) for i in range(2 * MOST_OPERATORS))]
    wanted = {n for end in ends for n in range(end - options.launches + 1, end + 1) if n > LAUNCHES_BEFORE}
    invocations = "" if options.every_launch else f"^({'|'.join(str(n) for n in sorted(wanted))})$"
    return [options.ncu, "--csv", "--print-units", "base", "--replay-mode", "kernel", "--graph-profiling", "node",
            "--clock-control", "none", "--cache-control", options.cache_control,
            "--filter-mode", "per-launch-config", "--kernel-id", f"::regex:^(?!fill$|read_all$):{invocations}",
            "--metrics", ",".join([TIME, READ, WRITTEN, *PERCENT]), options.program, "--shape", options.shape,
            "--format", options.format, "--layers", str(options.layers), "--rows", str(rows)]


def profile(options: argparse.Namespace, rows: int) -> str:
    if shutil.which(options.ncu) is None:
        raise RuntimeError(f"{options.ncu} was not found (--ncu PATH)")
    done = subprocess.run(command(options, rows), capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("==ERROR==")]
        own = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("==")]
        raise RuntimeError(" ".join([f"{options.program} under ncu: status {done.returncode}.", *own[-1:], *errors]))
    return done.stdout


def short(kernel: str) -> str:
    """void a::linear_kernel<a::Int4Format<(int)4, 0>, 1>(a::LinearArgs) becomes linear<Int4<4,0>,1>."""
    kernel = re.sub(r"^void |\(anonymous namespace\)::|<?unnamed>::|\b\w+::", "", kernel)
    kernel = re.sub(r"\(\w+( \w+)*\)(?=[-\w])", "", kernel).split("(")[0]  # types of values, then parameters
    return re.sub(r"(_kernel|Format)\b|(?<=,) +| +(?=>)", "", kernel)


def number(text: str, unit: str) -> float:
    text = text.replace(",", "")
    return (float(text) if text != "n/a" else NAN) * UNITS.get(unit.replace("econd", ""), 1)  # older versions: "usecond"


def read(text: str) -> list[tuple[str, Launch]]:
    """Launches, with kernel and grid. Before ncu's lines, one a metric, come what the program printed and progress."""
    _, header, rest = ("\n" + text).partition('\n"ID",')
    launches: dict[tuple[str, str], Launch] = defaultdict(dict)
    for row in csv.DictReader(line for line in (header + rest).splitlines() if line.startswith('"')):
        if row.get("Metric Value") and short(row["Kernel Name"]) not in ("fill", "read_all"):
            grid = re.sub(r"(, 1)*\)$", "", row["Grid Size"]).strip("(").replace(", ", "x")
            metrics = launches[row["ID"], f"`{short(row['Kernel Name'])}` {grid}"]
            metrics[row["Metric Name"]] = number(row["Metric Value"], row["Metric Unit"])
    return [(kernel, metrics) for (_, kernel), metrics in launches.items() if metrics.get(TIME, 0) > 0]


def table(rows: int, launches: list[tuple[str, Launch]]) -> Iterator[str]:
    parts: list[tuple[str, list[Launch]]] = []
    for name, launch in sorted(launches, key=lambda item: (item[0], item[1][TIME])):
        if not parts or name != parts[-1][0] or launch[TIME] > SAME_OPERATOR * parts[-1][1][-1][TIME]:
            parts.append((name, []))
        parts[-1][1].append(launch)
    totals = [sum(launch[TIME] for launch in part) for _, part in parts]
    for total, (name, part) in sorted(zip(totals, parts), key=lambda line: -line[0]):
        if total >= LEAST_SHARE * sum(totals):
            rate = median((launch.get(READ, NAN) + launch.get(WRITTEN, NAN)) / launch[TIME] for launch in part)
            percent = (median(launch.get(metric, NAN) for launch in part) for metric in PERCENT)
            cells = [f"{median(launch[TIME] for launch in part) / 1e3:.1f}", *(f"{n:.0f}" for n in (rate, *percent))]
            yield f"| {rows} | {name} | {len(part)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", help="cuda_layer")
    for name, default in (("--shape", "7b"), ("--format", "int4"), ("--ncu", "ncu")):
        parser.add_argument(name, default=default)
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default="1,32,128")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--launches", type=int, default=3, help="profiled of every operator")
    parser.add_argument("--every-launch", action="store_true", help="profile all of them, which takes long")
    parser.add_argument("--cache-control", choices=("none", "all"), default="none")
    parser.add_argument("--csv", action="append", type=Path, default=[], metavar="FILE", help="instead of running ncu")
    options = parser.parse_args()
    if len(options.csv) != len(options.rows) if options.csv else options.program is None:
        parser.error("give cuda_layer, or as many --csv as --rows")

    print("| rows | kernel, grid | launches | us | DRAM GB/s | DRAM % | L2 % | tensor % |\n|" + "---|" * 8, flush=True)
    for i, rows in enumerate(options.rows):
        launches = read(options.csv[i].read_text(errors="replace") if options.csv else profile(options, rows))
        if not launches:
            raise RuntimeError(f"no kernels were profiled with {rows} rows")
        print("\n".join(table(rows, launches)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"profile.py: {error}")
