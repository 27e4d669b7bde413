"""Differences between two captures with intervals, paired where the rollouts are the same ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from attnscope.comparison.numbers import MEASURES, Measure
from attnscope.measures.intervals import LEVEL
from attnscope.study import Study


@dataclass(frozen=True)
class Difference:
    """Second minus first, of one measure."""

    measure: str
    value: float
    low: float
    high: float
    paired: bool
    """Whether task, seed and replica are the same, so that rollouts are compared one by one."""
    reliable: bool

    @property
    def distinct(self) -> bool | None:
        """Whether the interval leaves 0 out; None without one."""
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            return None
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        """Return e.g. ``+0.10 (95 % 0.05 to 0.15, paired)``."""
        if not np.isfinite(self.value):
            return "not captured in both"
        kind = "paired" if self.paired else "unpaired"
        between = f"95 % {self.low:+.3g} to {self.high:+.3g}" if self.distinct is not None else "no interval"
        return f"{self.value:+.3g} ({between}, {kind}{'' if self.reliable else ', unreliable'})"


def differences(first: Study, second: Study) -> list[Difference]:
    """Return the difference of every measure."""
    return [difference(first, second, measure) for measure in MEASURES]


def difference(first: Study, second: Study, measure: Measure) -> Difference:
    """Return second minus first: resampled as pairs where the rollouts correspond, else each by itself."""
    one, other = measure.of(first), measure.of(second)
    reliable = first.resampling.reliable and second.resampling.reliable
    if corresponding(first, second):
        interval = first.interval(other - one)
        return Difference(
            measure.name,
            float(interval.value),
            float(interval.low),
            float(interval.high),
            paired=True,
            reliable=reliable,
        )
    value = float(second.interval(other).value) - float(first.interval(one).value)
    low = high = float("nan")
    if first.resampling.informative and second.resampling.informative:
        apart = replace(second, resampling=replace(second.resampling, seed=first.resampling.seed + 1))
        drawn = _drawn(apart, other) - _drawn(first, one)
        if np.isfinite(drawn).any():
            tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
            low, high = (float(end) for end in np.nanquantile(drawn, tails))
    return Difference(measure.name, value, low, high, paired=False, reliable=reliable)


def _drawn(study: Study, values: Float64[np.ndarray, " env"]) -> Float64[np.ndarray, " sample"]:
    weights, present = study.resampling.weights, np.isfinite(values)
    total = weights @ present
    drawn: Float64[np.ndarray, " sample"] = np.divide(
        weights @ np.where(present, values, 0), total, out=np.full(len(weights), np.nan), where=total > 0
    )
    return drawn


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
