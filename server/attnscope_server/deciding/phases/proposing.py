"""The arms that a decision races: the first three of each vote of the screen, and the blind baselines.

Within a rule the screen chooses the positions. Rules are compared by three votes, which only propose: the race decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from attnscope_model.compression import Compression
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.strategies.candidates import candidates
from attnscope_server.deciding.phases.rollouts import Stage
from attnscope_server.screening.arms import Arm, arms_of
from attnscope_server.screening.histories import Histories
from attnscope_server.screening.judging import plan_screen, screen_block
from attnscope_server.screening.measuring import Arrays
from attnscope_storage.wire.decisions import CardArm
from attnscope_storage.wire.trials import PositionPolicy

BASELINES: Final = ("recency", "uniform", "random")
"""Blind rules that race whatever the votes say."""

FIRST: Final = 3
"""Rules that each vote sends into the race."""


@dataclass(frozen=True)
class Ballot:
    """The screen's numbers of one arm."""

    arm: Arm
    departure: float
    per_episode: float
    signed: float
    """NaN where no reward followed any screened decision."""
    retained: float


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
    return _distinct(plan.arms, arrays)


def _distinct(arms: Sequence[Arm], arrays: Arrays) -> list[Ballot]:
    """Return the ballots of arms, without those that kept and decided the same as an earlier arm everywhere."""
    live, follows = arrays["decision/live"] != 0, arrays["decision/follows"] != 0
    live_each = float(arrays["rollout/live_each"].mean())
    seen: set[tuple[object, bytes, bytes]] = set()
    found = []
    order = sorted(range(len(arms)), key=lambda place: arms[place].setup.rule.name not in BASELINES)
    for place in order:
        departure, kept = arrays["screen/departure"][:, place], arrays["screen/kept"][:, place]
        same = (arms[place].setup.budget, departure.tobytes(), kept.tobytes())
        if same in seen:
            continue
        seen.add(same)
        mean = _mean(departure, live)
        found.append(
            Ballot(
                arms[place],
                mean,
                mean * live_each,
                _mean(arrays["screen/signed"][:, place], follows),
                float(arrays["screen/retained"][:, place].mean()),
            )
        )
    return found


def _mean(values: Float[np.ndarray, "rollout decision"], where: Bool[np.ndarray, "rollout decision"]) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def proposed(ballots: Sequence[Ballot], budgets: Sequence[int], tokens_each: int, *, ranks: bool) -> list[CardArm]:
    """Return the arms that race, budget after budget.

    Parameters
    ----------
    tokens_each
        Tokens of a transition.
    ranks
        False where the gate says that a screen ranks nothing: the baselines and the rules that the guide names race.
    """
    found = []
    for budget in budgets:
        mine = _best_positions([ballot for ballot in ballots if ballot.arm.setup.budget == budget])
        votes = _votes(mine) if ranks else {"the guide's list": [one for one in mine if _guided(one.arm.setup)]}
        for ballot in mine:
            voted = tuple(name for name, order in votes.items() if ballot in order)
            if voted or ballot.arm.setup.rule.name in BASELINES:
                found.append(_card_arm(ballot, budget, budget * tokens_each, voted))
    return found


def _best_positions(ballots: Iterable[Ballot]) -> list[Ballot]:
    """Return one ballot of every rule: that of the positions under which it departs least."""
    best: dict[str, Ballot] = {}
    for ballot in ballots:
        rule = str(ballot.arm.setup.rule)
        if rule not in best or ballot.departure < best[rule].departure:
            best[rule] = ballot
    return list(best.values())


def _votes(ballots: Sequence[Ballot]) -> dict[str, list[Ballot]]:
    """Return the first rules of each vote."""
    votes = {"departure": sorted(ballots, key=lambda one: one.departure)[:FIRST]}
    if all(np.isfinite(one.signed) for one in ballots):
        votes["signed loss"] = sorted(ballots, key=lambda one: one.signed)[:FIRST]
    return votes | {"retained attention": sorted(ballots, key=lambda one: -one.retained)[:FIRST]}


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
