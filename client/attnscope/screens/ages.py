"""Departures by the age of what is left out, beside attention: where attention misleads.

Ages are counted in transitions: the newest has age 1. Every quantity is a mean over live decisions; a band that a
growing window does not reach yet counts as 0 there, so that all bands are means over the same decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Float64, Shaped

from attnscope.measures.intervals import LEVEL, Interval
from attnscope.screens.results import ScreenResults

TIMES: Final = 2.0
"""Ratio of a band's share of attention to its share of departures, or the reverse, from which attention misleads."""

NOTABLE: Final = 0.05
"""Share of attention or of departures below which a band is too small to mislead anyone."""

Misleads = Literal["seen, hardly used", "used, hardly seen"]


@dataclass(frozen=True, eq=False)
class Ages:
    """A screen's numbers by age.

    Parameters
    ----------
    results
        A screen that left out parts by age.
    bands
        Youngest and oldest age of every band.
    """

    results: ScreenResults
    bands: tuple[tuple[int, int], ...]

    @cached_property
    def departure(self) -> Interval:
        """Mean departure without each band, over the live decisions whose window reaches it."""
        return self.results.interval(self._reached("ages/departure"))

    @cached_property
    def single(self) -> Interval:
        """Mean departure without one transition of each band, over the live decisions whose window reaches it."""
        return self.results.interval(self._reached("ages/single"))

    @cached_property
    def episodes(self) -> Interval:
        """Mean departure without each episode, the decision's own first, over live decisions that hold any of it."""
        return self.results.interval(self._reached("episodes/departure"))

    @property
    def has_attention(self) -> bool:
        """True where the capture stored attention."""
        return "ages/attention" in self.results.arrays

    @cached_property
    def used(self) -> Interval:
        """Each band's share of the departures without one band."""
        return self._shares(self._everywhere("ages/departure"))

    @cached_property
    def used_singly(self) -> Interval:
        """Each band's share of leave-one-out: the departure without one transition × the band's transitions."""
        width = np.asarray(self.results.arrays["ages/width"], np.float64)
        return self._shares(self._everywhere("ages/single", width))

    @cached_property
    def seen(self) -> Interval | None:
        """Each band's share of the attention that falls on history; None where attention is not stored."""
        return self._shares(self._everywhere("ages/attention")) if self.has_attention else None

    @cached_property
    def misleads(self) -> tuple[Misleads | None, ...]:
        """The bands in which attention misleads, judged by the interval of the two shares' ratio.

        A band is *seen, hardly used* where its share of attention is surely more than twice its share of departures,
        and *used, hardly seen* where the reverse holds. Bands that are small by both are not judged.
        """
        if not self.has_attention or not self.results.resampling.informative:
            return (None,) * len(self.bands)
        seen, used = (self._drawn(self._everywhere(f"ages/{name}")) for name in ("attention", "departure"))
        least = np.finfo(float).tiny
        ratio = np.log2(np.maximum(seen, least)) - np.log2(np.maximum(used, least))
        low, high = np.quantile(ratio, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
        assert self.seen is not None  # noqa: S101 - has_attention says so
        small = np.maximum(self.seen.value, self.used.value) < NOTABLE
        return tuple(
            None if few else "seen, hardly used" if under > np.log2(TIMES) else
            "used, hardly seen" if over < -np.log2(TIMES) else None
            for few, under, over in zip(small, low, high, strict=True)
        )  # fmt: skip

    def _reached(self, name: str) -> Float64[np.ndarray, "rollout part"]:
        """Return each rollout's mean over the live decisions that have the part; NaN where none has."""
        values = np.asarray(self.results.arrays[name], np.float64)
        there = ~np.isnan(values) & self.results.live[:, None]
        many = there.sum(axis=-1)
        total = np.where(there, values, 0).sum(axis=-1)
        return np.asarray(np.divide(total, many, out=np.full(total.shape, np.nan), where=many > 0))

    def _everywhere(
        self, name: str, weight: Shaped[np.ndarray, "rollout band decision"] | None = None
    ) -> Float64[np.ndarray, "rollout band"]:
        """Return each rollout's mean over all live decisions, parts that are not there as 0."""
        values = np.nan_to_num(np.asarray(self.results.arrays[name], np.float64))
        live = self.results.live[:, None]
        many = live.sum(axis=-1)
        total = (values * live * (1 if weight is None else weight)).sum(axis=-1)
        return np.asarray(np.divide(total, many, out=np.full(total.shape, np.nan), where=many > 0))

    def _shares(self, values: Float[np.ndarray, "rollout band"]) -> Interval:
        """Return each band's share of the sum over bands, with its interval."""
        resampling = self.results.resampling
        mean = resampling.mean(values)
        low = high = np.full(mean.shape, np.nan)
        if resampling.informative:
            low, high = np.quantile(self._drawn(values), ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
        total = mean.sum()
        value = mean / total if total > 0 else np.zeros_like(mean)
        return Interval(value, low, high, self.results.reliable)

    def _drawn(self, values: Float[np.ndarray, "rollout band"]) -> Float64[np.ndarray, "sample band"]:
        """Return bootstrap samples of the shares; rollouts without a live decision count as 0."""
        drawn = self.results.resampling.weights @ np.nan_to_num(values)
        total = drawn.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(drawn, total, out=np.zeros_like(drawn), where=total > 0))


def ages_of(results: ScreenResults) -> Ages | None:
    """Return a screen's numbers by age; None where it left out no parts."""
    return Ages(results, results.bands) if results.bands else None
