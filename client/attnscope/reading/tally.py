"""Measures of decision rows, averaged over steps for each rollout by itself, burst by burst in bounded memory.

Of many steps the mean row over layers and heads is measured, of fewer the row of every layer and head. Every mean
carries the error of having read a sample of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from attnscope.measures import (
    RolloutMean,
    cost_curve,
    distance_from_uniform,
    head_divergence,
    mass_on,
    over_uniform,
    recency_mass,
    relative_profile,
    self_mass,
    uniform_rows,
    weights,
)
from attnscope.measures.intervals import Interval, Resampling, default_scope
from attnscope.measures.phases import EARLY, LATE
from attnscope.measures.sampling import StepError, step_error
from attnscope.reading.blocks import (
    BUDGETS,
    BY_HEAD,
    LINEAR,
    RECENT,
    Measure,
    Measured,
    compare,
    newest_mass,
    running_mass,
)
from attnscope.reading.marks import marks
from attnscope.reading.reading import Burst, Reading
from attnscope.reading.rollout import Phases
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS

BLOCK_BYTES = 4 * 2**20
"""Bytes, as stored, that are measured at a time; a measure needs about ten times as much."""


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
    blind: RolloutMean = field(default_factory=RolloutMean)
    """Mass that a blind choice retains on average [env, 1, 1, budget]."""
    steps: list[Int64[np.ndarray, " row"]] = field(default_factory=list)
    """Environment steps whose mean rows were read."""
    masses: list[Float64[np.ndarray, "row env part"]] = field(default_factory=list)
    """Recent, distant and own mass of these steps, mean over layers and heads."""

    def __post_init__(self) -> None:
        """Note which share of the steps each mean takes in."""
        of_means = (self.profile, self.pooled, self.early, self.late, self.low, self.high)
        for mean in (*of_means, self.shared_positions.value, self.shared_positions.uniform):
            mean.share_read = self._shares[0]
        for measured in (self.positions, self.flatness):
            measured.value.share_read = measured.uniform.share_read = self._shares[1]

    @cached_property
    def _shares(self) -> tuple[float, float]:
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
        """Return the mean over rollouts with its interval: rollouts resampled, and the error of sampled steps."""
        return self.resampling.interval(of.mean, self.error(of))

    def error(self, of: RolloutMean) -> StepError | None:
        """Return the error of a mean of sampled steps; None where every step was read."""
        if of.share_read >= 1:
            return None
        return step_error(of.residuals(self.resampling.shares), self._strata(of), of.share_read)

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
        read = self.reading.length[self.row_steps][:, self.reading.row_envs]
        return np.asarray(read[read >= self.reading.least])

    def cost_curves(self) -> dict[str, Float64[np.ndarray, "layer head budget"]]:
        """Return the mass retained at `BUDGETS` by the way to choose tokens: own, shared, newest."""
        reduced = self.reading.head_retained(len(BUDGETS))
        own = self.mean(self.own) if reduced is None else self.resampling.mean(reduced)
        return {"own": own, "shared": self.mean(self.shared), "newest": self.mean(self.newest)}

    def _strata(self, of: RolloutMean) -> Int64[np.ndarray, " burst"]:
        parts = self.reading.plan.parts if self.reading.plan else ()
        return np.array([parts[number].stratum for number in of.bursts], np.int64)

    def add(self, burst: Burst) -> None:
        """Take in a burst."""
        reading, fresh = self.reading, burst.fresh
        step = burst.step[fresh:]
        length = reading.length[step][:, reading.row_envs]
        self._add_means(burst, burst.mean[fresh:, :, None, None], step, length)
        step, rows = burst.step[burst.first_whole :], burst.rows
        few = max(1, BLOCK_BYTES // max(1, rows[:1].size * 2))
        for at in range(0, len(rows), few):
            part = step[at : at + few]
            self._add_heads(burst.number, rows[at : at + few], reading.length[part][:, reading.row_envs])

    def _add_means(
        self,
        burst: Burst,
        rows: Float[np.ndarray, "row env 1 1 slot"],
        step: Int64[np.ndarray, " row"],
        length: Int64[np.ndarray, "row env"],
    ) -> None:
        """Measure the mean rows over layers and heads."""
        reading, layout, number = self.reading, self.reading.layout, burst.number
        counts = length >= reading.least
        recent = recency_mass(rows, length, (RECENT,), layout)[..., 0, 0, 0]
        own = self_mass(rows, length, layout)[..., 0, 0]
        self.steps.append(step)
        self.masses.append(np.stack([recent, 1 - recent - own, own], axis=-1))
        flat = relative_profile(rows, length, layout)[:, :, 0, 0]
        self.profile.add(flat, counts, number)
        self.pooled.add(running_mass(weights(rows, length)[:, :, 0, 0]), counts, number)
        compare(self.shared_positions, rows, length, counts, number)
        phases = reading.phases.at(step, reading.row_envs)
        self._add_phases(flat, counts, phases, number)
        for name, mark in marks(reading, step, length, rows.shape[-1]).items():
            held = self.marked.setdefault(name, Measured.of(self._shares[0]))
            held.value.add(mass_on(rows, length, mark)[..., 0, 0], counts, number)
            even = mass_on(uniform_rows(length, rows.shape[-1]), length, mark)[..., 0, 0]
            held.uniform.add(even, counts, number)
        self._add_unstored(LINEAR, rows, length, counts, number, self._shares[0])

    def _add_phases(
        self,
        flat: Float64[np.ndarray, "row env age"],
        counts: Bool[np.ndarray, "row env"],
        phases: Phases,
        number: int,
    ) -> None:
        for phase, early, late in (
            (phases.by_episode, self.early, self.late),
            (phases.by_return, self.low, self.high),
        ):
            early.add(flat, counts & (phase == EARLY), number)
            late.add(flat, counts & (phase == LATE), number)

    def _add_heads(
        self, number: int, rows: Float[np.ndarray, "row env layer head slot"], length: Int64[np.ndarray, "row env"]
    ) -> None:
        """Measure the rows of every layer and head."""
        reading, layout = self.reading, self.reading.layout
        counts = length >= reading.least
        far = distance_from_uniform(rows, length)
        self.distance.add(far, counts)
        self.flatness.value.add(far.mean(axis=(2, 3)), counts, number)
        self.flatness.uniform.add(np.zeros(length.shape), counts, number)
        compare(self.positions, rows, length, counts, number)
        self.divergence.add(head_divergence(rows, length), counts)
        curve = cost_curve(rows, length, BUDGETS, layout)
        if reading.plan is not None and reading.plan.heads is None:
            self.heads.add(relative_profile(rows, length, layout), counts)
            self.own.add(curve.own, counts)
        self.shared.add(curve.shared, counts)
        self.blind.add(curve.uniform, counts)
        self.newest.add(newest_mass(weights(rows, length), length, layout), counts)
        self._add_unstored(BY_HEAD, rows, length, counts, number, self._shares[1])

    def _add_unstored(
        self,
        measures: Mapping[str, Measure],
        rows: Float[np.ndarray, "row env layer head slot"],
        length: Int64[np.ndarray, "row env"],
        counts: Bool[np.ndarray, "row env"],
        number: int,
        share_read: float,
    ) -> None:
        """Measure the statistics that the capture does not store, of an import by other programs for instance."""
        for name in measures.keys() - self.reading.statistics.keys():
            value = measures[name](rows, length, self.reading.layout).mean(axis=(2, 3))
            slots, layout = rows.shape[-1], self.reading.layout
            even = over_uniform(partial(measures[name], layout=layout), length, slots)[:, :, 0, 0]
            names = [f"{name}.{window}" for window in RECENCY_WINDOWS] if name == "recency" else [name]
            for place, one in enumerate(names):
                held = self.unstored.setdefault(one, Measured.of(share_read))
                held.value.add(value[..., place] if name == "recency" else value, counts, number)
                held.uniform.add(even[..., place] if name == "recency" else even, counts, number)


def averaged(profile: RolloutMean) -> Float64[np.ndarray, "env age"]:
    """Return a profile by age in which an age that a context does not reach counts as no attention there."""
    mean, seen = profile.mean, profile.count
    most = seen.max(axis=-1, keepdims=True)
    share = np.divide(seen, most, out=np.full(seen.shape, np.nan), where=most > 0)
    return np.asarray(np.where(seen > 0, mean, 0.0) * share)


def tally(reading: Reading) -> Tally | None:
    """Return the measures of a reading's rows; None where decision rows were not captured."""
    if reading.plan is None:
        return None
    task = reading.task[reading.row_envs]
    found = Tally(reading, Resampling(task, default_scope(task)))
    for burst in reading.bursts():
        found.add(burst)
    return found
