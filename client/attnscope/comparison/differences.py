"""Differences between two captures with intervals, paired where the rollouts are the same ones.

A share of attention falls as a context grows. So a measure that has a uniform baseline is judged by its lift, the
ratio to that baseline over the same contexts; the plain difference stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from attnscope.comparison.numbers import MEASURES, Measure
from attnscope.measures.intervals import LEVEL
from attnscope.study import Study


@dataclass(frozen=True)
class Change:
    """Second minus first of one number, with its interval; NaN bounds where nothing could be resampled."""

    value: float
    low: float
    high: float

    @property
    def distinct(self) -> bool | None:
        """True where the interval leaves 0 out; None without one."""
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            return None
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference:
    """Second minus first, of one measure and of its lift over uniform attention."""

    measure: str
    value: float
    low: float
    high: float
    paired: bool
    """True where task, seed and replica are the same, so that rollouts are compared one by one."""
    reliable: bool
    lifts: tuple[float, float] | None = None
    """Lift of the first and of the second capture; None where there is no uniform baseline."""
    lift: Change | None = None
    """Second lift minus first."""

    @property
    def distinct(self) -> bool | None:
        """True where the captures differ: by the lift where there is one, else by the difference; None if unknown."""
        return Change(self.value, self.low, self.high).distinct if self.lift is None else self.lift.distinct

    def __str__(self) -> str:
        """Return e.g. ``+0.10 (95 % 0.05 to 0.15, paired); lift 1.59 to 2.09, +0.5 (95 % 0.3 to 0.7)``."""
        if not np.isfinite(self.value):
            return "not captured in both"
        kind = "paired" if self.paired else "unpaired"
        text = f"{self.value:+.3g} ({_between(self)}, {kind}{'' if self.reliable else ', unreliable'})"
        if self.lifts is None or self.lift is None:
            return text
        first, second = self.lifts
        return f"{text}; lift {first:.3g} to {second:.3g}, {self.lift.value:+.3g} ({_between(self.lift)})"


def differences(first: Study, second: Study) -> list[Difference]:
    """Return the difference of every measure."""
    return [difference(first, second, measure) for measure in MEASURES]


def difference(first: Study, second: Study, measure: Measure) -> Difference:
    """Return second minus first: resampled as pairs where the rollouts correspond, else each by itself."""
    one, other = measure.of(first), measure.of(second)
    paired = corresponding(first, second) and len(one.values) == len(other.values)
    if not paired:
        other = replace(other, resampling=replace(other.resampling, seed=one.resampling.seed + 1))
    elif one.baseline is None:  # a rollout that one capture does not know pairs with none
        missing = ~(np.isfinite(one.values) & np.isfinite(other.values))
        one, other = (replace(q, values=np.where(missing, np.nan, q.values)) for q in (one, other))
    change = _change(one.estimate.value, other.estimate.value, one.drawn(), other.drawn())
    lifts = lift = None
    if one.lift is not None and other.lift is not None:
        lifts = one.lift.value, other.lift.value
        lift = _change(*lifts, one.drawn_lift(), other.drawn_lift())
    reliable = one.resampling.reliable and other.resampling.reliable
    return Difference(measure.name, change.value, change.low, change.high, paired, reliable, lifts, lift)


def _change(
    first: float,
    second: float,
    one: Float64[np.ndarray, " sample"] | None,
    other: Float64[np.ndarray, " sample"] | None,
) -> Change:
    low = high = float("nan")
    if one is not None and other is not None:
        drawn = other - one
        if np.isfinite(drawn).any():
            low, high = (float(end) for end in np.nanquantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    return Change(second - first, low, high)


def _between(change: Change | Difference) -> str:
    known = np.isfinite(change.low) and np.isfinite(change.high)
    return f"95 % {change.low:+.3g} to {change.high:+.3g}" if known else "no interval"


def corresponding(first: Study, second: Study) -> bool:
    """Return whether the rollouts of two studies have the same task, seed and replica, one by one."""
    return identity(first) is not None and identity(first) == identity(second)


def identity(study: Study) -> list[tuple[str, int, int, int]] | None:
    """Return environment, task, seed and replica of every rollout; None where the capture does not know them."""
    names = ("env/task", "env/seed", "env/replica")
    if not set(names) <= set(study.capture.names()):
        return None
    columns = [np.asarray(study.capture[name][:])[study.envs].tolist() for name in names]
    environment = str(study.capture.provenance.get("environment"))
    return [(environment, int(task), int(seed), int(replica)) for task, seed, replica in zip(*columns, strict=True)]
