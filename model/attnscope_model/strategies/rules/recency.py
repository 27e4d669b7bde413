"""The newest tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Selection
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Recency(Selection):
    """Keep the newest tokens that fit the budget."""

    name: ClassVar[str] = "recency"
    order: ClassVar[int] = 10
    by_place: ClassVar[bool] = True

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the newest entries."""
        return view.held & (view.age <= limit[..., None])
