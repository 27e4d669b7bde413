"""Chances of a verdict: conditional power for futility, and the seeds that would decide at both ends of an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attnscope_server.deciding.statistics.crossing import crossing
from attnscope_server.deciding.statistics.estimates import Estimate
from attnscope_server.deciding.statistics.look_plans import FULL_TASKS, LookPlan, Reach

FUTILE = 0.10
"""Conditional power below which further rollouts are called futile."""

FIRST_FUTILE_SEEDS = 10
"""Fewest seeds a task before futility is looked at, or as many rollouts as `FULL_TASKS` tasks then have.

Beyond named tasks, it is looked at from the second look on.
"""

END = 1.2815515655446004
"""z value of one end of an 80 % interval."""

PROMISED = 0.8416212335729143
"""z value of a power of 80 %."""


def conditional_power(tested: Estimate, plan: LookPlan, number: int, ends: float = END) -> float:
    """Probability that a later look calls the arm safe, given this look, at one end of the current interval.

    Parameters
    ----------
    tested
        The tested difference at the look.
    number
        Number of the look, 1 at the first.
    ends
        Standard errors above the estimate at which the truth is placed; the favourable end of the 80 % interval by
        default, 0 for the estimate itself.

    Returns
    -------
    float
        Zero after the last look.
    """
    look = plan.looks[number - 1]
    later = plan.looks[number:]
    if not later:
        return 0.0
    score = float(tested.score)
    drift = (score + ends) / math.sqrt(look.fraction)
    chance = crossing([x.fraction for x in later], safe=plan.safe[number:], drift=drift, start=(look.fraction, score))
    return float(chance.safe.sum())


def is_futile(tested: Estimate, plan: LookPlan, number: int) -> bool:
    """Tell that no later look is likely to call the arm safe, even at the favourable end of the current interval.

    It binds nothing: going on regardless keeps the error, and its answer is undecided, never harm.
    """
    look = plan.looks[number - 1]
    few = look.seeds < FIRST_FUTILE_SEEDS and look.tasks * look.seeds < FULL_TASKS * FIRST_FUTILE_SEEDS
    early = few if plan.reach is Reach.THESE else number == 1
    if early or math.isnan(float(tested.score)):
        return False
    return conditional_power(tested, plan, number) < FUTILE


@dataclass(frozen=True)
class SizeNeeded:
    """Sample sizes that decide in four cases of five, at both ends of the current 80 % interval."""

    if_near: int | None
    """Size if the truth is the end that is farther from the margin."""

    if_far: int | None
    """Size if the truth is the other end; absent where that end lies at the margin or beyond it."""


def size_needed(tested: Estimate, plan: LookPlan, number: int) -> SizeNeeded:
    """Seeds a task (or tasks, beyond named ones) with which one test has a power of 80 %.

    The bound is that of the plan's last look. A size within the plan's looks needs slightly more than is said here.
    """
    look = plan.looks[number - 1]
    size = look.tasks if plan.reach is Reach.BEYOND else look.seeds
    score = float(tested.score)
    if math.isnan(score):
        return SizeNeeded(None, None)
    side = 1.0 if score >= 0 else -1.0
    bound = plan.looks[-1].safe if side > 0 else plan.looks[-1].harm
    near, far = abs(score) + END, abs(score) - END

    def at(standard_errors: float) -> int | None:
        return math.ceil(size * ((bound + PROMISED) / standard_errors) ** 2) if standard_errors > 0 else None

    return SizeNeeded(at(near), at(far))
