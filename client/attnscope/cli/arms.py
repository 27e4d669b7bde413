"""Arms and recipes as people type them: ``CKPT[:RULE[:BUDGET]]`` and ``NAME=CKPT,CKPT,…``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnscope.cli.parsing import budgets, strategies, valued

if TYPE_CHECKING:
    from attnscope_storage.wire import CheckpointInfo

Returns = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a trial: returns of another program as an arm, [env, episode], an env a task; .npy, .npz or .csv. "
        "Typed NAME=FILE. Repeat for several."
    ),
]
LIKE = "like:"
"""Before the name of a checkpoint whose recipe is meant."""
_BUDGET = re.compile(r"\d{1,7}(\.\d{1,17})?%?")
EXPECTED = "expected CKPT, CKPT:RULE, CKPT:RULE:BUDGET, CKPT:RULE:parameter=value,…:BUDGET or JSON"


def arms(texts: list[str] | None) -> tuple[dict[str, Any], ...] | None:
    """Return ``mine``, ``mine:recency:64`` or ``mine:sinks:sinks=4:0.4`` as arms; JSON gives every field."""
    return tuple(map(_arm, texts)) if texts else None


def _arm(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        given = valued(text)
        if not isinstance(given, dict):
            raise typer.BadParameter(f"{EXPECTED}, got {text!r}", param_hint="--arm")
        return {str(name): value for name, value in given.items()}
    checkpoint, *rest = text.strip().split(":")
    budget = None
    if rest and _BUDGET.fullmatch(rest[-1]):
        budget = (budgets([rest.pop()]) or (None,))[0]
    if not checkpoint or (budget is not None and not rest) or any(not part for part in rest):
        raise typer.BadParameter(f"{EXPECTED}, got {text!r}", param_hint="--arm")
    arm: dict[str, Any] = {"checkpoint": checkpoint}
    if rest:
        arm["strategy"] = (strategies([":".join(rest)], "--arm") or (None,))[0]
    return arm if budget is None else arm | {"budget": budget}


def recipes(texts: list[str] | None) -> tuple[dict[str, Any], ...] | None:
    """Return ``mine=a,b,c`` as a recipe and its training seeds; ``mine=like:a`` is read by `found_alike`."""
    if not texts:
        return None
    found = []
    for text in texts:
        name, equals, members = text.strip().partition("=")
        checkpoints = tuple(part.strip() for part in members.split(","))
        if not (name and equals and all(checkpoints)):
            raise typer.BadParameter(
                f"expected NAME=CKPT,CKPT,… or NAME=like:CKPT, got {text!r}", param_hint="--recipe"
            )
        found.append({"name": name, "checkpoints": checkpoints})
    return tuple(found)


def found_alike(asked: dict[str, Any], checkpoints: Callable[[], Sequence[CheckpointInfo]]) -> dict[str, Any]:
    """Return options with each recipe typed ``NAME=like:CKPT`` replaced by its training seeds.

    Parameters
    ----------
    checkpoints
        Lists those of the service; asked where such a recipe is typed.
    """
    from attnscope.trials.likeness import seeds_like  # noqa: PLC0415 - loads zarr

    told = asked.get("recipes") or ()
    if not any(_like(one) for one in told):
        return asked
    known = checkpoints()
    found = [one | {"checkpoints": seeds_like(known, like)} if (like := _like(one)) else one for one in told]
    return asked | {"recipes": tuple(found)}


def _like(recipe: dict[str, Any]) -> str | None:
    """Return the checkpoint whose training seeds are looked for; None where they are named."""
    first, *more = recipe["checkpoints"]
    return first.removeprefix(LIKE) if first.startswith(LIKE) and not more else None


def named_files(texts: list[str] | None) -> dict[str, Path]:
    """Return ``NAME=FILE`` as names with their files."""
    found: dict[str, Path] = {}
    for text in texts or []:
        name, equals, file = text.partition("=")
        if not (name.strip() and equals and file) or name.strip() in found:
            raise typer.BadParameter(f"expected NAME=FILE, each name once, got {text!r}", param_hint="--returns")
        found[name.strip()] = Path(file)
    return found
