"""One copy of every repeated move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, newest
from attnscope_model.strategies.base import Selection
from attnscope_model.strategies.similarity import repeated
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Deduplication(Selection):
    """Keep the newest copy of each state and action, the newest of those that fit the budget."""

    name: ClassVar[str] = "dedup"
    order: ClassVar[int] = 170
    needs: ClassVar[frozenset[str]] = frozenset({"state", "action"})
    simplicity: ClassVar[int] = 3

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the newest entries that no newer one repeats."""
        return newest(view.held & ~repeated(view), limit)
