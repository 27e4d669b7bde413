"""Options that narrow a capture to some steps and environments, the same for every verb that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from attnscope.cli.parsing import goals, integers

if TYPE_CHECKING:
    from attnscope.capture import Capture

Length = Annotated[int | None, typer.Option("--steps", min=1, help="Evaluation length: only so many steps count.")]
Places = Annotated[str | None, typer.Option("--envs", help="Places among the stored environments: 0,2 or 0-3.")]
Cells = Annotated[list[str] | None, typer.Option("--goal", help="Only these goal cells, like 5,4; repeat for several.")]


class Environments:
    """Environments that are asked for, by place or by goal."""

    def __init__(self, envs: str | None, goal: list[str] | None) -> None:
        self._places, self._cells = integers(envs, "--envs"), goals(goal)
        if self._places and self._cells:
            raise typer.BadParameter("name environments by place or by goal, not both", param_hint="--envs")

    def of(self, capture: Capture) -> tuple[int, ...] | None:
        """Return their places among a capture's stored environments; None for all."""
        from attnscope.reading.choosing import places_of_goals  # noqa: PLC0415 - loads zarr

        return places_of_goals(capture, self._cells) if self._cells else self._places
