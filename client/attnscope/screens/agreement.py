"""The agreement of a screen's three votes on the rules that they propose; a reader is told of a disagreement.

No single measure may order rules. Each vote proposes some, and a race of rollouts decides.
"""

from __future__ import annotations

from dataclasses import replace

from attnscope.screens.board import name_of
from attnscope.screens.results import ScreenResults
from attnscope.screens.wording import budget_words
from attnscope_storage.proposing import Doubts, distinct, doubts_of, first_of_each, least_departing

Budget = int | float


def proposals(results: ScreenResults) -> dict[Budget, dict[str, tuple[str, ...]]]:
    """Return the names of the rules that each vote proposes, budget by budget.

    Rules that could be deployed are compared, each under the positions where it departs least; arms that kept and
    decided the same are one. A screen that may not order rules, because too few rollouts earn, proposes none.
    """
    if not results.orders:
        return {}
    arms, votes = results.arms, results.votes
    bounded = [arm.index for arm in arms if arm.budget is not None and not arm.oracle]
    alike = distinct(results.arrays, [arm.budget for arm in arms], bounded)
    names = [name_of(arm) for arm in arms]
    found: dict[Budget, dict[str, tuple[str, ...]]] = {}
    for budget in dict.fromkeys(arms[arm].budget for arm in alike):
        mine = least_departing(votes, names, [arm for arm in alike if arms[arm].budget == budget])
        first = first_of_each(votes, mine)
        if budget is not None:
            found[budget] = {vote: tuple(names[arm] for arm in order) for vote, order in first.items()}
    return found


def doubts(results: ScreenResults) -> Doubts:
    """Return the numbers by which a screen's own order of counts and positions is not believed."""
    arms = results.arms
    members = [arm.index for arm in arms if arm.budget is not None and not arm.oracle]
    found = doubts_of(results.votes, [name_of(arm) for arm in arms], members)
    # A distance has no hundredth below which hardly anything departs.
    return found if results.policy.output.is_share else replace(found, still=float("nan"))


def disagreement(results: ScreenResults) -> list[str]:
    """Return a sentence for each budget at which the votes do not propose the same rules."""
    found = []
    for budget, of in proposals(results).items():
        common = set.intersection(*(set(names) for names in of.values())) if of else set()
        most = max((len(names) for names in of.values()), default=0)
        if len(common) < most:
            named = "; ".join(f"{vote}: {', '.join(names)}" for vote, names in of.items())
            shared = f"{len(common)} of {most} in common" if common else "none in common"
            found.append(f"at {budget_words(budget)} the votes disagree ({shared}). First by {named}")
    return found
