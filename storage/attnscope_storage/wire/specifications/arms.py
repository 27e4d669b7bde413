"""The words in which an arm is named: a rule, its budget, its positions, and whose checkpoint acts."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from attnscope_storage.wire.base import MAX_NAMED, Sent
from attnscope_storage.wire.specifications.choices import refuse_doubles

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
"""A share of what the history holds at each step."""

Tokens = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
"""Transitions of history that may be kept, at most."""

Budget = Tokens | Share
"""``40`` is a number of transitions, ``0.4`` a share; all of them is the strategy ``none``."""

PositionPolicy = Literal["reindex", "keep", "right_align", "mask"]
"""The positions of the kept tokens:

- ``reindex``: packed from slot 0, the query after them.
- ``keep``: in the slots that they had, with gaps; the query too.
- ``right_align``: packed just before the last slot of a full context, where the query stands.
- ``mask``: the whole context, the others unseen. An oracle: it saves nothing.
"""

Memory = Literal["stateless", "stateful"]
"""``stateless`` selects from the whole stored window again; ``stateful`` forgets what was dropped, and what it keeps
may outlive the window."""

Recompute = Literal["recompute", "cached"]
"""The computation of a decision: every kept token anew, or from kept keys and values (causal policies with
positions by distance), where what was dropped still lives on in what was computed while it was there."""

POSITION_POLICIES: tuple[str, ...] = get_args(PositionPolicy)


class StrategyChoice(Sent):
    """A strategy by name; a parameter that is itself a strategy is given the same way, ``{"name": …, …}``."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9\-]*$")
    parameters: dict[str, Any] = Field(
        default_factory=dict, max_length=MAX_NAMED, description="Those that are not left at their default."
    )


Interval = Annotated[int, Field(ge=1, le=1_000_000)] | Literal["full"]
"""Steps from one selection to the next, or whenever the context is full."""

MAX_ARMS = 64
"""Arms of a trial; an arm of a recipe counts once."""

CheckpointName = Annotated[str, Field(min_length=1, max_length=200)]
"""Id, id prefix or name of a checkpoint."""


class ArmChoice(Sent):
    """One way to act: a checkpoint, and the rule that shortens its context."""

    checkpoint: CheckpointName = Field(
        description="Id, id prefix or name of a checkpoint; or a name of `recipes`: each of its checkpoints acts."
    )
    strategy: StrategyChoice | None = Field(
        default=None, description="Rule; by default the policy acts as it does by itself: none, or its own latents."
    )
    budget: Budget | None = Field(default=None, description="Transitions kept, where the rule heeds a budget.")
    positions: PositionPolicy | None = Field(default=None, description="By default those of the trial.")
    interval: Interval | None = Field(default=None, description="By default that of the trial.")
    memory: Memory | None = Field(default=None, description="By default that of the trial.")
    path: Recompute | None = Field(default=None, description="By default that of the trial.")


class RecipeChoice(Sent):
    """Checkpoints that one recipe gave from different training seeds."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+\-]*$")
    checkpoints: tuple[CheckpointName, ...] = Field(min_length=1, max_length=64)


def first_checkpoint(arms: Any, recipes: Any) -> Any:  # noqa: ANN401 - before or after it is validated
    """Return the name of the first arm's checkpoint, of a recipe the first; the given value where it is none."""
    first = _part(next(iter(arms), None), "checkpoint")
    own = next((_part(one, "checkpoints") for one in recipes if _part(one, "name") == first), None)
    return own[0] if isinstance(own, list | tuple) and own else first


def _part(one: Any, name: str) -> Any:  # noqa: ANN401 - a model, or what may become one
    return one.get(name) if isinstance(one, dict) else getattr(one, name, None)


def refuse_unused(names: list[str], used: set[str]) -> None:
    """Raise ValueError where a recipe is named twice, or no arm is of it."""
    refuse_doubles(tuple(names), "recipes")
    unused = [name for name in names if name not in used]
    if unused:
        raise ValueError(f"recipes: no arm is of {', '.join(unused)}")
