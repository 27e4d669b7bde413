"""The arms that a decision races: the first three of each vote of the screen, and the blind baselines.

Within a rule the screen chooses the positions. Rules are compared by three votes, which only propose: the race decides.
The votes themselves, and the merging of equal arms, are those of `attnscope_storage.proposing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Int

from attnscope_model.compression import Compression
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.strategies.candidates import candidates
from attnscope_server.deciding.phases.rollouts import Stage
from attnscope_server.screening.arms import Arm, arms_of
from attnscope_server.screening.histories import Histories
from attnscope_server.screening.judging import plan_screen, screen_block
from attnscope_server.screening.measuring import Arrays
from attnscope_storage.proposing import (
    BASELINES,
    Votes,
    distinct,
    first_listed,
    first_of_each,
    least_departing,
    votes_of,
)
from attnscope_storage.wire.decisions import CardArm
from attnscope_storage.wire.trials import PositionPolicy


@dataclass(frozen=True)
class Ballot:
    """The screen's numbers of one arm."""

    arm: Arm
    departure: float
    per_episode: float
    signed: float
    """NaN where no reward followed any screened decision."""
    retained: float

    @property
    def lost(self) -> float:
        """Retained attention negated, so that the least is the first choice as in every other vote."""
        return -self.retained


def screened_arms(policy: Policy, budgets: Sequence[int], positions: Sequence[PositionPolicy]) -> list[Arm]:
    """Return the deployable arms that keep these numbers of transitions."""
    fitting = positions if isinstance(policy, StackedPolicy) else ("reindex",)
    found = arms_of(policy.description, budgets=budgets, positions=fitting, oracles=False)
    return [arm for arm in found if arm.setup.budget is not None and not arm.setup.leaves_out]


def screened(
    stage: Stage,
    histories: Histories,
    arms: Sequence[Arm],
    decisions: int,
    before: Callable[[float], None],
) -> list[Ballot]:
    """Screen arms on stored histories.

    Parameters
    ----------
    stage
        Where the policy acted.
    before
        Hears which share is done before every piece of work; stops everything by raising.
    """
    plan = plan_screen(histories, arms, decisions, temperature=stage.temperature, most_rewards=stage.most_rewards)
    parts = []
    for place, block in enumerate(plan.blocks):
        share = place / len(plan.blocks)
        parts.append(screen_block(stage.policy, histories, plan, block, stage.device, partial(before, share)))
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _ballots(plan.arms, arrays, histories.task[plan.rollouts])


def _ballots(arms: Sequence[Arm], arrays: Arrays, task: Int[np.ndarray, " rollout"]) -> list[Ballot]:
    """Return the ballots of arms, baselines first, without those that kept and decided as an earlier one everywhere."""
    votes, live_each = votes_of(arrays, task), float(arrays["rollout/live_each"].mean())
    order = sorted(range(len(arms)), key=lambda place: arms[place].setup.rule.name not in BASELINES)
    return [
        Ballot(
            arm=arms[place],
            departure=float(votes.departure[place]),
            per_episode=float(votes.departure[place]) * live_each,
            signed=float(votes.signed[place]),
            retained=-float(votes.retained[place]),
        )
        for place in distinct(arrays, [arm.setup.budget for arm in arms], order)
    ]


def proposed(ballots: Sequence[Ballot], budgets: Sequence[int], tokens_each: int, *, ranks: bool) -> list[CardArm]:
    """Return the arms that race, budget after budget.

    Parameters
    ----------
    tokens_each
        Tokens of a transition.
    ranks
        False where the gate says that a screen ranks nothing: the baselines and the rules that the guide names race,
        under the first positions that were screened, which are the policy's default. A policy that has not found its
        goal may gain by departing, and departures then prefer the wrong positions (docs/compression-study-2.md).
    """
    found = []
    votes = Votes(*(np.array([getattr(one, name) for one in ballots]) for name in ("departure", "signed", "lost")))
    rules = [str(one.arm.setup.rule) for one in ballots]
    for budget in budgets:
        members = [place for place, one in enumerate(ballots) if one.arm.setup.budget == budget]
        mine = least_departing(votes, rules, members) if ranks else first_listed(rules, members)
        listed = [place for place in mine if _guided(ballots[place].arm.setup)]
        orders = first_of_each(votes, mine) if ranks else {"the guide's list": listed}
        for place in mine:
            voted = tuple(name for name, order in orders.items() if place in order)
            if voted or ballots[place].arm.setup.rule.name in BASELINES:
                found.append(_card_arm(ballots[place], budget, budget * tokens_each, voted))
    return found


def _guided(setup: Compression) -> bool:
    return any(setup.rule in one.choices for one in candidates() if one.guide)


def _card_arm(ballot: Ballot, budget: int, tokens: int, voted: tuple[str, ...]) -> CardArm:
    setup = ballot.arm.setup
    every = "" if setup.interval == 1 else f", every {setup.interval}"
    return CardArm(
        name=f"{str(setup.rule).removesuffix('()')} {budget}, {setup.positions}{every}",
        strategy=setup.rule.name,
        parameters=setup.rule.parameters,
        budget=budget,
        tokens=tokens,
        positions=setup.positions,
        interval=setup.interval,
        memory=setup.memory,
        departure=ballot.departure,
        departures_per_episode=ballot.per_episode,
        signed_loss=ballot.signed if np.isfinite(ballot.signed) else None,
        retained=ballot.retained,
        voted_by=voted,
    )
