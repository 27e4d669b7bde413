"""Dips: counts at which a rule surely departs less than at its neighbours, as at a policy's trained lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float64

from attnscope.measures.intervals import LEVEL
from attnscope.screens.results import ScreenResults
from attnscope_storage.wire import Condition

NEAR: Final = 2
"""Transitions within which a neighbour must lie: a smooth curve changes little over so few."""

LEAST: Final = 0.1
"""Share of a neighbour's departure by which a dip must surely lie below it: less is of no use to anyone."""


NOTABLE: Final = 0.005
"""Departure of the neighbours, one action in 200, below which there is nothing to dip from."""


@dataclass(frozen=True)
class Dip:
    """A count that departs less than both its neighbours, one or two transitions away."""

    arm: int
    count: int
    depth: float
    """Share by which it lies below the nearer neighbour's departure."""
    low: float
    """Lower end of the depth's interval: paired samples of tasks, then of rollouts."""
    high: float


def dips(results: ScreenResults) -> list[Dip]:
    """Return every dip of a screen, by arm.

    Of one rule under one position policy, a count is compared with the next smaller and the next larger one, where
    both lie within two transitions. The comparison is paired: both departures are means over the same samples of
    tasks and rollouts. It is a dip where the lower end of the depth's 95 % interval exceeds a tenth, and both
    neighbours depart at one decision in 200 at least. Where only one rollout of one task was judged nothing can be
    resampled, and no dip is named.
    """
    if not results.resampling.informative:
        return []
    departure = results.mean("departure", results.live)
    found = [_judged(results, departure, *three) for curve in _curves(results.arms) for three in _threes(curve)]
    return sorted((dip for dip in found if dip.low > LEAST), key=lambda dip: dip.arm)


def _judged(
    results: ScreenResults, departure: Float64[np.ndarray, "rollout arm"], before: int, here: int, after: int
) -> Dip:
    """Return how far an arm lies below its two neighbours."""
    value = results.resampling.mean(departure[:, [before, here, after]])
    drawn = results.resampling.drawn_ratio
    ratio = np.maximum(*(drawn(departure[:, here], departure[:, other]) for other in (before, after)))
    known = ratio[np.isfinite(ratio)]
    low, high = np.quantile(1 - known, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)) if len(known) else (np.nan, np.nan)
    nearer = min(value[0], value[2])
    if not nearer >= NOTABLE:
        return Dip(here, _count(results.arms[here]), 0.0, 0.0, 0.0)
    return Dip(here, _count(results.arms[here]), float(1 - value[1] / nearer), float(low), float(high))


def _curves(arms: Sequence[Condition]) -> Iterator[list[tuple[int, int]]]:
    """Yield (count, arm) of the arms that differ in nothing but the count, in order."""
    curves: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for index, arm in enumerate(arms):
        if isinstance(arm.budget, int):
            curves.setdefault((arm.text, arm.positions, arm.interval, arm.memory, arm.path), []).append(
                (arm.budget, index)
            )
    yield from (sorted(curve) for curve in curves.values())


def _threes(curve: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield the arms of three neighbouring counts that lie within `NEAR` of the middle one."""
    for ((least, before), (count, here)), (_, (most, after)) in pairwise(pairwise(curve)):
        if count - least <= NEAR and most - count <= NEAR:
            yield before, here, after


def _count(arm: Condition) -> int:
    return int(arm.budget or 0)
