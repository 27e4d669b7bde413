"""The three votes of a screen: departure, signed loss and retained attention. They propose; rollouts decide.

Screens, races and studies all call these functions. They know no policy and no rule.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

BASELINES: Final = ("recency", "uniform", "random")
"""Blind rules that race whatever the votes say."""

FIRST: Final = 3
"""Rules that each vote sends into the race."""

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]
"""Arrays by the names of a screen's store."""


@dataclass(frozen=True, eq=False)
class Votes:
    """The number of every arm by which each vote orders; the least is the first choice."""

    departure: Float64[np.ndarray, " arm"]
    """TV-live: mean departure over live decisions."""

    signed: Float64[np.ndarray, " arm"]
    """Mean signed loss over decisions after which a reward follows in the episode; NaN where there is none, or where
    actions have no distribution."""

    retained: Float64[np.ndarray, " arm"]
    """Mean share of attention that is kept, *negated*, so that the least is best; NaN without stored rows."""

    @property
    def named(self) -> dict[str, Float64[np.ndarray, " arm"]]:
        """Return the votes that have a number for every arm, by name."""
        both = {"departure": self.departure, "signed loss": self.signed, "retained attention": self.retained}
        return {name: values for name, values in both.items() if np.isfinite(values).all()}


def rollout_means(
    values: Shaped[np.ndarray, "rollout arm decision"], where: Bool[np.ndarray, "rollout decision"]
) -> Float64[np.ndarray, "rollout arm"]:
    """Return the mean of every rollout over some of its decisions; NaN where it has none of them."""
    weight = where.astype(np.float64)[:, None]
    many = weight.sum(axis=-1)
    total = (np.asarray(values, np.float64) * weight).sum(axis=-1)
    return np.asarray(np.divide(total, many, out=np.full(total.shape, np.nan), where=many > 0))


def votes_of(arrays: Arrays, task: Shaped[np.ndarray, " rollout"]) -> Votes:
    """Return the three votes of a screen's arms.

    Parameters
    ----------
    arrays
        ``screen/departure``, ``decision/live``, ``decision/follows``, ``screen/signed`` where actions have a
        distribution, and ``screen/retained`` where the attention of decisions was stored.
    task
        Task of every rollout. Tasks count alike, and so do the rollouts of one task; a task of which some rollouts have
        no number counts by the share of those that have one.
    """
    live, follows = arrays["decision/live"] != 0, arrays["decision/follows"] != 0
    departure = _over_tasks(rollout_means(arrays["screen/departure"], live), task)
    signed = np.full(len(departure), np.nan)
    if "screen/signed" in arrays:
        signed = _over_tasks(rollout_means(arrays["screen/signed"], follows), task)
    if "screen/retained" not in arrays:
        return Votes(departure, signed, np.full(len(departure), np.nan))
    every = np.ones_like(live)
    return Votes(departure, signed, -_over_tasks(rollout_means(arrays["screen/retained"], every), task))


def distinct(arrays: Arrays, budgets: Sequence[Hashable], order: Sequence[int]) -> list[int]:
    """Return the arms without those that kept and decided the same as an earlier one at every decision.

    Parameters
    ----------
    budgets
        Budget of every arm; arms of different budgets are never the same.
    order
        The arms in the order in which they are looked at: of equal arms the first remains.
    """
    seen: set[tuple[Hashable, bytes, bytes]] = set()
    found = []
    for arm in order:
        key = (
            budgets[arm],
            np.ascontiguousarray(arrays["screen/departure"][:, arm]).tobytes(),
            np.ascontiguousarray(arrays["screen/kept"][:, arm]).tobytes(),
        )
        if key not in seen:
            seen.add(key)
            found.append(arm)
    return found


def least_of(values: Float64[np.ndarray, " arm"], rules: Sequence[Hashable], members: Sequence[int]) -> list[int]:
    """Return one arm of every rule: that of the positions under which its value is the least, the first of equal ones.

    Parameters
    ----------
    values
        Number of every arm.
    rules
        Rule of every arm.
    members
        The arms of one budget.
    """
    best: dict[Hashable, int] = {}
    for arm in members:
        if rules[arm] not in best or values[arm] < values[best[rules[arm]]]:
            best[rules[arm]] = arm
    return list(best.values())


def least_departing(votes: Votes, rules: Sequence[Hashable], members: Sequence[int]) -> list[int]:
    """Return one arm of every rule: that of the positions under which it departs least.

    Within a rule departures order positions on most policies that have found their goal, and on none that has not.
    """
    return least_of(votes.departure, rules, members)


def first_listed(rules: Sequence[Hashable], members: Sequence[int]) -> list[int]:
    """Return one arm of every rule: the one that is listed first, which stands at the policy's default positions.

    It takes the place of `least_departing` where a policy has not found its goal: such a policy may gain by departing.
    """
    first: dict[Hashable, int] = {}
    for arm in members:
        first.setdefault(rules[arm], arm)
    return list(first.values())


def first_of_each(votes: Votes, members: Sequence[int], first: int = FIRST) -> dict[str, list[int]]:
    """Return the first arms of each vote, best first; a vote that has no number for some arm is left out.

    Parameters
    ----------
    members
        The arms that are compared: those of one budget, one of every rule.
    """
    mine = np.asarray(members, np.int64)
    found = {}
    for name, values in votes.named.items():
        order = np.argsort(values[mine], kind="stable")[:first]
        found[name] = [int(arm) for arm in mine[order]]
    return found


def by_votes(votes: Votes, members: Sequence[int]) -> list[int]:
    """Return arms by their mean rank over the votes, best first; equal ranks keep their order.

    In a race, arms whose returns are equal fall out from the end of their list.

    Parameters
    ----------
    members
        The arms that are compared: those of one budget.
    """
    mine = np.asarray(members, np.int64)
    ranks = np.zeros(len(mine))
    for values in votes.named.values():
        ranks += (values[mine][:, None] > values[mine][None]).sum(axis=1)
    return [int(arm) for arm in mine[np.argsort(ranks, kind="stable")]]


def _over_tasks(
    values: Float[np.ndarray, "rollout arm"], task: Shaped[np.ndarray, " rollout"]
) -> Float64[np.ndarray, " arm"]:
    """Return the mean over rollouts, each weighing one by its task's rollouts; those without a number are left out."""
    _, place, count = np.unique(task, return_inverse=True, return_counts=True)
    weight = (1 / count[place])[:, None] * np.isfinite(values)
    total = (weight * np.nan_to_num(values)).sum(axis=0)
    many = weight.sum(axis=0)
    return np.asarray(np.divide(total, many, out=np.full(total.shape, np.nan), where=many > 0), np.float64)
