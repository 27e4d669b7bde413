"""Rewarded transitions first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, as_float, namespace, newest, number_of
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class RewardAnchored(Selection):
    """Keep the newest rewarded transitions up to a share of the budget, and fill up with the newest tokens."""

    name: ClassVar[str] = "rewards"
    order: ClassVar[int] = 160
    forms: ClassVar[tuple[Form, ...]] = (Form({"share": 0.5}, {"share": 0.25}),)
    needs: ClassVar[frozenset[str]] = frozenset({"reward"})
    simplicity: ClassVar[int] = 3

    share: float = parameter(
        0.5,
        "Share of the budget that rewarded transitions may take: where every step at a goal is rewarded, all would.",
        low=0.0,
        high=1.0,
    )

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return rewarded entries and the newest others."""
        xp = namespace(view.held)
        assert view.reward is not None  # noqa: S101 - `plan` refused the view otherwise
        room = xp.astype(xp.ceil(as_float(limit) * self.share), xp.int64)
        rewarded = newest(view.held & (view.reward > 0), room)
        return rewarded | newest(view.held & ~rewarded, limit - number_of(rewarded))
