"""Sizes of a decision before it starts: budgets, arms that stand for those of the race, requests, stores of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from attnscope_server.deciding.driver import first_pairs
from attnscope_server.deciding.phases.naming import budget_text
from attnscope_server.deciding.state import Arm, DecisionPlan
from attnscope_server.deciding.statistics.episodes import held_share
from attnscope_server.deciding.statistics.race import Round, following, opening
from attnscope_server.errors import refusal
from attnscope_storage.wire import PolicyDescription, ProblemCode
from attnscope_storage.wire.parts import CAPTURE, SCREEN, look_name, race_name
from attnscope_storage.wire.specifications.arms import Budget
from attnscope_storage.wire.specifications.decisions import DecisionSpec

MOST_RACED: Final = 12
"""Arms of one budget that race: three of each of three votes, and three blind baselines."""


def budgets_of(spec: DecisionSpec, policy: PolicyDescription) -> tuple[Budget, ...]:
    """Return the transitions that arms keep, or shares of the history, most first."""
    most = int(policy.transitions / spec.worth)
    if most < 1:
        detail = f"worth: a full context holds {policy.transitions} transitions, a {spec.worth:g}th keeps none"
        raise refusal(ProblemCode.INVALID_REQUEST, detail)
    if spec.budgets is None:
        return tuple(dict.fromkeys(max(1, most // part) for part in (1, 2, 4)))
    kept = {one: transitions_of(one, policy) for one in spec.budgets}
    if max(kept.values()) > most:
        detail = f"budgets: {max(kept.values())} of {policy.transitions} transitions save less than {spec.worth:g}×"
        raise refusal(ProblemCode.INVALID_REQUEST, f"{detail}: ask for {most} or fewer, or for less worth")
    return tuple(sorted(spec.budgets, key=lambda one: -kept[one]))


def transitions_of(budget: Budget, policy: PolicyDescription) -> int:
    """Return the transitions that a budget keeps of a full context."""
    return max(1, int(policy.transitions * budget + 1e-9)) if isinstance(budget, float) else int(budget)


def late_count_notes(budgets: Sequence[Budget], policy: PolicyDescription, steps: int) -> tuple[str, ...]:
    """Say from which step on the largest budget drops anything, where it is a count, and what a whole rollout holds."""
    count = budgets[0]
    if isinstance(count, float):
        return ()
    held = 100 * held_share(count, policy.transitions, steps)
    dropping = f"{count} transitions are a count: nothing is dropped before step {count + 1}"
    holding = f"a rollout of {steps} steps holds {held:.0f} % of the uncompressed tokens"
    return (f"{dropping}, and {holding}; a share, such as --budget 40%, drops from the first steps on",)


def children_of(plan: DecisionPlan, budgets: Sequence[Budget], *, quick: bool, captures: bool) -> tuple[str, ...]:
    """Return the names of the stores that the longest decision owns."""
    found = [CAPTURE] if captures else []
    found.append(SCREEN)
    if quick:
        return tuple(found)
    rounds = range(1, len(_rounds(plan)) + 1)
    found += [race_name(budget_text(budget), number) for budget in budgets for number in rounds]
    looks = [(rung, look.number) for rung in range(1, len(budgets) + 2) for look in plan.looks.looks]
    return (*found, *(look_name(rung, look) for rung, look in looks))


def _rounds(plan: DecisionPlan) -> list[Round]:
    """Return the rounds of the longest race of one budget."""
    rounds: list[Round] = []
    now: Round | None = opening([str(n) for n in range(MOST_RACED)], first_pairs(plan))
    while now is not None:
        rounds.append(now)
        now, _ = following(now, np.zeros((len(now.arms), now.last)))
    return rounds


def placeholders(budgets: Sequence[Budget], policy: PolicyDescription) -> list[Arm]:
    """Return arms that stand for those of a race that is not known yet."""
    per = policy.tokens_per_transition
    return [
        Arm(name=f"{budget}/{number}", tokens=transitions_of(budget, policy) * per, budget=str(budget))
        for budget in budgets
        for number in range(MOST_RACED)
    ]


def room_of(plan: DecisionPlan, budgets: Sequence[Budget], *, quick: bool) -> tuple[int, int]:
    """Return the requests of the longest decision, and the rollouts of the largest request."""
    tasks = len(plan.screening_tasks)
    largest = tasks * plan.capture_seeds
    if quick:
        return 2, largest
    rounds = _rounds(plan)
    largest = max([largest, *(one.rollouts for one in rounds)])
    looks = plan.looks.looks
    before = 0
    for look in looks:
        rollouts = look.tasks * look.seeds
        largest = max(largest, 2 * (rollouts - before), rollouts + (rollouts - before))
        before = rollouts
    return 2 + len(budgets) * len(rounds) + (len(budgets) + 1) * len(looks), min(largest, plan.most_rollouts)
