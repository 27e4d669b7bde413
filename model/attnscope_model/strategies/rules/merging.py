"""Neighbours that are alike become one token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int

from attnscope_model.strategies.arrays import Array, best, namespace, running
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.plan import Plan, pooled
from attnscope_model.strategies.similarity import alike_to_previous
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Merging(Strategy):
    """Merge runs of neighbouring tokens where they are most alike (after token merging: Bolya et al., 2023).

    The history is cut where neighbours differ most, into as many runs as the budget allows; each run becomes its plain
    mean. Only neighbours merge, so that order and age keep their meaning. The paper pairs tokens anywhere.
    """

    name: ClassVar[str] = "merging"
    order: ClassVar[int] = 150
    simplicity: ClassVar[int] = 6
    pools: ClassVar[bool] = True

    @property
    def uses(self) -> frozenset[str]:
        """Keys, or states and actions where there are no keys."""
        return frozenset({"keys", "state", "action"})

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return runs between the `limit` − 1 deepest cuts."""
        xp = namespace(view.held)
        first = view.held & (view.place == 0)
        cuts = best(-alike_to_previous(view), view.held & ~first, xp.where(limit > 0, limit - 1, limit)) | first
        run = running(cuts) - 1
        return pooled(xp.where(limit[..., None] > 0, run, xp.full_like(run, -1)), view.held)
