"""Tokens that got more than a multiple of their uniform share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, as_float, best, namespace
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Threshold(Selection):
    """Keep tokens whose attention in the last row exceeds `lift` times the mean of the history's.

    A fixed weight (0.1, say) means another thing at every context length; a multiple of the mean does not.
    """

    name: ClassVar[str] = "threshold"
    order: ClassVar[int] = 110
    forms: ClassVar[tuple[Form, ...]] = (Form({"lift": 1.0}, {"lift": 2.0}),)
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})
    simplicity: ClassVar[int] = 5

    lift: float = parameter(1.0, "Multiple of the mean attention that a token must exceed.", low=0.0)

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the heaviest entries above the threshold that fit the budget, and those not judged yet."""
        assert view.attention is not None  # noqa: S101 - `plan` refused the view otherwise
        xp = namespace(view.held)
        row = view.attention[..., -1, :]
        judged = view.held & xp.logical_not(xp.isnan(row))
        weight = as_float(xp.where(judged, row, xp.zeros_like(row)))
        many = xp.sum(as_float(judged), axis=-1, keepdims=True)
        mean = xp.sum(weight, axis=-1, keepdims=True) / xp.where(many > 0, many, xp.ones_like(many))
        above = xp.astype(weight, xp.float32) > xp.astype(self.lift * mean, xp.float32)
        return best(row, view.held, limit) & (above | xp.logical_not(judged))
