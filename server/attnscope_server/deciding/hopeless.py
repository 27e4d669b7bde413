"""A race that nobody can win: rollouts saved by a guess, which gives no verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from attnscope_server.deciding.state import DecisionPlan, DecisionState
from attnscope_server.deciding.statistics.look_plans import Reach

LOST = 3.0
"""Standard errors of a paired difference by which every arm must lose before a race is given up."""

JUDGES = 8
"""Named tasks that judge after such a race: large losses show on few tasks, and half of 16 tasks cost half as much."""


def all_lose(state: DecisionState, returns: Float[np.ndarray, "arm pair"]) -> bool:
    """Tell that every racing arm clearly loses more than the margin on the screening tasks.

    The judging tasks decide: this only keeps a race from ordering arms that are all far below, and smaller budgets from
    being raced.

    Parameters
    ----------
    returns
        Returns of the racing arms on all pairs from the race's first to the round's last.

    Returns
    -------
    bool
        False where the captured rollouts of these pairs were not told.
    """
    pairs, tasks = returns.shape[1], len(state.plan.screening_tasks)
    if len(state.twins) < pairs or len(state.chance) != tasks or pairs < 2:  # noqa: PLR2004 - an error needs two
        return False
    margin, twins = state.plan.margin, np.array(state.twins[:pairs])
    chance = np.array([state.chance[index % tasks] for index in range(pairs)])
    difference = returns - (1 - margin) * twins - margin * chance
    error = difference.std(axis=1, ddof=1) / math.sqrt(pairs)
    return bool((difference.mean(axis=1) < -LOST * error).all())


def unraced(names: Sequence[str], winners: Sequence[str]) -> str:
    """Return the arm that stands for a budget without a race: one of the last winner's rule, else the first listed."""
    rule = winners[-1].split(" ")[0] if winners else ""
    return next((name for name in names if name.split(" ")[0] == rule), names[0])


def with_fewer_judges(plan: DecisionPlan) -> DecisionPlan:
    """Return the plan of a ladder after a race that nobody could win: the first `JUDGES` named tasks judge.

    The race ran on other tasks or seeds, so that no judging rollout has any part in this choice.
    """
    scope = plan.scope
    if scope.reach is Reach.BEYOND or len(scope.tasks) <= JUDGES:
        return plan
    return plan.model_copy(update={"scope": replace(scope, tasks=scope.tasks[:JUDGES], whole_split=False)})
