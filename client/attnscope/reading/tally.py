"""Means of measures over steps, for each rollout by itself; every mean carries the error of having read a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from attnscope.measures import (
    RolloutMean,
)
from attnscope.measures.intervals import Interval, Resampling
from attnscope.measures.sampling import StepError, step_error
from attnscope.reading.blocks import (
    BUDGETS,
    Measured,
)
from attnscope.reading.reading import Reading


@dataclass(eq=False)
class Tally:
    """Means over the steps read whose context is long enough; one entry a rollout whose rows are read."""

    reading: Reading
    resampling: Resampling
    profile: RolloutMean = field(default_factory=RolloutMean)
    """Mean row by age [env, age]."""
    pooled: RolloutMean = field(default_factory=RolloutMean)
    """Mass of the k heaviest tokens of each mean row [env, k]."""
    early: RolloutMean = field(default_factory=RolloutMean)
    """Mean row by age in the first third of the episodes that count [env, age]."""
    late: RolloutMean = field(default_factory=RolloutMean)
    """In the last third [env, age]."""
    low: RolloutMean = field(default_factory=RolloutMean)
    """In the third of these episodes with the lowest return [env, age]."""
    high: RolloutMean = field(default_factory=RolloutMean)
    """In the third with the highest [env, age]."""
    marked: dict[str, Measured] = field(default_factory=dict)
    """Mass on marked places [env], as far as the rollout says where they are."""
    shared_positions: Measured = field(default_factory=Measured)
    """Share of the context that holds each of `LEVELS` of the mean row [env, level]."""
    positions: Measured = field(default_factory=Measured)
    """The same of each head's own row, mean over layers and heads [env, level]."""
    flatness: Measured = field(default_factory=Measured)
    """Total variation from uniform, mean over layers and heads [env]."""
    unstored: dict[str, Measured] = field(default_factory=dict)
    """Statistics that the capture does not store, by the name of their quantity, mean over layers and heads [env]."""
    heads: RolloutMean = field(default_factory=RolloutMean)
    """Each head by age [env, layer, head, age]."""
    distance: RolloutMean = field(default_factory=RolloutMean)
    """Total variation of each head from uniform [env, layer, head]."""
    divergence: RolloutMean = field(default_factory=RolloutMean)
    """Between heads, in bits [env, one, other]."""
    own: RolloutMean = field(default_factory=RolloutMean)
    """Mass retained where each head keeps its own best tokens [env, layer, head, budget]."""
    shared: RolloutMean = field(default_factory=RolloutMean)
    """Mass retained where all heads keep the same tokens [env, layer, head, budget]."""
    newest: RolloutMean = field(default_factory=RolloutMean)
    """Mass retained where the newest tokens are kept [env, layer, head, budget]."""
    steps: list[Int64[np.ndarray, " row"]] = field(default_factory=list)
    """Environment steps whose mean rows were read."""
    masses: list[Float64[np.ndarray, "row env part"]] = field(default_factory=list)
    """Recent, distant and own mass of these steps, mean over layers and heads."""

    def __post_init__(self) -> None:
        """Note which share of the steps each mean takes in."""
        of_means = (self.profile, self.pooled, self.early, self.late, self.low, self.high)
        for mean in (*of_means, self.shared_positions.value, self.shared_positions.uniform):
            mean.share_read = self.shares_read[0]
        for measured in (self.positions, self.flatness):
            measured.value.share_read = measured.uniform.share_read = self.shares_read[1]

    @cached_property
    def shares_read(self) -> tuple[float, float]:
        """Shares of the steps of which the mean rows, and every head's rows, are read."""
        plan, entries = self.reading.plan, max(1, self.reading.size.entries)
        if plan is None or plan.whole:
            return 1.0, 1.0
        return plan.rows_read / entries, plan.head_rows_read / entries

    @property
    def row_steps(self) -> Int64[np.ndarray, " row"]:
        """Environment steps whose mean rows were read, in order."""
        return np.concatenate(self.steps)

    @property
    def averaged(self) -> Float64[np.ndarray, "env age"]:
        """The mean row averaged over time, by age."""
        return averaged(self.profile)

    def mean(self, of: RolloutMean) -> Float64[np.ndarray, "*cell"]:
        """Return the mean over rollouts, where no interval is shown."""
        return self.resampling.mean(of.mean)

    def interval(self, of: RolloutMean) -> Interval:
        """Return the mean share over rollouts with its interval: rollouts resampled, and the error of sampled steps."""
        return self.resampling.interval(of.mean, self.error(of))

    def error(self, of: RolloutMean, most: float = 1.0) -> StepError | None:
        """Return the error of a mean of sampled steps; None where every step was read.

        Parameters
        ----------
        most
            Greatest value that the mean can have: 1 of a share. The least is 0.
        """
        if of.share_read >= 1:
            return None
        return step_error(of.residuals(self.resampling.shares), self._strata(of), of.share_read, (0.0, most))

    def ratio_error(self, top: RolloutMean, bottom: RolloutMean) -> StepError | None:
        """Return the error of the ratio of two means of the same sampled steps."""
        if top.share_read >= 1:
            return None
        shares, value, scale = self.resampling.shares, self.mean(top), self.mean(bottom)
        inverse = np.divide(1, scale, out=np.full(np.shape(scale), np.nan), where=scale > 0)
        moved = top.residuals(shares) - value * inverse * bottom.residuals(shares)
        return step_error(np.asarray(moved * inverse), self._strata(top), top.share_read)

    @property
    def lengths(self) -> Int64[np.ndarray, " decision"]:
        """Context lengths behind the means of mean rows: of the steps read that count."""
        reading = self.reading
        read, own = (of[self.row_steps][:, reading.row_envs] for of in (reading.length, reading.own_length))
        return np.asarray(own[read >= reading.least])

    def cost_curves(self) -> dict[str, Float64[np.ndarray, "layer head budget"]]:
        """Return the mass retained at `BUDGETS` by the way to choose tokens: own, shared, newest."""
        reduced = self.reading.head_retained(len(BUDGETS))
        own = self.mean(self.own) if reduced is None else self.resampling.mean(reduced)
        return {"own": own, "shared": self.mean(self.shared), "newest": self.mean(self.newest)}

    def _strata(self, of: RolloutMean) -> Int64[np.ndarray, " burst"]:
        parts = self.reading.plan.parts if self.reading.plan else ()
        return np.array([parts[number].stratum for number in of.bursts], np.int64)


def averaged(profile: RolloutMean) -> Float64[np.ndarray, "env age"]:
    """Return a profile by age in which an age that a context does not reach counts as no attention there."""
    mean, seen = profile.mean, profile.count
    most = seen.max(axis=-1, keepdims=True)
    share = np.divide(seen, most, out=np.full(seen.shape, np.nan), where=most > 0)
    return np.asarray(np.where(seen > 0, mean, 0.0) * share)
