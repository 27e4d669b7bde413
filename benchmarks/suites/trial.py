"""The gain of compression: decisions of 64 environments beside uncompressed ones, and the return that it costs.

The shipped absolute Darkroom policy acts under strategies × budgets on held-out tasks, paired with its uncompressed
rollouts; decisions are timed in turns in one process, on the same recompute path, the strategy's own work included.
Beside it, the shipped rotary policy with kept keys and values, whose eviction is real: another path.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import torch

import attnscope
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.results import TrialResults
from attnscope.trials.scores import difference, retained
from attnscope.trials.speed import speed_at, speeds
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.trials.job import TrialOrder, run_trial
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.wire import TrialSpec
from benchmarks.subject import CPU

ABSOLUTE: Final = "AD-absolute-darkroom-reference-seed0@6000"
ROTARY: Final = "AD-rotary-darkroom-reference-seed0@6000"

STRATEGIES: Final = ("recency", "hierarchical")
"""No oracle among them; the service adds uniform and random."""

BUDGETS: Final = (0.4, 0.5, 0.55, 0.6)
"""Shares of the history."""

TWICE: Final = 2.0


def tried(registry: CheckpointRegistry, folder: Path, spec: TrialSpec) -> TrialResults:
    """Run a trial to its end and return what it gave."""
    resolved = resolve_trial(spec, registry)
    info = registry.get(resolved.checkpoint_id)
    path = folder / f"{info.name}-{spec.path}-{spec.memory}.zarr"
    order = TrialOrder(path.stem, "bench", spec, resolved, path, durable=False)
    run_trial(order, load_policy(registry.folder(info.id), CPU), info, CPU, TrialRunner)
    return attnscope.open_trial(path).results()


def rows(results: TrialResults) -> list[dict[str, Any]]:
    """Return speed and cost of every condition."""
    bootstrap = PairedBootstrap(results.seeds, len(results.tasks))
    found = []
    for condition in results.conditions:
        speed = speed_at(speeds(results, condition.index))
        if speed is None:
            raise RuntimeError(f"{condition.text} was not timed with a full window")
        cost, kept = difference(results, condition.index, bootstrap), retained(results, condition.index, bootstrap)
        found.append(
            {
                "strategy": condition.strategy,
                "budget": condition.budget,
                "path": condition.path,
                "memory": condition.memory,
                "envs": speed.envs,
                "times_as_fast": {"median": speed.ratio, "low": speed.low, "high": speed.high},
                "steps_per_second": speed.per_second,
                "uncompressed_steps_per_second": speed.envs / speed.uncompressed,
                "return_difference": {"value": cost.value, "low": cost.low, "high": cost.high},
                "return_retained": {"value": kept.value, "low": kept.low, "high": kept.high},
            }
        )
    return found


def shown(row: dict[str, Any]) -> str:
    """Return a row as it is printed."""
    fast, cost = row["times_as_fast"], row["return_difference"]
    budget = "all" if row["budget"] is None else f"{row['budget']:.0%}"
    return (
        f"{row['strategy']:<13}{budget:>5}  × {fast['median']:.2f} ({fast['low']:.2f} to {fast['high']:.2f})  "
        f"return {cost['value']:+.2f} ({cost['low']:+.2f} to {cost['high']:+.2f}), "
        f"{row['return_retained']['value']:.0%} retained"
    )


def largest(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the condition of the largest budget that is twice as fast, the cheapest in return of those."""
    fast = [row for row in found if row["budget"] is not None and row["times_as_fast"]["median"] >= TWICE]
    return max(fast, key=lambda row: (row["budget"], row["return_difference"]["value"]), default=None)


def run(*, quick: bool) -> dict[str, Any]:
    """Print every condition, and the largest budget at which one is twice as fast."""
    torch.set_num_threads(1)
    size: dict[str, Any] = {
        "tasks": {"split": "test"},
        "seeds": (0, 1, 2, 3, 4),
        "divergence_steps": 0,
        "kept_steps": 0,
    }
    speed: dict[str, Any] = {"envs": (64,), "decisions": 6, "rounds": 5}
    budgets: tuple[float, ...] = BUDGETS
    names: tuple[str, ...] = STRATEGIES
    if quick:
        size |= {"seeds": (0, 1), "episodes": 2}
        speed, budgets, names = {"envs": (8,), "decisions": 4, "rounds": 2}, (0.5,), ("recency",)
    common = size | {"speed": speed}
    with tempfile.TemporaryDirectory() as folder:
        registry = CheckpointRegistry(Path(folder) / "registry")
        registry.add_shipped()
        grid = TrialSpec(checkpoint=ABSOLUTE, strategies=[{"name": name} for name in names], budgets=budgets, **common)
        absolute = rows(tried(registry, Path(folder), grid))
        rotary = []
        for path in ("recompute", "cached"):
            few = {"strategies": [{"name": "sinks"}], "budgets": (0.5,), "controls": False}
            kept = TrialSpec(checkpoint=ROTARY, path=path, memory="stateful", **few, **common)
            rotary += rows(tried(registry, Path(folder), kept))[1:]
    print(f"   {ABSOLUTE}, decisions at a full window beside uncompressed ones")
    for row in absolute:
        print(f"   {shown(row)}")
    best = largest(absolute)
    print(f"   largest budget at which a strategy is twice as fast: {'none' if best is None else shown(best)}")
    print(f"   {ROTARY}, stateful")
    for row in rotary:
        print(f"   {row['path']:<10} {shown(row)}")
    return {"absolute": absolute, "largest_twice_as_fast": best, "rotary": rotary}
