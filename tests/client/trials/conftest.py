"""Trials with planted effects, built through the schema, so that every verdict is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnscope.trials import TrialResults
from attnscope_storage.kinds.trial.schema import TrialDims, build_trial_schema
from attnscope_storage.wire import PolicyDescription, ResolvedTrial, TrialSpec
from attnscope_storage.writing.writer import CaptureWriter

HORIZON, CONTEXT = 10, 41
Planted = tuple[str, int | float | None, float]
"""Strategy, budget, and the share of the baseline's gain over random that is lost."""

LOSSES: tuple[Planted, ...] = (
    ("none", None, 0.0),
    ("recency", 0.5, 0.0),
    ("recency", 0.1, 0.4),
    ("tova", 0.5, 0.02),
    ("tova", 0.1, 0.2),
    ("uniform", 0.5, 0.3),
    ("uniform", 0.1, 0.6),
    ("random", 0.5, 0.35),
    ("random", 0.1, 0.7),
)


def planted(
    losses: Sequence[Planted] = LOSSES,
    *,
    seeds: int = 5,
    tasks: int = 8,
    episodes: int = 20,
    noise: float = 0.3,
    pairing: float = 0.8,
    margin: float = 0.05,
    until: int | None = None,
    start: int = 0,
    **changes: Any,
) -> TrialResults:
    """Return a trial in which each condition loses what is planted; its noise is partly the baseline's own."""
    rng = np.random.default_rng([start, 7])
    steps = changes.get("divergence_steps", (5, 30, 60, 120))
    dims = TrialDims(
        conditions=len(losses), seeds=seeds, tasks=tasks, episodes=episodes, horizon=HORIZON, actions=5,
        tokens=CONTEXT - 1, divergence_steps=steps, kept_steps=(5, 60, 150), speed_envs=(1, 64), speed_rounds=3,
    )  # fmt: skip
    schema = build_trial_schema(dims)
    arrays = {name: np.zeros(spec.shape, spec.dtype) for name, spec in schema.arrays.items()}
    arrays["env/seed"][:] = start + np.arange(seeds)
    arrays["env/task"][:] = 10 + np.arange(tasks)
    arrays["divergence/step"][:] = steps
    arrays["kept/step"][:] = dims.kept_steps
    arrays["speed/envs"][:] = dims.speed_envs
    shared = rng.normal(0, noise, (seeds, tasks, 1))
    learning = 1 - np.exp(-np.arange(1, episodes + 1) / 4)
    held = np.minimum(HORIZON * np.arange(episodes) + HORIZON / 2 - 0.5, CONTEXT - 1)
    for place, (_name, budget, loss) in enumerate(losses):
        own = rng.normal(0, noise, (seeds, tasks, 1))
        luck = shared if place == 0 else np.sqrt(pairing) * shared + np.sqrt(1 - pairing) * own
        gain = 4 * (1 - loss) * learning
        arrays["trial/return"][place] = 1 + gain + luck
        share = 1.0 if budget is None else budget
        kept = share * held if share <= 1 else np.minimum(share, held)
        arrays["trial/held"][place], arrays["trial/kept"][place] = held, kept
        arrays["trial/flops"][place] = 1e6 * (kept + 1)
        arrays["divergence/kl"][place] = loss * rng.uniform(0.9, 1.1, (len(steps), seeds, tasks))
        arrays["divergence/flip"][place] = rng.random((len(steps), seeds, tasks)) < loss
        arrays["speed/seconds"][place] = np.array([1.0, 0.2 + 0.8 * share])[:, None] * 1e-3
        for level in ("p50", "p95"):
            arrays[f"speed/{level}"][place] = arrays["speed/seconds"][place].mean(axis=-1)
        moments = np.arange(CONTEXT - 1) < (CONTEXT - 1) * min(1.0, share)
        newest = np.asarray(dims.kept_steps)[:, None] - 1 - np.arange(CONTEXT - 1)
        ids = np.where(moments & (newest >= 0), newest, -1)
        arrays["kept/first"][place] = arrays["kept/last"][place] = np.sort(ids, axis=-1)[:, None]
        arrays["rollout/reward"][place] = np.arange(episodes * HORIZON) % 7 == 0
    if until is not None:
        grows = [name for name, spec in schema.arrays.items() if spec.growth == "step"]
        arrays |= {name: arrays[name][:until] for name in grows}
    spec = TrialSpec(
        checkpoint="toy", seeds=tuple(range(start, start + seeds)), episodes=episodes, budgets=(0.5, 0.1),
        strategies=({"name": "recency"}, {"name": "tova"}), margin=margin, **changes,
    )  # fmt: skip
    return TrialResults(
        "11111111-2222-4333-8444-555555555555", spec, resolved(losses, seeds, tasks, episodes), POLICY,
        {"checkpoint": "c" * 64, "causal": True, "causal_stated_by": "file", "device": "cpu"}, arrays,
        until is None,
    )  # fmt: skip


