"""The newest tokens as they are, the older ones pooled into a few summaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int

from attnscope_model.strategies.arrays import Array, namespace
from attnscope_model.strategies.base import Form, Strategy
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.plan import Plan, pooled
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class PooledWindow(Strategy):
    """Keep a window of the newest tokens and pool the older ones into M attention-weighted means (guide, strategy 1).

    Attention weights are used as weights. Where the view has none, or a group got none, its mean is plain.
    """

    name: ClassVar[str] = "pooled-window"
    order: ClassVar[int] = 130
    forms: ClassVar[tuple[Form, ...]] = (Form({"summaries": 4}, {"summaries": 2}, {"summaries": 8}, guide=True),)
    simplicity: ClassVar[int] = 4
    pools: ClassVar[bool] = True

    summaries: int = parameter(
        4,
        "M: tokens of the budget spent on summaries; fewer where the budget would leave no newest token.",
        low=1,
        high=1024,
    )
    weighted: bool = parameter(True, "Weigh by the last row's attention where there is one; plain means otherwise.")

    @property
    def uses(self) -> frozenset[str]:
        """Attention, if means are weighted."""
        return frozenset({"attention"} if self.weighted else ())

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return the window's entries alone and the older ones in M runs of equal length."""
        xp = namespace(view.held)
        many = xp.clip(limit - 1, 0, self.summaries)[..., None]
        window = limit[..., None] - many
        older = view.count[..., None] - window
        older = xp.where(older > 0, older, xp.ones_like(older))
        run = view.place * xp.where(many < older, many, older) // older
        run = xp.where(many > 0, run, xp.full_like(run, -1))
        recent = view.age <= window
        label = xp.where(recent, view.place + view.held.shape[-1], run)
        weight = view.attention[..., -1, :] if self.weighted and view.attention is not None else None
        return pooled(label, view.held, weight)
