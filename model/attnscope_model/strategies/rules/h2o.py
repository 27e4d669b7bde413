"""The tokens that were attended to most since they joined the context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import Array, as_float, best, namespace
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class HeavyHitters(Selection):
    """Keep the newest tokens and those with the most accumulated attention, as lift (H2O: Zhang et al., 2023).

    Plain sums favour tokens that many rows have seen even under uniform attention; dividing by what uniform attention
    would have given each makes 1 flat.
    """

    name: ClassVar[str] = "h2o"
    order: ClassVar[int] = 80
    forms: ClassVar[tuple[Form, ...]] = (Form({"recent": 0.5}, {"recent": 0.25}, {"recent": 0.75}),)
    needs: ClassVar[frozenset[str]] = frozenset({"accumulated", "expected"})
    simplicity: ClassVar[int] = 5

    recent: float = parameter(0.5, "Share of the budget that goes to the newest tokens.", low=0.0, high=1.0)

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the newest entries and the heaviest of the others."""
        xp = namespace(limit)
        newest = xp.astype(xp.floor(as_float(limit) * self.recent), xp.int64)
        lift = self.lift(view)
        score = xp.where(view.age <= newest[..., None], xp.full_like(lift, float("inf")), lift)
        return best(score, view.held, limit)

    def lift(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return accumulated ÷ expected attention; NaN where no row has seen the entry."""
        xp = namespace(view.held)
        assert view.accumulated is not None  # noqa: S101 - `plan` refused the view otherwise
        assert view.expected is not None  # noqa: S101 - as above
        absent = xp.full_like(view.accumulated, float("nan"))
        seen = view.expected > 0
        return xp.where(seen, view.accumulated / xp.where(seen, view.expected, xp.ones_like(view.expected)), absent)
