"""Options as people type them, turned into a specification."""

from __future__ import annotations

import json
import re
from typing import Final

import typer

from attnscope.proposal import choice_of
from attnscope_storage.wire import JobState, StrategyChoice

STATES_HELP: Final = f"One of {', '.join(JobState)}."


def integers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Return ``7``, ``0,2,5`` or ``0-7`` as numbers."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        bounds = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if bounds is None:
            raise typer.BadParameter(f"expected numbers like 7, 0,2,5 or 0-7, got {text!r}", param_hint=option)
        first, last = int(bounds[1]), int(bounds[2] or bounds[1])
        if last < first or last - first > 100_000:  # noqa: PLR2004 - a slip of the keyboard, not a wish
            raise typer.BadParameter(f"the range {part.strip()!r} is empty or too long", param_hint=option)
        found.extend(range(first, last + 1))
    return tuple(found)


def goals(texts: list[str] | None) -> tuple[tuple[int, ...], ...] | None:
    """Return ``5,4`` as a cell, ``1,2,7,8`` as a key's and a door's, and so on."""
    if not texts:
        return None
    found: list[tuple[int, ...]] = []
    for text in texts:
        if re.fullmatch(r"\s*\d{1,6}(\s*,\s*\d{1,6}){1,15}\s*", text) is None:
            raise typer.BadParameter(f"expected numbers like 5,4 or 1,2,7,8, got {text!r}", param_hint="--goal")
        found.append(tuple(int(part) for part in text.split(",")))
    return tuple(found)


def pairs(texts: list[str] | None) -> dict[str, object]:
    """Return ``name=value`` settings; what JSON reads as a number, a list, true or false becomes that."""
    found: dict[str, object] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"expected name=value, got {text!r}", param_hint="--env-kwarg")
        found[name] = valued(value)
    return found


def valued(text: str) -> object:
    """Return ``4``, ``0.5``, ``true``, ``[1,2]`` or ``{…}`` as JSON reads it, any other text as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def strategies(texts: list[str] | None, option: str = "--strategy") -> tuple[StrategyChoice, ...] | None:
    """Return ``recency``, ``sinks:sinks=8`` or ``{"name": "sinks", "sinks": 8}`` as strategies."""
    return tuple(_strategy(text, option) for text in texts) if texts else None


def _strategy(text: str, option: str) -> StrategyChoice:
    if text.lstrip().startswith("{"):
        spelled = valued(text)
    else:
        name, _, rest = text.strip().partition(":")
        spelled = {"name": name, **pairs([part.strip() for part in rest.split(",")] if rest else None)}
    try:
        return choice_of(spelled) if isinstance(spelled, dict) else choice_of({})
    except ValueError as error:
        expected = 'expected a name, name:parameter=value,… or {"name": …}'
        raise typer.BadParameter(f"{expected}, got {text!r}", param_hint=option) from error


def budgets(texts: list[str] | None) -> tuple[int | float, ...] | None:
    """Return ``40`` as a number of transitions, ``0.4`` and ``40%`` as a share; several by comma."""
    if not texts:
        return None
    found: list[int | float] = []
    for part in ",".join(texts).split(","):
        bare = part.strip()
        if re.fullmatch(r"\d{1,7}(\.\d{1,17})?%?", bare) is None:
            raise typer.BadParameter(f"expected 40, 0.4 or 40%, got {part!r}", param_hint="--budget")
        if bare.endswith("%"):
            found.append(float(bare.removesuffix("%")) / 100)
        else:
            found.append(float(bare) if "." in bare else int(bare))
    return tuple(found)


def job_state(text: str) -> JobState:
    """Return the state of that name."""
    if text not in set(JobState):
        raise typer.BadParameter(f"expected one of {', '.join(JobState)}, got {text!r}", param_hint="--state")
    return JobState(text)


def share(text: str, option: str) -> float:
    """Return ``5%`` or ``0.05`` as a share."""
    return _measured(text, "%", 100.0, option, "5% or 0.05")


def times(text: str, option: str) -> float:
    """Return ``2x`` or ``2`` as a factor."""
    return _measured(text, "x", 1.0, option, "2x or 2")


def _measured(text: str, unit: str, divisor: float, option: str, like: str) -> float:
    """Return a number that may stand before a unit."""
    bare = text.strip().removesuffix(unit)
    try:
        return float(bare) / (divisor if bare != text.strip() else 1.0)
    except ValueError:
        raise typer.BadParameter(f"expected a number like {like}, got {text!r}", param_hint=option) from None
