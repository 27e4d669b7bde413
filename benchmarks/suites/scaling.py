"""Cost curves: how a capture's time grows with context length, environments, layers × heads and steps.

Policies of the reference's layout with random weights; one thread, decision rows on disk, processor time and wall.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnscope_model.acting.deciding import Decider
from attnscope_model.families.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.forward.fused import prefer_fused
from benchmarks.subject import CPU, subject
from benchmarks.timing import Cost, measured

SHAPE = ReferenceConfig(32, 4, 4, 160, 128, 9, 5, causal=False)
"""The reference's."""

LENGTHS, LAYERS_HEADS, BATCHES, STEPS = (
    (40, 80, 160, 320, 640),
    ((2, 4), (4, 4), (8, 4), (4, 8)),
    (1, 8, 64, 256),
    (400, 1600),
)


def decisions(config: ReferenceConfig, envs: int, count: int) -> Cost:
    """Return the milliseconds per env-step of decisions at a full window, rows recorded."""
    torch.manual_seed(0)
    policy = ReferencePolicy(config).eval().requires_grad_(requires_grad=False)
    prefer_fused(policy, CPU)
    decider = Decider(policy, envs, CPU)
    cells, zeros = np.full((envs, 2), 4), np.zeros(envs, np.int64)
    with torch.inference_mode():
        for _ in range(decider.window.capacity + 1):
            decider.append(cells, zeros, zeros, cells)
        decider.decide(cells, rows=True)
        with measured() as cost:
            for _ in range(count):
                decider.decide(cells, rows=True)
                decider.append(cells, zeros, zeros, cells)
    scale = 1e3 / (envs * count)
    return Cost(cost.wall * scale, cost.cpu * scale)


def best(config: ReferenceConfig, envs: int, count: int, tries: int) -> float:
    """Return the least processor time of several tries, in milliseconds per env-step."""
    return min(decisions(config, envs, count).cpu for _ in range(tries))


def run(*, quick: bool) -> dict[str, Any]:
    """Print each curve: processor time per env-step, least of the tries."""
    torch.set_num_threads(1)
    tries = 1 if quick else 3
    curves: dict[str, dict[str, float]] = {
        "context length (8 envs)": {
            str(length): best(replace(SHAPE, context_length=length), 8, max(2, 1600 // length), tries)
            for length in LENGTHS
        },
        "layers x heads (8 envs, T 160)": {
            f"{layers}x{heads}": best(replace(SHAPE, layers=layers, heads=heads), 8, 10, tries)
            for layers, heads in LAYERS_HEADS
        },
        "environments (T 160)": {
            str(envs): best(SHAPE, envs, max(2, 64 // envs), tries) for envs in BATCHES[: 2 if quick else None]
        },
    }
    for name, curve in curves.items():
        print(f"   {name:<32}" + "   ".join(f"{at}: {value:.3f} ms" for at, value in curve.items()))
    with tempfile.TemporaryDirectory() as folder:
        it = subject(Path(folder), causal=False)
        it.capture(it.spec(1, 2))
        seconds = {}
        for steps in STEPS[: 1 if quick else None]:
            begin = time.process_time()
            it.capture(it.spec(1, steps))
            seconds[str(steps)] = time.process_time() - begin
    print("   steps, 1 env, whole capture     " + "   ".join(f"{at}: {value:.2f} s" for at, value in seconds.items()))
    return curves | {"steps (1 env, seconds of processor time)": seconds}
