"""The fewest tokens that hold a share of the attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, as_float, best, namespace, number_of
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView

ROUNDING = 1e-9
"""Mass that may be missing from the share, so that 8 of 10 equal weights do hold 80 %."""


@dataclass(frozen=True)
class Nucleus(Selection):
    """Keep the fewest tokens that hold `mass` of the last row's attention to the history (top-p: Twilight, 2025)."""

    name: ClassVar[str] = "nucleus"
    order: ClassVar[int] = 100
    forms: ClassVar[tuple[Form, ...]] = (Form({"mass": 0.9}, {"mass": 0.8}, {"mass": 0.95}),)
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})
    simplicity: ClassVar[int] = 5

    mass: float = parameter(0.9, "Share of the attention to the history that is kept.", low=0.0, high=1.0, above=True)

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return entries, heaviest first, until the mass is reached or the budget is spent; those not judged first."""
        assert view.attention is not None  # noqa: S101 - `plan` refused the view otherwise
        xp = namespace(view.held)
        row = view.attention[..., -1, :]
        unseen = xp.isnan(row) & view.held
        known = as_float(xp.where(unseen | xp.logical_not(view.held), xp.zeros_like(row), row))
        falling = xp.flip(xp.sort(known, axis=-1), axis=-1)
        before = xp.cumulative_sum(falling, axis=-1) - falling
        wanted = before < self.mass * xp.sum(known, axis=-1, keepdims=True) - ROUNDING
        many = number_of(wanted) + number_of(unseen)
        return best(row, view.held, xp.where(many < limit, many, limit))
