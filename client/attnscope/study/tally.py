"""Measures of decision rows, averaged over steps for each rollout by itself, block by block in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from attnscope.measures import (
    ContextLayout,
    RolloutMean,
    by_age,
    cost_curve,
    distance_from_uniform,
    head_divergence,
    recency_mass,
    relative_profile,
    self_mass,
    weights,
)
from attnscope.measures.phases import EARLY, LATE

RECENT = 20
"""Tokens that count as recent, as in the guide."""

BUDGETS = tuple(np.linspace(0.02, 1.0, 50).tolist())
"""Shares of the history that cost curves are drawn at."""


@dataclass(frozen=True, eq=False)
class Phases:
    """Of every step, the phase of its episode: early, late or neither."""

    by_episode: Int[np.ndarray, "row env"]
    """First and last third of the episodes."""
    by_return: Int[np.ndarray, "row env"]
    """Thirds of the lowest and the highest return."""

    def at(self, steps: Int[np.ndarray, " step"]) -> Phases:
        """Return those of some steps."""
        return Phases(self.by_episode[steps], self.by_return[steps])


@dataclass
class Tally:
    """Means over the steps whose context is long enough; one entry a rollout."""

    layout: ContextLayout
    profile: RolloutMean = field(default_factory=RolloutMean)
    """By age [env, layer, head, age]."""
    cumulative: RolloutMean = field(default_factory=RolloutMean)
    """Mass of the k heaviest tokens of each step [env, layer, head, k]."""
    pooled: RolloutMean = field(default_factory=RolloutMean)
    """The same of the row averaged over layers and heads [env, k]."""
    distance: RolloutMean = field(default_factory=RolloutMean)
    """Total variation from uniform [env, layer, head]."""
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
    early: RolloutMean = field(default_factory=RolloutMean)
    """By age in the first third of the episodes, mean over layers and heads [env, age]."""
    late: RolloutMean = field(default_factory=RolloutMean)
    """By age in the last third [env, age]."""
    low: RolloutMean = field(default_factory=RolloutMean)
    """By age in the third of the episodes with the lowest return [env, age]."""
    high: RolloutMean = field(default_factory=RolloutMean)
    """By age in the third with the highest [env, age]."""
    masses: list[Float64[np.ndarray, "row env part"]] = field(default_factory=list)
    """Recent, distant and own mass of every step read, mean over layers and heads."""

    @property
    def averaged(self) -> Float64[np.ndarray, "env age"]:
        """The row averaged over time, by age; an age that a context does not reach counts as no attention there."""
        mean, seen = self.profile.mean.mean(axis=(1, 2)), self.profile.count[:, 0, 0]
        most = seen.max(axis=-1, keepdims=True)
        share = np.divide(seen, most, out=np.full(seen.shape, np.nan), where=most > 0)
        return np.asarray(np.where(seen > 0, mean, 0.0) * share)

    def add(
        self,
        rows: Float[np.ndarray, "row env layer head slot"],
        length: Int[np.ndarray, "row env"],
        counts: Bool[np.ndarray, "row env"],
        phases: Phases,
    ) -> None:
        """Take in a block of steps.

        Parameters
        ----------
        counts
            Steps whose context is long enough for the means; `masses` are kept of every step.
        phases
            Of these steps.
        """
        share = weights(rows, length)
        recent = recency_mass(rows, length, (RECENT,), self.layout)[..., 0].mean(axis=(2, 3))
        own = self_mass(rows, length, self.layout).mean(axis=(2, 3))
        self.masses.append(np.stack([recent, 1 - recent - own, own], axis=-1))
        profile = relative_profile(rows, length, self.layout)
        self.profile.add(profile, counts)
        self.cumulative.add(_running(share), counts)
        self.pooled.add(_running(share.mean(axis=(2, 3))), counts)
        self.distance.add(distance_from_uniform(rows, length), counts)
        self.divergence.add(head_divergence(rows, length), counts)
        curve = cost_curve(rows, length, BUDGETS, self.layout)
        self.own.add(curve.own, counts)
        self.shared.add(curve.shared, counts)
        self.blind.add(curve.uniform, counts)
        self.newest.add(_newest(share, length, self.layout), counts)
        flat = profile.mean(axis=(2, 3))
        for phase, early, late in (
            (phases.by_episode, self.early, self.late),
            (phases.by_return, self.low, self.high),
        ):
            early.add(flat, counts & (phase == EARLY))
            late.add(flat, counts & (phase == LATE))


def _running(share: Float64[np.ndarray, "*row slot"]) -> Float64[np.ndarray, "*row slot"]:
    """Return the mass of the k heaviest tokens, for every k."""
    running: Float64[np.ndarray, "*row slot"] = -np.sort(-share, axis=-1)
    return running.cumsum(axis=-1)


def _newest(
    share: Float64[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"], layout: ContextLayout
) -> Float64[np.ndarray, "*row layer head budget"]:
    """Return the mass on the query and the newest tokens of each budget."""
    running = by_age(share, length, layout).cumsum(axis=-1)
    history = np.asarray(length)[..., None] - 1
    kept = np.minimum(np.maximum(np.floor(history * np.asarray(BUDGETS) + 1e-9), 1), history).astype(np.int64)
    index = np.broadcast_to(kept[..., None, None, :], (*running.shape[:-1], len(BUDGETS)))
    return np.take_along_axis(running, index, axis=-1)
