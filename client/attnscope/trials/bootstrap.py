"""Intervals of paired rollouts: a trial has few seeds a task, so the resampling must not be too sure of itself.

Drawing n of n rollouts gives a variance that is too small by (n − 1) ÷ n, a third with three seeds, and percentiles of
it are normal where Student's are due. Here n − 1 rollouts are drawn within each task, which makes the variance unbiased
(McCarthy & Snowden, 1985; Rao & Wu, 1988), and the percentiles are widened by Student's quantile over the normal one,
at the degrees of freedom that Satterthwaite gives the numbers in question. A test measures that the resulting verdicts
err at the nominal rate.

For claims beyond these tasks, tasks are drawn whole, T − 1 of T: their spread holds that of their rollouts already.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int64

from attnscope.measures.intervals import LEVEL, RESAMPLES, Estimate, Scope

ENOUGH: Final = 10
"""Degrees of freedom from which on an interval is called reliable."""

TAILS: Final = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

NORMAL: Final = 1.959963984540054
"""The normal distribution's quantile at the upper tail."""


@dataclass(frozen=True, eq=False)
class PairedBootstrap:
    """Samples of a trial's rollouts, the same for every condition, so that what is compared stays paired."""

    seeds: int
    tasks: int
    scope: Scope = "these tasks"
    samples: int = RESAMPLES
    seed: int = 0

    @property
    def informative(self) -> bool:
        """True where there is anything to resample."""
        return (self.seeds if self.scope == "these tasks" else self.tasks) > 1

    @cached_property
    def weights(self) -> Float64[np.ndarray, "sample seed task"]:
        """Weight of each rollout in each sample; those of a sample sum to 1, tasks alike."""
        generator = np.random.default_rng(self.seed)
        if self.scope == "beyond these tasks":
            many = max(1, self.tasks - 1)
            drawn = generator.multinomial(many, np.full(self.tasks, 1 / self.tasks), self.samples)
            return np.repeat(drawn[:, None] / (many * self.seeds), self.seeds, axis=1)
        many = max(1, self.seeds - 1)
        times = generator.multinomial(many, np.full(self.seeds, 1 / self.seeds), (self.samples, self.tasks))
        return np.asarray(np.moveaxis(times, 1, 2) / (many * self.tasks), np.float64)

    def means(self, values: Float[np.ndarray, "seed task *cell"]) -> Float64[np.ndarray, "sample ..."]:
        """Return the mean over rollouts in each sample."""
        flat = np.asarray(values, np.float64).reshape(self.seeds * self.tasks, -1)
        drawn = self.weights.reshape(self.samples, -1) @ flat
        return np.asarray(drawn.reshape(self.samples, *values.shape[2:]))

    @cached_property
    def picks(self) -> Int64[np.ndarray, "sample draw"]:
        """The rollouts of each sample, as entries of the flattened seed and task axes, for what is no mean."""
        whole = self.weights.reshape(self.samples, -1)
        times = np.rint(whole / whole[whole > 0].min()).astype(np.int64)
        entries = np.arange(whole.shape[1])
        return np.stack([np.repeat(entries, row) for row in times])

    def freedom(self, influence: Float[np.ndarray, "seed task"]) -> float:
        """Return the degrees of freedom of a mean: fewer where few rollouts or tasks make all of its spread."""
        if self.scope == "beyond these tasks":
            return float(max(1, self.tasks - 1))
        spread = np.var(influence, axis=0, ddof=1) if self.seeds > 1 else np.zeros(self.tasks)
        total = float((spread**2).sum())
        least = max(1, self.seeds - 1)
        return least * float(spread.sum()) ** 2 / total if total > 0 else float(least * self.tasks)

    def estimate(
        self,
        value: float,
        drawn: Float[np.ndarray, " sample"],
        influence: Float[np.ndarray, "seed task"],
        baseline: float | None = None,
    ) -> Estimate:
        """Return a number with its interval.

        Parameters
        ----------
        drawn
            The number in each sample; samples in which it is not finite do not count.
        influence
            What each rollout adds to it, to first order; the values themselves for a mean.
        """
        known = drawn[np.isfinite(drawn)]
        freedom = self.freedom(influence)
        low = high = float("nan")
        if self.informative and len(known) and np.isfinite(value):
            wider = student(freedom) / NORMAL
            low, high = (value - wider * (value - float(end)) for end in np.quantile(known, TAILS))
        rollouts = self.seeds * self.tasks
        return Estimate(float(value), low, high, baseline, rollouts, freedom >= ENOUGH, self.scope)

    def mean(self, values: Float[np.ndarray, "seed task"], baseline: float | None = None) -> Estimate:
        """Return the mean over rollouts with its interval."""
        return self.estimate(float(values.mean()), self.means(values), values, baseline)

    def ratio(
        self, top: Float[np.ndarray, "seed task"], bottom: Float[np.ndarray, "seed task"], baseline: float = 1.0
    ) -> Estimate:
        """Return the ratio of two means over the same rollouts; NaN where the lower one is not above 0."""
        over, under = float(top.mean()), float(bottom.mean())
        if not under > 0:
            nan = float("nan")
            return Estimate(nan, nan, nan, baseline, self.seeds * self.tasks, reliable=False, scope=self.scope)
        above, below = self.means(top), self.means(bottom)
        drawn = np.divide(above, below, out=np.full(self.samples, np.nan), where=below > 0)
        return self.estimate(over / under, drawn, (top - over / under * bottom) / under, baseline)


def student(freedom: float, tail: float = TAILS[1]) -> float:
    """Return Student's quantile at an upper tail, by default that of a 95 % interval."""
    return _student(round(max(1.0, freedom), 1), tail)


@lru_cache(maxsize=4096)
def _student(freedom: float, tail: float) -> float:
    """Integrate the density over the angle whose tangent is t ÷ √freedom, and look up the tail."""
    angle = np.linspace(0, np.pi / 2, 20_001)
    density = np.cos(angle) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    found = float(np.interp((tail - 0.5) * 2 * mass[-1], mass, angle))
    return float(np.sqrt(freedom) * np.tan(found))
