"""What to try first, as a trial's specification names it: read from advice, or from what a report wrote of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire import POSITION_POLICIES, StrategyChoice
from attnscope_storage.wire.wording import wrong_fields

FILE: Final = "compression_recommendations.json"
"""Where a report writes its advice."""

FIRST: Final = 3
"""Strategies that are tried where nobody says how many."""

SEEDS: Final = 3
"""Evaluation seeds of a trial that follows a capture."""


class ProposalError(AttnscopeError, ValueError):
    """There is no advice that a trial could follow."""


@dataclass(frozen=True)
class Proposal:
    """The first choices of some advice."""

    checkpoint: str
    environment: str
    strategies: tuple[StrategyChoice, ...]
    budget: float
    positions: str


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

    Raises
    ------
    ProposalError
        It is no such document, or has nothing to try.
    """
    try:
        ranked = [one for one in document["recommendations"] if one["key"] != "none"][: max(1, first)]
        if not ranked:
            raise ProposalError("the advice has no strategy to try")
        positions = str(ranked[0]["positions"])
        if positions not in POSITION_POLICIES:
            raise ProposalError(f"the advice asks for positions {positions!r}; there are {POSITION_POLICIES}")
        return Proposal(
            checkpoint=str(document["checkpoint"]),
            environment=str(document["environment"]),
            strategies=tuple(choice_of(one["strategy"]) for one in ranked),
            budget=float(ranked[0]["budget"]),
            positions=positions,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, ProposalError):
            raise
        why = f"{type(error).__name__} {error}"
        if isinstance(error, ValidationError):
            why = "; ".join(wrong_fields(error.errors()))
        raise ProposalError(f"this is no advice of attnscope: {why}") from error


def choice_of(strategy: Mapping[str, Any]) -> StrategyChoice:
    """Return a strategy as a specification names it, from name and parameters side by side.

    Raises
    ------
    ValueError
        It has no name, or one that no strategy can have.
    """
    parameters = dict(strategy)
    return StrategyChoice(name=parameters.pop("name", ""), parameters=parameters)


def fresh_seeds(used: Sequence[int], count: int = SEEDS) -> tuple[int, ...]:
    """Return the smallest seeds that a capture did not use: advice is tried on rollouts that it has not seen."""
    taken, found, seed = set(used), list[int](), 0
    while len(found) < count:
        if seed not in taken:
            found.append(seed)
        seed += 1
    return tuple(found)
