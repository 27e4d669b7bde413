"""Tokens that are attended to and unlike newer ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array, namespace
from attnscope_model.strategies.base import Form, Scored
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.rules.snapkv import RecentRows
from attnscope_model.strategies.similarity import redundant
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Redundancy(Scored):
    """Keep tokens by attention minus likeness to a newer token (after R-KV: Cai et al., 2025).

    Attention is the mean of the last rows over its largest value; likeness is the largest cosine to any newer entry. In
    small worlds transitions repeat exactly, so that likeness is often 1.
    """

    name: ClassVar[str] = "redundancy"
    order: ClassVar[int] = 120
    forms: ClassVar[tuple[Form, ...]] = (Form({"balance": 0.5}, {"balance": 0.8}),)
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})
    simplicity: ClassVar[int] = 6

    balance: float = parameter(0.5, "Weight of attention; the rest is that of likeness.", low=0.0, high=1.0)
    rows: int = parameter(16, "Decision rows that are averaged, at most.", low=1, high=1024)

    @property
    def uses(self) -> frozenset[str]:
        """Keys besides, or states and actions where there are no keys."""
        return self.needs | {"keys", "state", "action"}

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return balance × attention − (1 − balance) × likeness; NaN where no row has seen the entry."""
        xp = namespace(view.held)
        mean = RecentRows(rows=self.rows, kernel=1).score(view)
        known = xp.where(xp.isnan(mean), xp.zeros_like(mean), mean)
        top = xp.max(known, axis=-1, keepdims=True)
        heavy = mean / xp.where(top > 0, top, xp.ones_like(top))
        return self.balance * heavy - (1 - self.balance) * redundant(view)
