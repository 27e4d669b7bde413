"""The arms that a decision races: the first three of each vote of the screen, and the blind baselines.

Within a rule the screen chooses the positions. Rules are compared by three votes, which only propose: the race decides.
The votes themselves, and the merging of equal arms, are those of `attnscope_storage.proposing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from attnscope_model.compression import Compression, unfit
from attnscope_model.strategies import why_not
from attnscope_model.strategies.candidates import candidates
from attnscope_model.strategies.learned import Latents
from attnscope_model.strategies.spelling import spelled
from attnscope_server.deciding.phases.naming import budget_text
from attnscope_server.deciding.phases.record import setup_of
from attnscope_server.screening.arms import Arm, arm_of, arms_of
from attnscope_server.screening.resolving import setup_of as screened_setup
from attnscope_storage.proposing import (
    BASELINES,
    Votes,
    by_votes,
    distinct,
    doubts_of,
    first_listed,
    first_of_each,
    least_departing,
    votes_of,
)
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.cards import CardArm
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision
from attnscope_storage.wire.specifications.screens import ResolvedScreen

BLIND_BESIDE_OWN: Final = ("recency", "uniform")
"""Blind baselines of a budget in which a policy's own way to pack its history races: it takes the place of chance."""


@dataclass(frozen=True)
class Ballot:
    """The screen's numbers of one arm."""

    setup: Compression
    group: str
    """Budget that it races within."""
    tokens: int
    """Tokens that it keeps of a full context."""
    departure: float
    per_episode: float
    signed: float
    """NaN where no reward followed any screened decision."""
    retained: float
    """NaN where the attention of decisions was not stored."""

    @property
    def lost(self) -> float:
        """Retained attention negated, so that the least is the first choice as in every other vote."""
        return -self.retained


def screened_arms(
    policy: PolicyDescription, spec: DecisionSpec, resolved: ResolvedDecision, *, stacked: bool, attention: bool
) -> list[Arm]:
    """Return the deployable arms at the decision's budgets, and rules that heed no budget.

    Parameters
    ----------
    stacked
        False where the policy does not say where its tokens stand: then they close up.
    attention
        False where the captured histories hold no attention.
    """
    found = arms_of(
        policy,
        budgets=resolved.budgets,
        positions=resolved.positions if stacked else ("reindex",),
        memories=spec.memories,
        attention=attention,
        oracles=False,
    )
    arms = [arm for arm in found if not arm.setup.leaves_out]
    return [arm_of(_on_path(arm.setup, spec, policy)) for arm in arms]


def _on_path(setup: Compression, spec: DecisionSpec, policy: PolicyDescription) -> Compression:
    """Return a stateful setup on the path that was asked for, where the policy allows it."""
    if setup.memory != "stateful" or isinstance(setup.rule, Latents) or spec.path == "recompute":
        return setup
    why = unfit(policy, setup.positions, setup.memory, spec.path) or why_not(
        setup.rule, policy, setup.positions, setup.memory, spec.path
    )
    return setup if why is not None else replace(setup, path=spec.path)


def ballots_of(screen: CaptureReader, resolved: ResolvedDecision, policy: PolicyDescription) -> list[Ballot]:
    """Return the ballots of a stored screen, baselines first, without arms that are the same as an earlier one."""
    resolved_screen = ResolvedScreen.model_validate(screen.attributes["resolved"])
    arrays = {name: np.asarray(screen.array(name)[:]) for name in screen.names()}
    setups = [screened_setup(arm) for arm in resolved_screen.arms]
    votes, live_each = votes_of(arrays, arrays["rollout/task"]), float(arrays["rollout/live_each"].mean())
    groups = [group_of(setup, place, arrays, resolved, policy) for place, setup in enumerate(setups)]
    order = sorted(range(len(setups)), key=lambda place: setups[place].rule.name not in BASELINES)
    return [
        Ballot(
            setup=setups[place],
            group=group[0],
            tokens=group[1],
            departure=float(votes.departure[place]),
            per_episode=float(votes.departure[place]) * live_each,
            signed=float(votes.signed[place]),
            retained=-float(votes.retained[place]),
        )
        for place in distinct(arrays, [setup.budget for setup in setups], order)
        if (group := groups[place]) is not None
    ]


def doubted(screen: CaptureReader) -> tuple[str, ...]:
    """Return why a stored screen's own order is not believed, in words for the card."""
    arms = ResolvedScreen.model_validate(screen.attributes["resolved"]).arms
    names = ("screen/departure", "screen/signed", "decision/live", "decision/follows", "rollout/task")
    arrays = {name: np.asarray(screen.array(name)[:]) for name in names}
    setups = [screened_setup(arm) for arm in arms]
    members = [index for index, setup in enumerate(setups) if setup.budget is not None]
    rules = [(str(setup.rule), setup.memory) for setup in setups]
    found = doubts_of(votes_of(arrays, arrays["rollout/task"]), rules, members)
    return tuple(f"the screen doubts itself: {one}" for one in found.sentences)