def resolved(losses: Sequence[Planted], seeds: int, tasks: int, episodes: int) -> ResolvedTrial:
    """Return what a specification of these conditions means."""
    conditions = [
        {
            "index": index, "strategy": name, "parameters": {}, "text": f"{name}()", "budget": budget,
            "positions": "reindex", "interval": 1, "memory": "stateless", "path": "recompute",
            "control": name in {"none", "uniform", "random"}, "oracle": name == "tova",
        }
        for index, (name, budget, _) in enumerate(losses)
    ]  # fmt: skip
    cells = [
        {
            "index": 10 + task, "split": "test", "split_index": task, "label": f"goal ({task}, 4)", "goal": (task, 4),
            "optimal_return": 6.0, "random_return": 1.0,
        }
        for task in range(tasks)
    ]  # fmt: skip
    return ResolvedTrial.model_validate(
        {
            "checkpoint_id": "c" * 64, "checkpoint_name": "AD-<b>toy</b>@1", "preset": "darkroom-reference",
            "environment_id": "attnscope/Darkroom-v0", "horizon": HORIZON, "sampling": "sample", "tasks": cells,
            "held_out": True, "envs": seeds * tasks, "steps": episodes * HORIZON, "conditions": conditions,
            "divergence_steps": (5, 30, 60, 120), "kept_steps": (5, 60, 150),
        }
    )  # fmt: skip


POLICY = PolicyDescription(
    family="ad-reference", layers=2, heads=2, width=16, context_length=CONTEXT, actions=5, causal=True,
    positions="learned-absolute", query_slot="last", tokens_per_transition=1, observation="cell", parameters=100,
)  # fmt: skip


@pytest.fixture(scope="session")
def trial() -> TrialResults:
    """Return a trial of nine conditions with known losses."""
    return planted()


@pytest.fixture(scope="session")
def plant() -> Any:
    """Return the function that plants effects."""
    return planted


@pytest.fixture(scope="session")
def stored(trial, tmp_path_factory) -> Path:
    """Return the folder of a downloaded trial."""
    return write(tmp_path_factory.mktemp("trial") / "trial.zarr", trial)


def write(path: Path, results: TrialResults) -> Path:
    """Write results as a service stores them."""
    schema = build_trial_schema(dims_of(results))
    static = {name: results.arrays[name] for name, spec in schema.arrays.items() if spec.growth == "static"}
    attributes = {
        "job": results.job, "owner": "o", "spec": results.spec.model_dump(mode="json"),
        "resolved": results.resolved.model_dump(mode="json"), "policy": results.policy.model_dump(mode="json"),
        "provenance": dict(results.provenance), "query_slot": "last", "tokens_per_transition": 1,
    }  # fmt: skip
    with CaptureWriter.create(path, schema, attributes, static, durable=False) as writer:
        for condition in range(results.committed):
            block = writer.acquire()
            block.steps = 1
            for name, array in block.arrays.items():
                array[0] = results.arrays[name][condition]
            writer.submit(block)
        writer.close(complete=results.complete)
    return path


def dims_of(results: TrialResults) -> TrialDims:
    """Return the sizes of a trial's arrays."""
    conditions, seeds, tasks, episodes = results.returns.shape
    return TrialDims(
        conditions=conditions, seeds=seeds, tasks=tasks, episodes=episodes, horizon=HORIZON, actions=5,
        tokens=CONTEXT - 1, divergence_steps=results.resolved.divergence_steps,
        kept_steps=results.resolved.kept_steps, speed_envs=(1, 64), speed_rounds=3,
    )  # fmt: skip
