"""Tasks on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from attnscope_storage.wire.base import Received


class TaskCell(Received):
    """A task that a specification resolved to."""

    index: int = Field(description="Identity within the environment, independent of splits.")
    split: Literal["train", "validation", "test"] | None = Field(description="None where no split is known.")
    split_index: int | None = Field(description="Place in the split's list, the reference's order.")
    label: str = Field(description="For people, e.g. 'goal (5, 4)'.")
    goal: tuple[int, int] | None = Field(default=None, description="The one goal cell; None where a task is other.")
    parameters: dict[str, tuple[int, ...] | tuple[float, ...]] = Field(
        default_factory=dict, description="What sets the task apart: goal, key and door, permutation or means."
    )
    optimal_return: float | None = None
    random_return: float | None = Field(default=None, description="Expected return of uniform actions.")
