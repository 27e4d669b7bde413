"""Departures of a policy that packs its history, by the age of the compression: how blind it is right after one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from attnscope.trials.results import TrialResults
from attnscope_model.strategies import strategy
from attnscope_model.strategies.learned import Latents, packing_ages, packing_memory, packing_work
from attnscope_storage.kinds.trial.schema import DEPARTURE

UNCOUNTED: Final = "the memory of its compressor is not counted, as nobody tells it"
"""Said of an installed compressor, and of a policy whose description says no network."""


@dataclass(frozen=True, eq=False)
class PackedDepartures:
    """Mean departures of one arm from its sliding partner, on the partner's histories."""

    before: float
    """Before the first compression, where both see the same; NaN where no sampled step lies there."""
    age: Int64[np.ndarray, " age"]
    """Transitions since the compression; 0 is the decision right after it."""
    departure: Float64[np.ndarray, " age"]
    """Total variation of the acted distributions, mean over the sampled steps of this age, seeds and tasks."""

    @property
    def words(self) -> str:
        """The departures in a sentence; ages beyond the first are taken together."""
        first = self.departure[self.age == 0]
        later = self.departure[self.age > 0]
        parts = [f"{first[0]:.3f} right after a compression"] if len(first) else []
        parts += [f"{later.mean():.3f} later"] if len(later) else []
        return f"departs from the same weights over a sliding window by {' and '.join(parts)}"


def packing_moment(results: TrialResults, condition: int) -> int:
    """Return the bytes that a rollout's largest compression takes for a moment; 0 where there is none or nobody tells.

    Parameters
    ----------
    results
        Of a trial.
    condition
        Entry of the condition axis.
    """
    arm, policy = results.conditions[condition], results.policy_of(condition)
    if arm.strategy != Latents.name:
        return 0
    rule = strategy(arm.strategy, **arm.parameters)
    assert isinstance(rule, Latents)  # noqa: S101 - by its name
    return packing_memory(rule, policy, results.spec.episodes * results.resolved.horizon)


def packing_costs(results: TrialResults, condition: int) -> str | None:
    """Return the compressor's part of a condition's operations, and the bytes that it takes for a moment, in words.

    None where a condition packs nothing. Both are counted among those of the condition, where anybody tells them.

    Parameters
    ----------
    results
        Of a trial.
    condition
        Entry of the condition axis.
    """
    arm, policy = results.conditions[condition], results.policy_of(condition)
    if arm.strategy != Latents.name:
        return None
    rule = strategy(arm.strategy, **arm.parameters)
    per, steps = policy.tokens_per_transition, results.spec.episodes * results.resolved.horizon
    assert isinstance(rule, Latents)  # noqa: S101 - by its name
    work = packing_work(rule, policy, np.arange(steps) * per)
    if np.isnan(work).any():
        return UNCOUNTED
    share = float(work.mean()) / float(results.flops[condition].mean())
    return (
        f"its compressor takes {share:.0%} of its operations and, by formula, up to "
        f"{packing_moment(results, condition) / 1024:.0f} KiB a rollout for a moment; both are counted"
    )


def departures_by_age(results: TrialResults, condition: int) -> PackedDepartures | None:
    """Return the departures of a condition by age; None where it packs nothing or no departure was sampled.

    Parameters
    ----------
    results
        Of a trial.
    condition
        Entry of the condition axis.
    """
    departure, arm = results.measured(DEPARTURE), results.conditions[condition]
    steps = results.static("divergence/step")
    own = arm.checkpoint == 0 and not (arm.parameters.get("once") or arm.parameters.get("by"))
    if arm.strategy != Latents.name or not own or departure is None or not len(steps):
        return None
    ages = packing_ages(results.policy, int(steps.max()) + 1, int(arm.parameters.get("newest", 0)))
    known = np.array([-1 if ages[step] is None else ages[step] for step in steps])
    mean = departure[condition].mean(axis=(1, 2))
    kinds = np.unique(known[known >= 0])
    if not len(kinds):
        return None
    before = float(mean[known < 0].mean()) if (known < 0).any() else float("nan")
    return PackedDepartures(before, kinds, np.array([mean[known == kind].mean() for kind in kinds]))
