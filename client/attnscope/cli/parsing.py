"""Options as people type them, turned into a specification."""

from __future__ import annotations

import re

import typer


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
    """Return ``name=value`` settings of an environment; numbers become numbers."""
    found: dict[str, object] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"expected name=value, got {text!r}", param_hint="--env-kwarg")
        found[name] = int(value) if re.fullmatch(r"-?\d+", value) else value
    return found
