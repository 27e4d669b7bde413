"""Everything is kept: the control that must reproduce the uncompressed policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Selection
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Everything(Selection):
    """Keep the whole context, whatever the budget."""

    name: ClassVar[str] = "none"
    order: ClassVar[int] = 0
    simplicity: ClassVar[int] = 0
    bounded: ClassVar[bool] = False
    by_place: ClassVar[bool] = True

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:  # noqa: ARG002 - any budget
        """Return all entries."""
        return view.held
