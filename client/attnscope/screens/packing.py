"""Departures of a policy that packs its history: by the age of the compression, and by generation.

The partner is the same weights over a sliding window without latents. Age 0 is the decision right after a compression.
Arms that keep the newest transitions at a compression have compressions of their own; every other arm is told apart by
those of the policy's own evaluation, so that all are means over the same decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Int64

from attnscope.measures.intervals import Interval
from attnscope.screens.board import name_of
from attnscope.screens.results import ScreenResults
from attnscope_model.strategies.learned import Latents, packing_moments
from attnscope_storage.wire import Condition

FEW: Final = 20
"""Decisions of an age below which a sentence says how few there are."""

LAST_GENERATION: Final = 6
"""Generation from which on all are taken together."""


@dataclass(frozen=True, eq=False)
class PackedArm:
    """One arm of a screen, by age and generation.

    Parameters
    ----------
    results
        The screen.
    place
        Entry of the arm axis.
    """

    results: ScreenResults
    place: int

    @property
    def arm(self) -> Condition:
        """The arm."""
        return self.results.arms[self.place]

    @property
    def packs(self) -> bool:
        """True where the arm is one of the policy's own ways to pack; nothing says when an installed network packs."""
        return self.arm.strategy == Latents.name and not self.arm.parameters.get("by")

    @cached_property
    def bands(self) -> tuple[tuple[int, int], ...]:
        """First and last age of every band: 0 alone, then bands that double, as far as any decision reaches."""
        oldest = int(self.age.max())
        found, first = [(0, 0)], 1
        while first <= oldest:
            found.append((first, min(2 * first - 1, oldest)))
            first *= 2
        return tuple(found)

    @cached_property
    def age(self) -> Int64[np.ndarray, "rollout decision"]:
        """Transitions since the newest compression; -1 before the first."""
        return self._moments[1]

    @cached_property
    def generation(self) -> Int64[np.ndarray, "rollout decision"]:
        """Compressions so far; those from `LAST_GENERATION` on count as that one."""
        return np.asarray(np.minimum(self._moments[0], LAST_GENERATION))

    @cached_property
    def decisions(self) -> tuple[int, ...]:
        """Live decisions of every band of ages."""
        return tuple(int((self._within(band) & self.results.live).sum()) for band in self.bands)

    @cached_property
    def by_age(self) -> Interval:
        """Mean departure of the live decisions of every band of ages."""
        return self._departure([self._within(band) for band in self.bands])

    @cached_property
    def generations(self) -> tuple[int, ...]:
        """Generations that any live decision is of; 0 is before the first compression."""
        return tuple(int(one) for one in np.unique(self.generation[self.results.live]))

    @cached_property
    def by_generation(self) -> Interval:
        """Mean departure of the live decisions of every generation."""
        return self._departure([self.generation == one for one in self.generations])

    @cached_property
    def _moments(self) -> tuple[Int64[np.ndarray, "rollout decision"], Int64[np.ndarray, "rollout decision"]]:
        steps = np.asarray(self.results.arrays["decision/step"], np.int64)
        newest = int(self.arm.parameters.get("newest", 0)) if self.packs else 0
        moments = packing_moments(self.results.policy, int(steps.max()) + 1, newest)
        generation = np.array([moment.generation for moment in moments], np.int64)
        age = np.array([-1 if moment.age is None else moment.age for moment in moments], np.int64)
        return generation[steps], age[steps]

    def _within(self, band: tuple[int, int]) -> np.ndarray:
        return np.asarray((self.age >= band[0]) & (self.age <= band[1]))

    def _departure(self, groups: list[np.ndarray]) -> Interval:
        found = [self.results.mean("departure", self.results.live & group)[:, self.place] for group in groups]
        return self.results.interval(np.stack(found, axis=1))


def packed_arms(results: ScreenResults) -> list[PackedArm]:
    """Return the arms of a screen by age and generation: own ways to pack first; none of a policy that packs nothing.

    A screen in which no decision follows a compression has none either.
    """
    if not results.policy.latents or "decision/step" not in results.arrays:
        return []
    found = [PackedArm(results, place) for place, arm in enumerate(results.arms) if not arm.oracle]
    if not found or not any((one.generation > 0).any() for one in found):
        return []
    return sorted(found, key=lambda one: not one.packs)


def packing_sentences(results: ScreenResults) -> list[str]:
    """Return how far each own way to pack departs right after a compression, later, and before the first."""
    found = []
    for one in (arm for arm in packed_arms(results) if arm.packs and not arm.arm.parameters.get("once")):
        value, few = one.by_age.value, one.decisions[0]
        if not few:
            continue
        later = results.live & (one.age > 0)
        rest = float(results.interval(results.mean("departure", later)).value[one.place])
        words = f"{name_of(one.arm)} departs by {value[0]:.3f} at the decision right after a compression"
        words += f" and by {rest:.3f} at later ones" if later.any() else ""
        only = f" (only {few} such decisions: ask for more with --decisions)" if few < FEW else ""
        found.append(f"{words}, from the same weights over a sliding window{only}")
    return found
