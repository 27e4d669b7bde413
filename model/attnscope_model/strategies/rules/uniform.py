"""Evenly spaced tokens: the blind baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, namespace
from attnscope_model.strategies.base import Selection
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Uniform(Selection):
    """Keep evenly spaced tokens, the newest among them."""

    name: ClassVar[str] = "uniform"
    order: ClassVar[int] = 30
    by_place: ClassVar[bool] = True

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return every entry at which the running share of the budget passes a whole number."""
        xp = namespace(limit)
        count = view.count[..., None]
        count = xp.where(count > 0, count, xp.ones_like(count))
        before, after = view.place * limit[..., None], (view.place + 1) * limit[..., None]
        return view.held & (after // count > before // count)
