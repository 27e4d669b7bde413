"""A screen as advice reads it: each rule at its best count and positions, and the votes of three measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope.screens.board import Row, rows
from attnscope.screens.results import ScreenResults
from attnscope_storage.proposing import BASELINES, FIRST, distinct, first_of_each, least_departing
from attnscope_storage.wire import Condition

WORTH: Final = 2.0
"""Smallest saving worth having: rules are compared where they keep at most this part of a full context."""


@dataclass(frozen=True)
class Best:
    """A deployable rule at its best count and positions."""

    row: Row
    arm: Condition
    bound: Row | None
    """The same rule at the same budget, choosing before every decision: an oracle. None where it looks at nothing."""
    same: tuple[str, ...] = ()
    """Other rules that kept and decided the same at every screened decision."""

    @property
    def name(self) -> str:
        """Rule, budget and positions in a few words."""
        return f"{self.row.name}{budget_words(self.row.budget)}, {self.row.positions}"


def budget_words(budget: float | None) -> str:
    """Return a budget behind a rule's name, such as `` 40 %``; nothing where a rule heeds none."""
    if budget is None:
        return ""
    return f" {100 * budget:g} %" if isinstance(budget, float) else f" {budget}"


def best_arms(results: ScreenResults) -> list[Best]:
    """Return every deployable rule at the count and positions where it departs least, in the order of the rules.

    Only savings worth having count, where there are any. Rules that kept and decided the same are one.
    """
    table, arms = rows(results), results.arms
    real = [row.arm for row in table if not row.oracle and arms[row.arm].strategy != "none"]
    worth = [arm for arm in real if _full_share(results, table[arm]) <= 1 / WORTH + 1e-9] or real
    chosen = least_departing(results.votes, [(row.name, row.strategy) for row in table], worth)
    budgets = [(one.budget, one.positions) for one in arms]
    same: dict[int, list[int]] = {}
    for arm in sorted(chosen, key=lambda arm: arms[arm].strategy not in BASELINES):
        first = next((one for one in same if distinct(results.arrays, budgets, [one, arm]) == [one]), None)
        same.setdefault(arm if first is None else first, []).extend([] if first is None else [arm])
    return [
        Best(table[arm], arms[arm], _bound(table, table[arm]), tuple(table[other].name for other in same[arm]))
        for arm in sorted(same)
    ]


def votes(results: ScreenResults, best: Sequence[Best], first: int = FIRST) -> dict[str, list[Best]]:
    """Return the first rules of each vote that has a number for every rule."""
    of = {one.row.arm: one for one in best}
    found = first_of_each(results.votes, list(of), first) if of else {}
    return {name: [of[arm] for arm in order] for name, order in found.items()}


def agreement(found: dict[str, list[Best]]) -> str:
    """Return whether the votes agree, in a sentence."""
    if len(found) < 2:  # noqa: PLR2004 - a vote alone agrees with nobody
        return "Only one measure could vote."
    named = [{one.name for one in of} for of in found.values()]
    together, all_of = set.intersection(*named), len(set.union(*named))
    if not together:
        return f"The votes disagree: {all_of} rules are named, and none by every vote. Only rollouts can tell."
    ordered = [one.name for one in next(iter(found.values())) if one.name in together]
    who = "Both votes" if len(found) == 2 else "All votes"  # noqa: PLR2004 - two of them
    other = "" if all_of == len(together) else f"; they differ on {all_of - len(together)} more"
    return f"{who} name {'; '.join(ordered)}{other}."


def _full_share(results: ScreenResults, row: Row) -> float:
    """Return what a rule keeps of a full context."""
    if isinstance(row.budget, int):
        return row.budget / results.policy.transitions
    return row.share if row.budget is None else row.budget


def _bound(table: list[Row], row: Row) -> Row | None:
    mine = _rule(row)
    same = [one for one in table if one.oracle and one.interval == 1 != row.interval and _rule(one) == mine]
    return min(same, key=lambda one: np.nan_to_num(one.tv_live, nan=np.inf), default=None)


def _rule(row: Row) -> tuple[object, ...]:
    return row.strategy, row.budget, row.positions, row.memory
