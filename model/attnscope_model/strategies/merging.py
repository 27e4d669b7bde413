"""Neighbours that are alike become one token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int

from attnscope_model.strategies.arrays import Array, as_float, best, namespace
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.plan import Plan, pooled
from attnscope_model.strategies.similarity import similarity
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Merging(Strategy):
    """Merge runs of neighbouring tokens where they are most alike (after token merging: Bolya et al., 2023).

    The history is cut where neighbours differ most, into as many runs as the budget allows; each run becomes its plain
    mean. Only neighbours merge, so that order and age keep their meaning. The paper pairs tokens anywhere.
    """

    name: ClassVar[str] = "merging"
    simplicity: ClassVar[int] = 6
    pools: ClassVar[bool] = True

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return runs between the `limit` − 1 deepest cuts."""
        xp = namespace(view.held)
        alike = similarity(view)
        before = (view.place[..., :, None] - 1 == view.place[..., None, :]) & view.held[..., None, :]
        likeness = xp.sum(xp.where(before, alike, xp.zeros_like(alike)), axis=-1)
        first = view.held & (view.place == 0)
        cuts = best(-likeness, view.held & ~first, xp.where(limit > 0, limit - 1, limit)) | first
        run = xp.cumulative_sum(xp.astype(cuts, xp.int64), axis=-1) - 1
        run = xp.where(limit[..., None] > 0, run, xp.full_like(run, -1))
        return pooled(run, xp.ones_like(as_float(view.held)), view.held)
