"""Strategies as a service lists them: what each does, takes, looks at, and where it fits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from attnscope_storage.wire.base import Received


class ParameterInfo(Received):
    """A parameter of a strategy."""

    name: str
    type: Literal["integer", "number", "boolean", "string", "strategy"] = Field(
        description="'strategy' is one by its specification: {'name': …, and its own parameters}."
    )
    default: Any
    meaning: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = Field(default=False, description="Whether the minimum itself is refused.")
    odd: bool = Field(default=False, description="Whether even numbers are refused.")


class FitInfo(Received):
    """The fit of a strategy, with the reason where it does not fit."""

    name: str
    fits: bool
    why: str = Field(default="", description="Why not, or what to mind where it does.")


class StrategyInfo(Received):
    """A strategy that a trial may name, at its defaults where something hangs on parameters.

    Where a checkpoint was named, `paths` and `observations` speak of its policy alone.
    """

    name: str
    summary: str
    parameters: tuple[ParameterInfo, ...]
    needs: tuple[str, ...] = Field(description="What it must know of the history.")
    uses: tuple[str, ...] = Field(description="What it looks at where it is known, needs among them.")
    pools: bool = Field(description="Whether it builds tokens out of several transitions.")
    heeds_budget: bool = True
    simplicity: int = Field(description="0 is the simplest; of equally good ones the simplest is recommended.")
    oracle: str | None = Field(
        default=None, description="Why no compressed policy could apply it; None where one could."
    )
    attention: str | None = Field(
        default=None, description="What the attention it looks at costs; None where it looks at none."
    )
    positions: tuple[FitInfo, ...]
    memories: tuple[FitInfo, ...]
    paths: tuple[FitInfo, ...]
    observations: tuple[FitInfo, ...] = Field(
        description="Kinds of observation that a policy's family may have; nothing else of a family matters to it."
    )
    package: str = Field(default="attnscope", description="Distribution that it comes from.")


class TrainedUnder(Received):
    """The compression of the contexts that a policy was trained on."""

    strategy: str = Field(description="Name of the rule.")
    parameters: dict[str, Any] = Field(description="All of them, defaults too.")
    budget: int | float = Field(description="Transitions kept: a number, or a share of what the window holds.")
    positions: str = Field(description="Where kept tokens stood: reindex, keep or right_align.")
    interval: int = Field(default=1, description="Decisions between two selections.")
    text: str = Field(description="For people, e.g. 'recency 64, keep'.")
