"""The env axis of a trial's conditions, and the compression that each stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.acting.axis import EnvAxis
from attnscope_storage.layout.store_schema import SPLITS
from attnscope_storage.wire.specifications.trials import Condition, ResolvedTrial, TrialSpec

LANE: int = 100_003
"""The weight of a seed in a rollout's lane, the number that strategies draw by."""


def compression(condition: Condition) -> Compression:
    """Return the compression that a condition stands for."""
    return Compression(
        strategy(condition.strategy, **condition.parameters),
        condition.budget,
        condition.positions,
        condition.interval,
        condition.memory,
        condition.path,
    )


def trial_axis(spec: TrialSpec, resolved: ResolvedTrial) -> EnvAxis:
    """Return the env axis of one condition: seed × task, in that nesting."""
    seed, position = (
        axis.ravel()
        for axis in np.meshgrid(np.array(spec.seeds, np.int64), np.arange(len(resolved.tasks)), indexing="ij")
    )
    splits = np.array([-1 if cell.split is None else SPLITS.index(cell.split) for cell in resolved.tasks], np.int8)
    tasks = np.array([cell.index for cell in resolved.tasks], np.int32)
    return EnvAxis(
        task=tasks[position],
        seed=seed,
        replica=np.zeros(len(seed), np.int32),
        split=splits[position],
        position=position,
    )


def repeated(axis: EnvAxis, times: int) -> EnvAxis:
    """Return the same rollouts several times over."""
    fields: dict[str, Any] = {name: np.tile(values, times) for name, values in vars(axis).items()}
    return EnvAxis(**fields)


def lanes_of(axis: EnvAxis) -> Int[np.ndarray, " env"]:
    """Return a number for every rollout, of its seed and its task alone."""
    mixed = (axis.seed.astype(np.uint64) * np.uint64(LANE) + axis.task.astype(np.uint64)) % np.uint64(2**31)
    return mixed.astype(np.int64)
