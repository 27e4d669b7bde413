"""Waves: the conditions of a trial that are rolled out side by side, because they can share forwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attnscope_storage.wire.specifications.trials import Condition

LARGEST: Final = 192
"""Rollouts of a wave at most, where it has more than one condition; also what a trial that stops may lose."""


def waves_of(conditions: Sequence[Condition], envs: int) -> list[tuple[int, ...]]:
    """Return the conditions of every wave, in the order of the conditions.

    The uncompressed rollout is a wave of its own. So is every condition without a budget: it must reproduce the
    uncompressed rollout bit for bit, and so be computed in the same batches.

    Parameters
    ----------
    envs
        Rollouts of a condition.
    """
    waves: list[tuple[int, ...]] = []
    most = max(1, LARGEST // envs)
    for index, condition in enumerate(conditions):
        last = conditions[index - 1] if index else None
        shares = last is not None and index > 1 and _kind(last) == _kind(condition) and condition.budget is not None
        if shares and len(waves[-1]) < most:
            waves[-1] = (*waves[-1], condition.index)
        else:
            waves.append((condition.index,))
    return waves


def _kind(condition: Condition) -> tuple[object, ...]:
    unbounded = condition.budget is None
    way = condition.path, condition.positions, condition.memory, condition.interval
    return condition.checkpoint, *way, unbounded