def group_of(
    setup: Compression,
    place: int,
    arrays: dict[str, np.ndarray],
    resolved: ResolvedDecision,
    policy: PolicyDescription,
) -> tuple[str, int] | None:
    """Return the budget that an arm races within, and the tokens that it keeps of a full context.

    A rule that heeds no budget races within the smallest one that holds all it kept of the fullest screened contexts,
    on the average; None where it keeps more than is worth having.
    """
    per = policy.tokens_per_transition
    if setup.budget is not None:
        return budget_text(setup.budget), setup.limit(policy.transitions) * per
    held = arrays["decision/held"]
    kept = math.ceil(float(arrays["screen/kept"][:, place][held == held.max()].mean()))
    sizes = {budget_text(one): Compression(setup.rule, one).limit(policy.transitions) * per for one in resolved.budgets}
    fitting = [name for name, tokens in sizes.items() if kept <= tokens]
    return (fitting[-1], max(1, kept)) if fitting else None


def unraced_packing(screen: CaptureReader, resolved: ResolvedDecision, policy: PolicyDescription) -> tuple[str, ...]:
    """Return why a policy's own way to pack its history does not race, where it keeps more than is worth having."""
    arms = ResolvedScreen.model_validate(screen.attributes["resolved"]).arms
    place = next((arm.index for arm in arms if screened_setup(arm).rule == Latents()), None)
    if place is None:
        return ()
    arrays = {name: np.asarray(screen.array(name)[:]) for name in ("decision/held", "screen/kept")}
    if group_of(screened_setup(arms[place]), place, arrays, resolved, policy) is not None:
        return ()
    held = arrays["decision/held"]
    kept, full = float(arrays["screen/kept"][:, place][held == held.max()].mean()), int(held.max())
    said = f"latents, the policy's own way to pack, keeps {kept:.0f} of {full} tokens on the average, more than the "
    said += f"largest budget: it does not race. Decide with --worth {full / (kept + 1):.1f}, or try it in a trial"
    return (said,)


def proposed(ballots: Sequence[Ballot], groups: Sequence[str], *, ranks: bool) -> list[CardArm]:
    """Return the arms that race, budget after budget; of a budget those that the votes rank first stand first.

    Where few rollouts of a race return the same under many arms, as rewards are rare, the order decides who goes on.

    Parameters
    ----------
    ranks
        False where the gate says that a screen ranks nothing: the baselines and the rules that the guide names race,
        under the first positions that were screened, which are the policy's default. A policy that has not found its
        goal may gain by departing, and departures then prefer the wrong positions (docs/compression-study-2.md).
    """
    found = []
    votes = Votes(*(np.array([getattr(one, name) for one in ballots]) for name in ("departure", "signed", "lost")))
    rules = [(str(one.setup.rule), one.setup.memory) for one in ballots]
    for group in groups:
        members = [index for index, one in enumerate(ballots) if one.group == group]
        own = [index for index in members if ballots[index].setup.rule == Latents()]
        blind = BLIND_BESIDE_OWN if own else BASELINES
        mine = by_votes(votes, least_departing(votes, rules, members)) if ranks else first_listed(rules, members)
        listed = [index for index in mine if _guided(ballots[index].setup)]
        orders = first_of_each(votes, mine) if ranks else {"the guide's list": listed}
        for index in mine:
            voted = tuple(name for name, order in orders.items() if index in order)
            if voted or index in own or ballots[index].setup.rule.name in blind:
                found.append(_card_arm(ballots[index], voted))
    return found


def in_waves(arms: Sequence[CardArm]) -> list[CardArm]:
    """Return arms in an order in which those that can share forwards stand together."""
    return sorted(arms, key=lambda arm: (arm.path, arm.positions, arm.memory, str(arm.interval), arm.budget is None))


def _guided(setup: Compression) -> bool:
    return any(setup.rule in one.choices for one in candidates() if one.guide)


def _card_arm(ballot: Ballot, voted: tuple[str, ...]) -> CardArm:
    setup = ballot.setup
    budget = "" if setup.budget is None else f" {budget_text(setup.budget)}"
    words: list[str] = [setup.positions]
    words += [] if setup.interval == 1 else [f"every {setup.interval}"]
    words += [] if setup.memory == "stateless" else [setup.memory]
    words += [] if setup.path == "recompute" else [setup.path]
    arm = CardArm(
        name=f"{spelled(setup.rule.name, setup.rule.parameters)}{budget}, {', '.join(words)}",
        strategy=setup.rule.name,
        parameters=setup.rule.parameters,
        budget=setup.budget,
        tokens=ballot.tokens,
        group=ballot.group,
        positions=setup.positions,
        interval=setup.interval,
        memory=setup.memory,
        path=setup.path,
        departure=ballot.departure,
        departures_per_episode=ballot.per_episode,
        signed_loss=ballot.signed if np.isfinite(ballot.signed) else None,
        retained=ballot.retained if np.isfinite(ballot.retained) else None,
        voted_by=voted,
    )
    if setup_of(arm) != setup:
        raise ValueError(f"the card of {arm.name} does not stand for its arm")
    return arm
