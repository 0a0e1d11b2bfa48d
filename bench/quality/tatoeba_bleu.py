#!/usr/bin/env python3
"""BLEU of `pagoda translate` on the first lines of Tatoeba test files (tab-separated: from, to, source, reference).

    bench/quality/tatoeba_bleu.py --model models/nano --testsets ../shared/testsets/tatoeba

Greedy, without retries, scored by sacrebleu (13a; zh for Chinese; char for Japanese and Korean). --expect compares each
direction with the figures of the BF16 original (nano-bf16's README) and fails where one is more than --tolerance below.
Needs: pip install sacrebleu.
"""
import argparse
import pathlib
import subprocess
import sys
import time

import sacrebleu

ROOT = pathlib.Path(__file__).resolve().parents[2]
# nano-bf16's README: greedy, first 400 lines.
EXPECTED = {"en-fr": 45.9, "zh-en": 31.0, "en-zh": 31.0, "en-de": 37.0}


def read_pairs(testsets: pathlib.Path, source: str, target: str, lines: int) -> tuple[list[str], list[str]]:
    """Sources and references of a direction; the file may be of the opposite one."""
    forward = testsets / f"{source}-{target}.tsv"
    path = forward if forward.exists() else testsets / f"{target}-{source}.tsv"
    rows = [line.rstrip("\n").split("\t") for line in path.open(encoding="utf-8")][:lines]
    columns = (2, 3) if path == forward else (3, 2)
    return [row[columns[0]] for row in rows], [row[columns[1]] for row in rows]


def translate(pagoda: pathlib.Path, model: str, isa: str, source: str, target: str, texts: list[str]) -> list[str]:
    command = [str(pagoda), "translate", "--model", model, "--from", source, "--to", target, "--no-retry", "--quiet"]
    if isa:
        command += ["--cpu-isa", isa]
    done = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True, check=True)
    answers = done.stdout.split("\n")[:-1]
    if len(answers) != len(texts):
        sys.exit(f"{len(texts)} lines in, {len(answers)} lines out")
    return answers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pagoda", type=pathlib.Path, default=ROOT / "build/release/src/cli/pagoda")
    parser.add_argument("--model", default=str(ROOT / "models/nano"))
    parser.add_argument("--cpu-isa", default="", help="avx2 or avx512: activations stay float")
    parser.add_argument("--testsets", type=pathlib.Path, default=ROOT.parent / "shared/testsets/tatoeba")
    parser.add_argument("--directions", default=",".join(EXPECTED))
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--expect", action="store_true", help="fail below the README's figure minus --tolerance")
    parser.add_argument("--tolerance", type=float, default=0.3)
    arguments = parser.parse_args()

    low = []
    for direction in arguments.directions.split(","):
        source, target = direction.split("-")
        texts, references = read_pairs(arguments.testsets, source, target, arguments.lines)
        start = time.monotonic()
        answers = translate(arguments.pagoda, arguments.model, arguments.cpu_isa, source, target, texts)
        seconds = time.monotonic() - start
        tokenizer = {"zh": "zh", "ja": "char", "ko": "char"}.get(target, "13a")
        bleu = sacrebleu.corpus_bleu(answers, [references], tokenize=tokenizer).score
        expected = EXPECTED.get(direction)
        note = f"{expected:6.1f} {bleu - expected:+6.2f}" if expected is not None else ""
        print(f"{direction:<6} {len(texts):5} lines  BLEU {bleu:6.2f}  {note}  {seconds:6.1f} s", flush=True)
        if arguments.expect and expected is not None and bleu < expected - arguments.tolerance:
            low.append(direction)
    if low:
        print("below the expected figure: " + ", ".join(low))
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
