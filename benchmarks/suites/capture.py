"""Capture against the reference's way: the same policy on one thread, decision rows on disk.

Both act at a full window: the reference from a context that is given, attnscope from step 160 of a capture on, until
the last commit. The causal policy's growing window is the whole capture of the first 160 steps, from an empty folder;
beside it stands the reference's way from an empty context, whose window grows too, where its maps fit into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.reference_way import roll_out, store
from benchmarks.rooms import ProcessRooms
from benchmarks.subject import GOAL, Subject, subject
from benchmarks.timing import Cost, measured, ratios, rounds, shown, spread

AT_FULL_WINDOW = {1: (40, 200), 8: (12, 100), 64: (3, 64)}
"""Steps of the reference and of attnscope, by environments: so many maps fit into memory."""

CAPTURING, NOT_CAPTURING = "reference, capturing", "reference, not capturing"
ROWS, GROWING = "attnscope, rows on disk", "attnscope, growing window, rows on disk"
REFERENCE_GROWING = "reference, growing window, capturing"


def per_env_step(cost: Cost, envs: int, steps: int) -> Cost:
    """Return a cost in milliseconds per environment and step."""
    scale = 1e3 / (envs * steps)
    return Cost(cost.wall * scale, cost.cpu * scale)


def reference(it: Subject, envs: int, steps: int, rooms: ProcessRooms, *, capture: bool, growing: bool = False) -> Cost:
    """Roll out the reference's way from a full window, or from an empty one that grows."""
    context = None if growing else torch.randn(envs, it.window - 1, it.info.policy.width)
    with tempfile.TemporaryDirectory() as folder, measured() as cost:
        run = roll_out(it.baseline, rooms, steps, capture=capture, greedy=False, context=context)
        if capture:
            store(run, Path(folder))
    return per_env_step(cost, envs, steps)


def ours(it: Subject, envs: int, steps: int, first: int, maps: dict[str, Any] | None = None) -> Callable[[], Cost]:
    """Return a capture that is measured from step `first` on."""
    spec = it.spec(envs, first + steps, maps=maps or {"count": 0})
    return lambda: per_env_step(it.capture(spec, first), envs, steps)


def compared(it: Subject, envs: int, count: int, runs: dict[str, Callable[[], Cost]]) -> dict[str, Any]:
    """Run a comparison; print it and return it."""
    steps = AT_FULL_WINDOW[envs][0]
    rooms = ProcessRooms([GOAL] * envs)
    theirs = {
        CAPTURING: lambda: reference(it, envs, steps, rooms, capture=True),
        NOT_CAPTURING: lambda: reference(it, envs, steps, rooms, capture=False),
    }
    if GROWING in runs and envs < 64:  # whose growing maps would take 6 GB
        theirs[REFERENCE_GROWING] = lambda: reference(it, envs, it.window, rooms, capture=True, growing=True)
    try:
        taken = rounds(theirs | runs, count)
    finally:
        rooms.close()
    results = {}
    for name, costs in taken.items():
        against = ratios(taken[CAPTURING], costs)
        results[name] = {
            "ms_per_env_step": spread([cost.wall for cost in costs]),
            "cpu_ms_per_env_step": spread([cost.cpu for cost in costs]),
            "reference_capturing_over_this": against,
            "reference_capturing_over_this_cpu": ratios(taken[CAPTURING], costs, "cpu"),
        }
        if name == GROWING and REFERENCE_GROWING in taken:
            both = ratios(taken[REFERENCE_GROWING], costs), ratios(taken[REFERENCE_GROWING], costs, "cpu")
            results[name] |= {"growing_reference_over_this": both[0], "growing_reference_over_this_cpu": both[1]}
            print(
                f"   against a reference that grows too: {shown(both[0], 1)} ×, {shown(both[1], 1)} × by processor time"
            )
        policy = "causal" if it.info.policy.causal else "non-causal"
        cpu = results[name]["reference_capturing_over_this_cpu"]
        print(
            f"   {policy:<11}{envs:>4} envs  {name:<38}{shown(results[name]['ms_per_env_step'], 3):<26} ms"
            f"  {shown(against, 1):<20} × faster  {shown(cpu, 1)} × by processor time"
        )
    return results


def run(*, quick: bool) -> dict[str, Any]:
    """Compare at 1, 8 and 64 environments; 256 ours alone."""
    count, results = 1 if quick else 3, {}
    print(
        "   ms per env-step, wall, median (low to high); how much faster than the reference capturing, round by round"
    )
    with tempfile.TemporaryDirectory() as folder:
        recompute, cached = (subject(Path(folder), causal=causal) for causal in (False, True))
        for envs in (1, 8) if quick else (1, 8, 64):
            steps, full = AT_FULL_WINDOW[envs][1], recompute.window
            maps = {"steps": [full + steps // 2]}
            runs = {ROWS: ours(recompute, envs, steps, full)}
            if envs < 64:
                runs["attnscope, rows and one whole map"] = ours(recompute, envs, steps, full, maps)
            results[f"non-causal, {envs} envs"] = compared(recompute, envs, count, runs)
            runs = {GROWING: ours(cached, envs, cached.window, 0)}
            results[f"causal, {envs} envs"] = compared(cached, envs, count, runs)
        if not quick:
            cost = ours(recompute, 256, 16, recompute.window)()
            results["non-causal, 256 envs"] = {ROWS: {"ms_per_env_step": {"once": cost.wall}}}
            print(f"   non-causal  256 envs  {ROWS:<42}{cost.wall:.3f} ms, once")
    return results
