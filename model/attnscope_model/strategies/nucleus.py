"""The fewest tokens that hold a share of the attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, as_float, namespace, ranks
from attnscope_model.strategies.base import Selection
from attnscope_model.strategies.view import ContextView

ROUNDING = 1e-9
"""Mass that may be missing from the share, so that 8 of 10 equal weights do hold 80 %."""


@dataclass(frozen=True)
class Nucleus(Selection):
    """Keep the fewest tokens that hold `mass` of the last row's attention to the history (top-p: Twilight, 2025)."""

    name: ClassVar[str] = "nucleus"
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})
    simplicity: ClassVar[int] = 5

    mass: float = 0.9

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return entries, heaviest first, until the mass is reached or the budget is spent."""
        assert view.attention is not None  # noqa: S101 - `plan` refused the view otherwise
        xp = namespace(view.held)
        row = view.attention[..., -1, :]
        rank = ranks(row, view.held)
        known = xp.where(xp.isnan(row) | xp.logical_not(view.held), xp.zeros_like(row), row)
        weight = as_float(known)
        order = xp.argsort(rank, axis=-1, stable=True)
        running = xp.cumulative_sum(xp.take_along_axis(weight, order, axis=-1), axis=-1)
        before = running - xp.take_along_axis(weight, order, axis=-1)
        total = xp.sum(weight, axis=-1, keepdims=True)
        wanted = xp.take_along_axis(before < self.mass * total - ROUNDING, rank, axis=-1)
        unseen = xp.isnan(row)
        return view.held & (wanted | unseen) & (rank < limit[..., None])
