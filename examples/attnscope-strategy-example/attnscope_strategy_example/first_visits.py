"""The transitions in which a state was seen for the first time, and the newest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from attnscope_model.strategies import ContextView, Selection, parameter
from attnscope_model.strategies.arrays import namespace, newest, number_of


@dataclass(frozen=True)
class FirstVisits(Selection):
    """Keep the newest first visits of states up to a share of the budget, and fill up with the newest tokens."""

    name: ClassVar[str] = "first-visits"
    needs: ClassVar[frozenset[str]] = frozenset({"state"})
    simplicity: ClassVar[int] = 3

    share: float = parameter(0.5, "Share of the budget that first visits may take.", low=0.0, high=1.0)

    def keep(self, view: ContextView, limit: Any) -> Any:  # noqa: ANN401 - arrays of any library
        """Return first visits and the newest others."""
        xp = namespace(view.held)
        older = (view.index[None, :] < view.index[:, None]) & view.held[..., None, :]
        seen = xp.any((view.state[..., None, :] == view.state[..., :, None]) & older, axis=-1)
        room = xp.astype(xp.floor(xp.astype(limit, xp.float64) * self.share), xp.int64)
        first = newest(view.held & ~seen, room)
        return first | newest(view.held & ~first, limit - number_of(first))
