"""A winner is chosen on some rollouts and judged on others: the best of many conditions looks better than it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attnscope.measures.intervals import RESAMPLES, Scope
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.costs import effective_budget
from attnscope.trials.results import TrialResults
from attnscope.trials.verdicts import Verdict, judge

ENOUGH_TASKS: Final = 4
"""Tasks from which on half of them choose and the others report."""


@dataclass(frozen=True)
class Parts:
    """Rollouts that choose and rollouts that report, and how they were parted."""

    choosing: TrialResults
    reporting: TrialResults
    how: str


@dataclass(frozen=True)
class Winner:
    """The condition that the choosing rollouts point to, judged on rollouts that chose nothing."""

    condition: int
    why: str
    how: str
    """The way in which rollouts were parted."""
    chosen_at: Verdict
    """On the rollouts that chose it: too good, on average."""
    verdict: Verdict
    """On the others."""


def parts(results: TrialResults) -> Parts | None:
    """Return the rollouts of every other task and those of the others; of few tasks, of half of the seeds.

    None where there is one seed and too few tasks: nothing could be chosen without being reported on.
    """
    tasks, seeds = range(len(results.tasks)), range(results.seeds)
    if len(tasks) >= ENOUGH_TASKS:
        how = f"every other of {len(tasks)} tasks chose, the other tasks report"
        return Parts(results.cut(tasks=tasks[::2]), results.cut(tasks=tasks[1::2]), how)
    if len(seeds) > 1:
        how = f"{len(seeds) // 2} of {len(seeds)} seeds chose, the others report"
        half = len(seeds) // 2
        return Parts(results.cut(seeds=seeds[:half]), results.cut(seeds=seeds[half:]), how)
    return None


def winner(results: TrialResults, scope: Scope = "these tasks", samples: int = RESAMPLES) -> Winner | None:
    """Return the condition to use, chosen by a rule that was fixed before, and its verdict on other rollouts.

    Of those that the choosing rollouts find non-inferior the one with the smallest effective budget; where there is
    none, of those that keep at least 1 − margin; else the one that keeps most. Oracles are never chosen, nor is any of
    the arms of a trial that names its arms.
    """
    parted = None if results.has_arms else parts(results)
    candidates = [one.index for one in results.conditions[1:] if not one.oracle and one.strategy != "none"]
    if parted is None or not candidates:
        return None
    apart = [
        PairedBootstrap(part.seeds, len(part.tasks), scope, samples) for part in (parted.choosing, parted.reporting)
    ]
    found = {place: judge(parted.choosing, place, apart[0]) for place in candidates}
    share = {place: effective_budget(parted.choosing, place, apart[0]).value for place in candidates}
    enough = [place for place in candidates if found[place].word == "non-inferior"]
    near = [place for place in candidates if found[place].kept.value >= found[place].bound]
    if enough or near:
        condition = min(enough or near, key=lambda place: (share[place], -found[place].kept.value))
        why = "the fewest tokens of those " + ("found non-inferior" if enough else "that keep 1 − margin, unproven")
    else:
        condition = max(candidates, key=lambda place: found[place].kept.value)
        why = "it keeps most; none keeps 1 − margin"
    return Winner(condition, why, parted.how, found[condition], judge(parted.reporting, condition, apart[1]))
