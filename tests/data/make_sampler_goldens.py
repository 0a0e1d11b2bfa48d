#!/usr/bin/env python3
"""Writes tests/data/sampler/golden.json: which tokens may be drawn, and how likely each is.

The reference is the chain of logits processors of Hugging Face transformers, in the order in which `generate` applies
them: repetition penalty, temperature, top-k, top-p, min-p. Exact command, from the repository's root:

    python3 tests/data/make_sampler_goldens.py

Logits are multiples of 1/32, so that JSON carries them exactly and equal ones occur. A case is taken only if no
token lies so near a limit that the order of additions could decide about it; exact limits, where float arithmetic
leaves no doubt, are the cases named `limit_`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

HERE = Path(__file__).resolve().parent
VOCAB = 50
MARGIN = 1e-4  # of a probability from the limit that it is compared with
LEAST = 1e-3  # kept tokens are at least this likely: the test must see each of them drawn

PARAMETERS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7},
    {"temperature": 1.7},
    {"top_k": 1},
    {"top_k": 7},
    {"top_k": 50},
    {"top_k": 1000},
    {"top_p": 0.05},
    {"top_p": 0.6},
    {"top_p": 0.95},
    {"min_p": 0.02},
    {"min_p": 0.3},
    {"repetition_penalty": 1.05},
    {"repetition_penalty": 1.8},
    {"repetition_penalty": 0.6},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.6, "repetition_penalty": 1.05},  # as the models' cards recommend
    {"temperature": 1.3, "top_k": 12, "top_p": 0.8},
    {"temperature": 1.3, "top_k": 12, "min_p": 0.2},
    {"temperature": 2.0, "top_p": 0.9, "min_p": 0.1},
    {"temperature": 0.5, "top_p": 0.9, "min_p": 0.1},
    {"temperature": 1.5, "top_k": 30, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.3},
    {"temperature": 0.8, "top_k": 30, "top_p": 0.97, "min_p": 0.01, "repetition_penalty": 0.8},
]


def processors(p: dict[str, Any]) -> list[Any]:
    chain: list[Any] = []
    if "repetition_penalty" in p:
        chain.append(RepetitionPenaltyLogitsProcessor(p["repetition_penalty"]))
    if "temperature" in p:
        chain.append(TemperatureLogitsWarper(p["temperature"]))
    if "top_k" in p:
        chain.append(TopKLogitsWarper(p["top_k"]))
    if "top_p" in p:
        chain.append(TopPLogitsWarper(p["top_p"]))
    if "min_p" in p:
        chain.append(MinPLogitsWarper(p["min_p"]))
    return chain


def distribution(logits: list[float], history: list[int], p: dict[str, Any], dtype: torch.dtype) -> torch.Tensor:
    scores = torch.tensor([logits], dtype=dtype)
    for processor in processors(p):
        scores = processor(torch.tensor([history], dtype=torch.long), scores)
    return scores.softmax(dim=-1)[0]


def nudged(p: dict[str, Any], by: float) -> dict[str, Any]:
    return {key: value + by if key in ("top_p", "min_p") else value for key, value in p.items()}


def case(name: str, logits: list[float], history: list[int], p: dict[str, Any]) -> dict[str, Any]:
    probabilities = distribution(logits, history, p, torch.float64)
    kept = [i for i, value in enumerate(probabilities.tolist()) if value > 0]
    single = distribution(logits, history, p, torch.float32)
    if kept != [i for i, value in enumerate(single.tolist()) if value > 0]:
        raise ValueError(f"{name}: precision decides")
    return {"name": name, "logits": logits, "history": history, "sampling": p, "kept": kept,
            "probabilities": [round(probabilities[i].item(), 6) for i in kept]}


def is_clear(logits: list[float], history: list[int], p: dict[str, Any]) -> bool:
    """No token is near a limit, none of equal ones is cut off, and none is too rare to be seen."""
    probabilities = distribution(logits, history, p, torch.float64)
    for by in (-MARGIN, MARGIN):
        if not torch.equal(distribution(logits, history, nudged(p, by), torch.float64) > 0, probabilities > 0):
            return False
    kept = probabilities[probabilities > 0]
    if kept.min() < LEAST or (len(p) > 1 and len(kept) < 4):
        return False
    # Equal ones on both sides of a cut: transformers keeps all of them (top-k) or any of them (top-p).
    processed = RepetitionPenaltyLogitsProcessor(float(p.get("repetition_penalty", 1.0)))(
        torch.tensor([history]), torch.tensor([logits], dtype=torch.float64))[0]
    least = processed[probabilities > 0].min()
    if (processed[probabilities == 0] == least).any():
        return False
    return int((probabilities > 0).sum()) <= p.get("top_k", VOCAB)


def main() -> None:
    random.seed(20)
    cases: list[dict[str, Any]] = []
    for number, parameters in enumerate(PARAMETERS):
        for _ in range(100000):
            spread = 1.2 if {"top_k", "top_p", "min_p"}.isdisjoint(parameters) else 2.5
            if parameters == {"temperature": 0.7} or parameters.get("top_k", 0) >= VOCAB:
                spread = 0.9
            logits = [round(random.gauss(0, spread) * 32) / 32 for _ in range(VOCAB)]
            history = [random.randrange(VOCAB) for _ in range(random.randrange(5, 40))]
            if is_clear(logits, history, parameters):
                cases.append(case(f"random_{number}", logits, history, parameters))
                break
        else:
            raise RuntimeError(f"no clear case for {parameters}")

    # Exact limits, on probabilities that are powers of two. Which of equal ones top-p keeps is left open by the
    # reference, so only their number counts.
    off = -60.0  # exp of it is lost beside 1 in double precision too
    four = [off] * 2 + [0.0] * 4 + [off] * 2
    cases.append(case("limit_top_p_above_half", four, [0], {"top_p": 0.5625}))  # 3 of 4 equal ones
    cases.append(case("limit_top_p_just_reached", four, [0], {"top_p": 0.5}))  # 2
    cases.append(case("limit_top_p_first_alone", four, [0], {"top_p": 0.25}))  # 1
    cases.append(case("limit_min_p_one_keeps_equals", [1.0, 3.0, 3.0, 2.96875], [0], {"min_p": 1.0}))
    # Penalties: of positive and negative logits, of zero, and of a token that occurs twice (once is enough).
    signs = [2.0, -2.0, 0.0, 1.0, -1.0]
    cases.append(case("penalty_signs", signs, [0, 1, 2, 0, 0], {"repetition_penalty": 1.5}))
    # min_p is relative to the likeliest, and comes after top-p.
    cases.append(case("min_p_after_top_p", [3.0, 2.5, 2.0, 1.0, 0.0], [0], {"top_p": 0.9, "min_p": 0.5}))
    path = HERE / "sampler" / "golden.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(c) for c in cases)
    path.write_text(f"[\n{lines}\n]\n")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
