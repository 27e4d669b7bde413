"""The numbers of a screen: every arm's departures and what goes with them, with intervals over tasks and rollouts.

A screen says how far an arm *changes the policy* on histories of the uncompressed one. It does not say what that costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from attnscope.measures.intervals import Interval, Resampling
from attnscope.notebook import picture_of, table
from attnscope.screens.work import fastest_exact, work_of
from attnscope_storage.proposing import Votes, rollout_means, votes_of
from attnscope_storage.wire import Condition, PolicyDescription

ENOUGH_TASKS: Final = 8
ENOUGH_ROLLOUTS: Final = 4
"""Tasks, and rollouts of each, below which intervals are marked."""

EARNING: Final = 0.8
"""Share of rollouts that must earn for a screen to order rules: below it the policy has not found its goal."""

THIRD: Final = 3

Phase = Literal["all", "before the first reward", "first third", "last third", "growing window", "full window"]

PHASES: Final[tuple[Phase, ...]] = (
    "all",
    "before the first reward",
    "first third",
    "last third",
    "growing window",
    "full window",
)
"""Parts of a rollout, by which departures are told apart: thirds are of its episodes."""


@dataclass(frozen=True, eq=False)
class ScreenResults:
    """A screen's arms and arrays, of the rollouts that are committed.

    Parameters
    ----------
    arms
        The arm axis.
    policy
        The policy's shape.
    task
        Task of every rollout.
    arrays
        By the names of a screen's store.
    notes
        What was left out, and why.
    name
        The checkpoint's.
    bands
        Youngest and oldest age of the bands that were left out one by one, where any were.
    reach
        Return of an episode of uniform actions and of optimal ones, by task, as far as they are known.
    """

    arms: tuple[Condition, ...]
    policy: PolicyDescription
    task: Shaped[np.ndarray, " rollout"]
    arrays: Mapping[str, Shaped[np.ndarray, ...]]
    notes: tuple[str, ...] = ()
    name: str = ""
    bands: tuple[tuple[int, int], ...] = ()
    reach: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        rows = {"checkpoint": self.name or "unknown", "arms": len(self.arms), "rollouts": len(self.task)}
        return table("results of a screen", rows)

    def _repr_png_(self) -> bytes | None:
        return picture_of("attnscope.figures.screens.map:screen_map", self) if len(self.task) else None

    @cached_property
    def resampling(self) -> Resampling:
        """Samples of tasks, and of rollouts within each."""
        several = len(np.unique(self.task)) > 1
        return Resampling(self.task, "beyond these tasks" if several else "these tasks")

    @property
    def reliable(self) -> bool:
        """True where there are 8 tasks of 4 rollouts at least."""
        per_task = self.resampling.per_task
        return len(per_task) >= ENOUGH_TASKS and bool((per_task >= ENOUGH_ROLLOUTS).all())

    @property
    def earning(self) -> float:
        """Share of the rollouts in which any step was rewarded."""
        return float(self.arrays["rollout/earned"].mean())

    @property
    def orders(self) -> bool:
        """True where most rollouts earn, so that departures may order rules at all."""
        return self.earning >= EARNING

    @cached_property
    def attained(self) -> float | None:
        """Late gain of the uncompressed policy over that of optimal actions, tasks alike; None where it is not known.

        Late is the last third of a rollout's whole episodes; the gain is over uniform actions.
        """
        tasks = [int(task) for task in self.task]
        if "rollout/late_return" not in self.arrays or not set(tasks) <= self.reach.keys():
            return None
        random, optimal = np.array([self.reach[task] for task in tasks]).T
        if not (optimal > random).all():
            return None
        late = np.asarray(self.arrays["rollout/late_return"], np.float64)
        return float(self.resampling.mean((late - random) / (optimal - random)))

    @property
    def live(self) -> Bool[np.ndarray, "rollout decision"]:
        """Decisions after which a reward can still follow, as far as the environment declares it."""
        return np.asarray(self.arrays["decision/live"] == 1)

    def within(self, phase: Phase) -> Bool[np.ndarray, "rollout decision"]:
        """Return the decisions of a phase."""
        episode, count = self.arrays["decision/episode"], self.arrays["rollout/episodes"][:, None]
        full = self.arrays["decision/held"] == self.policy.transitions * self.policy.tokens_per_transition
        if phase == "before the first reward":
            return np.asarray(self.arrays["decision/found"] == 0)
        if phase == "first third":
            return np.asarray(THIRD * episode < count)
        if phase == "last third":
            return np.asarray(THIRD * episode >= (THIRD - 1) * count)
        return np.asarray({"growing window": ~full, "full window": full}.get(phase, np.ones_like(full)))

    def mean(
        self, name: str, where: Bool[np.ndarray, "rollout decision"] | None = None
    ) -> Float64[np.ndarray, "rollout arm"]:
        """Return the mean of an array over every rollout's decisions, or some of them; NaN where it has none.

        Parameters
        ----------
        name
            Such as ``departure``: an array ``screen/…``.
        """
        values = self.arrays[f"screen/{name}"]
        return rollout_means(values, np.ones(values.shape[::2], np.bool_) if where is None else where)

    def interval(self, values: Float[np.ndarray, "rollout arm"]) -> Interval:
        """Return the mean of every arm with its interval: tasks are resampled, then rollouts within each."""
        found = self.resampling.interval(values)
        return Interval(found.value, found.low, found.high, self.reliable)

    @cached_property
    def tv_live(self) -> Interval:
        """Mean departure over live decisions."""
        return self.interval(self.mean("departure", self.live))

    @cached_property
    def tv_all(self) -> Interval:
        """Mean departure over all decisions."""
        return self.interval(self.mean("departure"))

    def optional(self, name: str) -> Float64[np.ndarray, " arm"] | None:
        """Return the mean of an array that heads of some kinds have no numbers for; None where there is none."""
        if f"screen/{name}" not in self.arrays:
            return None
        return np.asarray(self.resampling.mean(self.mean(name)))

    @cached_property
    def signed(self) -> Interval | None:
        """Mean signed loss where a reward follows in the episode; None where actions have no distribution."""
        if "screen/signed" not in self.arrays:
            return None
        return self.interval(self.mean("signed", self.arrays["decision/follows"] == 1))

    @cached_property
    def retained(self) -> Interval | None:
        """Mean share of attention that is kept; None where attention is not stored."""
        return self.interval(self.mean("retained")) if "screen/retained" in self.arrays else None

    @cached_property
    def votes(self) -> Votes:
        """The numbers by which the three votes order arms."""
        return votes_of(self.arrays, self.task)

    @cached_property
    def per_episode(self) -> Interval:
        """Departures of an episode: its live decisions × their mean departure."""
        each = np.asarray(self.arrays["rollout/live_each"], np.float64)[:, None]
        return self.interval(each * self.mean("departure", self.live))

    @cached_property
    def changed(self) -> Interval | None:
        """Probability that an episode has any departure, 1 − Π(1 − d), at as many live decisions as an episode has.

        None where departures are distances and no probabilities.
        """
        if not self.policy.output.is_share:
            return None
        departure = np.asarray(self.arrays["screen/departure"], np.float64)
        log = np.log1p(-np.minimum(departure, 1 - 1e-12)) * self.live[:, None]
        many = self.live.sum(axis=1)[:, None]
        mean = np.divide(log.sum(axis=-1), many, out=np.full((len(log), log.shape[1]), np.nan), where=many > 0)
        return self.interval(1 - np.exp(np.asarray(self.arrays["rollout/live_each"], np.float64)[:, None] * mean))

    @cached_property
    def tokens(self) -> Float64[np.ndarray, " arm"]:
        """History tokens of a decision, mean over all."""
        return np.asarray(self.resampling.mean(self.mean("kept")))

    @cached_property
    def share(self) -> Float64[np.ndarray, " arm"]:
        """The effective budget: tokens kept ÷ tokens of the uncompressed context."""
        held = float(self.resampling.mean(np.asarray(self.arrays["decision/held"], np.float64).mean(axis=1)))
        return self.tokens / held if held else np.full(len(self.arms), np.nan)

    def by_phase(self, phase: Phase) -> Interval:
        """Return the mean departure over the live decisions of a phase."""
        return self.interval(self.mean("departure", self.live & self.within(phase)))

    def time(self, phase: Literal["growing window", "full window"]) -> Float64[np.ndarray, " arm"]:
        """Return the predicted time of a decision over that of the fastest exact way to serve the full policy.

        It is arithmetic of the policy's forwards; what a rule itself computes is not in it. NaN where no decision fell
        into the phase.
        """
        inside = self.within(phase)
        if not inside.any():
            return np.full(len(self.arms), np.nan, np.float64)
        held = np.asarray(self.arrays["decision/held"])[inside]
        exact = fastest_exact(self.policy, held, full=phase == "full window").mean()
        kept: Int[np.ndarray, "arm decision"] = np.moveaxis(self.arrays["screen/kept"], 1, 0)[:, inside]
        step = np.asarray(self.arrays["decision/step"])[inside] if "decision/step" in self.arrays else None
        works = [work_of(arm, self.policy, kept[index], held, step) for index, arm in enumerate(self.arms)]
        found = np.array([work.mean() for work in works])
        return np.asarray(found / exact, np.float64)
