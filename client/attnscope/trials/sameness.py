"""Conditions of a trial that are one: they kept as much and acted alike at every step, by another name."""

from __future__ import annotations

import numpy as np

from attnscope.trials.results import TrialResults

ALIKE = ("rollout/action", "trial/kept", "kept/first", "kept/last")
"""The arrays that two conditions share if they kept the same transitions everywhere, as far as a trial has them."""


def same_as(results: TrialResults) -> dict[int, int]:
    """Return of every condition that repeats an earlier one which condition that is.

    Under common random numbers a condition that keeps the same transitions acts alike at every step. So nothing is told
    by ranking both. Where actions were not stored nothing is called the same.
    """
    if "rollout/action" not in results.arrays:
        return {}
    arrays = [np.asarray(results.arrays[name]) for name in ALIKE if name in results.arrays]
    seen: dict[tuple[object, ...], int] = {}
    found: dict[int, int] = {}
    for one in results.conditions[1:]:
        of = (one.budget, one.positions, one.interval, one.memory, one.path)
        key = (of, *(values[one.index].tobytes() for values in arrays))
        if key in seen:
            found[one.index] = seen[key]
        else:
            seen[key] = one.index
    return found
