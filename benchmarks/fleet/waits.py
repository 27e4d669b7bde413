"""Waits of a run by owner, against those of the fair share; and the fate of the jobs whose workers fell silent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from benchmarks.fleet.demands import Demand
from benchmarks.fleet.fair_share import ends
from benchmarks.fleet.simulation import Outcome


def by_owner(asked: Sequence[Demand], workers: int, outcome: Outcome) -> dict[str, float]:
    """Return, by owner, the mean time from submission to end over that of the fair share."""
    fair, real, ideal = ends(asked, workers), defaultdict(list), defaultdict(list)
    for demand in asked:
        real[demand.owner].append(outcome.ended[demand.name].at - demand.at)
        ideal[demand.owner].append(fair[demand.name] - demand.at)
    return {owner: fmean(waits) / fmean(ideal[owner]) for owner, waits in real.items()}


def of_sorts(ratios: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return median and worst ratio of the owners by the way in which they ask."""
    sorts = defaultdict(list)
    for owner, ratio in ratios.items():
        sorts[owner.rpartition("-")[0]].append(ratio)
    return {sort: {"median": median(found), "worst": max(found)} for sort, found in sorted(sorts.items())}


def after_a_cut(outcome: Outcome) -> dict[str, Any]:
    """Return when the jobs of silent workers began again, and what else became of them."""
    cut = outcome.cut
    if cut is None or not cut.tasks:
        return {}
    again = {one.name: one.at - cut.at for one in outcome.workers.started if one.attempt == 2}
    names = {task.name for task in cut.tasks}
    return {
        "workers": len(cut.tasks),
        "began_again_after": {"median": median(again.values()), "longest": max(again.values())},
        "only_theirs_began_again": set(again) == names,
        "tries": max(outcome.ended[name].attempts for name in names),
    }
