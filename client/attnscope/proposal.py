"""The trial to submit first, in the words of a trial's specification: read from advice, or from a written report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import POSITION_POLICIES, StrategyChoice
from attnscope_storage.wire.wording import wrong_fields

FILE: Final = "compression_recommendations.json"
"""Name of the file in which a report writes its advice."""

FIRST: Final = 3
"""Strategies that are tried where nobody says how many."""

SEEDS: Final = 3
"""Evaluation seeds of a trial that follows a capture."""


class ProposalError(AttnscopeError, ValueError):
    """There is no advice that a trial could follow."""


@dataclass(frozen=True)
class ProposedTrial:
    """Rules that are tried alike: with one count, one position policy, one interval."""

    strategies: tuple[StrategyChoice, ...]
    budget: float
    positions: str
    interval: int = 1
    memory: str = "stateless"


@dataclass(frozen=True)
class Proposal:
    """The first choices of some advice."""

    checkpoint: str
    environment: str
    trials: tuple[ProposedTrial, ...]
    """One a combination of budget, positions and interval."""
    words: tuple[str, ...] = ()
    """The notes for a reader: the votes that chose the rules, and their agreement."""


def read_proposal(folder: Path, first: int = FIRST) -> Proposal:
    """Return the first choices of the advice that a report wrote.

    Raises
    ------
    ProposalError
        The folder holds no advice, or nothing to try.
    """
    path = folder if folder.is_file() else folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProposalError(f"there is no {FILE} in {folder}: write it with attnscope report or recommend") from error
    except (OSError, ValueError) as error:
        raise ProposalError(f"{path} cannot be read: {error}") from error
    return propose(document, first)


def propose(document: Mapping[str, Any], first: int = FIRST) -> Proposal:
    """Return the first choices of advice, given as `attnscope.recommendations.Advice.to_json` gives it.

    They are the first deployable rules of each vote. Documents of earlier versions have no votes: of their list those
    count that look at no attention, as the others were judged as oracles.

    Raises
    ------
    ProposalError
        It is no such document, has nothing to try, or proposes nothing because the policy is not shown to gain.
    """
    try:
        read = _voted if "proposal" in document else _listed
        arms, words = read(document, max(1, first))
        return Proposal(str(document["checkpoint"]), str(document["environment"]), _grouped(arms), words)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, ProposalError):
            raise
        why = f"{type(error).__name__} {error}"
        if isinstance(error, ValidationError):
            why = "; ".join(wrong_fields(error.errors()))
        raise ProposalError(f"this is no advice of attnscope: {why}") from error


def _voted(document: Mapping[str, Any], first: int) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Return the first arms of every vote, each once, and the words beside them."""
    proposal = document["proposal"]
    words = tuple(map(str, proposal["words"]))
    if proposal["basis"] is None:
        raise ProposalError(f"nothing is proposed: {' '.join(words)}")
    arms: dict[str, Mapping[str, Any]] = {}
    for vote in proposal["votes"].values():
        for arm in vote[:first]:
            arms.setdefault(json.dumps(arm, sort_keys=True), arm)
    return list(arms.values()), words


def _listed(document: Mapping[str, Any], first: int) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Return the first rules of advice of an earlier version that look at no attention."""
    rules = [one for one in document["recommendations"] if one["key"] != "none" and one.get("online", True)]
    return rules[:first], ("These are the rules of an earlier version's list that look at no attention.",)


def _grouped(arms: list[Mapping[str, Any]]) -> tuple[ProposedTrial, ...]:
    """Return arms by what a trial's conditions have in common.

    Raises
    ------
    ProposalError
        There is nothing to try, or an arm stands where no policy knows.
    """
    if not arms:
        raise ProposalError("the advice has no strategy to try")
    groups: dict[tuple[float, str, int, str], list[StrategyChoice]] = {}
    for arm in arms:
        positions = str(arm["positions"])
        if positions not in POSITION_POLICIES:
            raise ProposalError(f"the advice asks for positions {positions!r}; there are {POSITION_POLICIES}")
        budget = arm["budget"]
        size = budget if isinstance(budget, int) and budget >= 1 else float(budget)
        interval, memory = int(arm.get("interval", 1)), str(arm.get("memory", "stateless"))
        key = (size, positions, interval, memory)
        groups.setdefault(key, []).append(choice_of(arm["strategy"]))
    return tuple(ProposedTrial(tuple(of), *key) for key, of in groups.items())


def choice_of(strategy: Mapping[str, Any]) -> StrategyChoice:
    """Return a strategy as a specification names it, from name and parameters side by side.

    Raises
    ------
    ValueError
        It has no name, or one that no strategy can have.
    """
    parameters = dict(strategy)
    return StrategyChoice(name=parameters.pop("name", ""), parameters=parameters)


def fresh_seeds(used: Sequence[int]) -> tuple[int, ...]:
    """Return the smallest seeds that a capture did not use: advice is tried on rollouts that it has not seen."""
    return tuple(islice((seed for seed in count() if seed not in used), SEEDS))
