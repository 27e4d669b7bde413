"""A wrapper: marked tokens are kept whatever the wrapped rule says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, as_float, best, namespace
from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.errors import ViewIncompleteError
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.recency import Recency
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Anchored(Strategy):
    """Keep anchors (each episode's start, the oldest slot, the first rewarded) and give the rest to another strategy.

    Anchors take half the budget at most, the newest of them first.
    """

    name: ClassVar[str] = "anchored"
    simplicity: ClassVar[int] = 2

    inner: Strategy = field(default_factory=Recency)
    """The strategy that fills the rest of the budget."""
    starts: bool = True
    """Anchor the first transition of every episode in the context."""
    oldest: bool = False
    """Anchor the oldest token of the context."""
    first_rewarded: bool = False
    """Anchor the oldest rewarded transition in the context."""

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return the anchors and the wrapped strategy's plan of the rest."""
        xp = namespace(view.held)
        missing = sorted(field for field in self.inner.needs if getattr(view, field) is None)
        if missing:
            raise ViewIncompleteError(f"{self.inner.name} looks at {', '.join(missing)}, which this view does not have")
        anchors = best(-as_float(view.age), self.anchors(view), limit // 2)
        left = limit - xp.sum(xp.astype(anchors, xp.int64), axis=-1)
        rest = self.inner.choose(view.only(~anchors), left)
        index = xp.broadcast_to(view.index, anchors.shape)
        return Plan(xp.where(anchors, index, rest.leader), xp.where(anchors, as_float(anchors), rest.weight))

    def anchors(self, view: ContextView) -> Bool[Array, "*batch entry"]:
        """Return the entries that are anchors.

        Raises
        ------
        ViewIncompleteError
            The view has no episodes or rewards to find them by.
        """
        xp = namespace(view.held)
        found = xp.zeros_like(view.held)
        if self.starts:
            if view.episode is None:
                raise ViewIncompleteError("anchoring episode starts needs the view's episodes")
            earlier = (view.place[..., None, :] == view.place[..., :, None] - 1) & view.held[..., None, :]
            same = view.episode[..., None, :] == view.episode[..., :, None]
            goes_on = xp.any(earlier & same, axis=-1)
            # The oldest entry of a window that has slid is a start only if its episode truly begins there.
            cut = (view.place == 0) & (view.transition > 0)
            found = found | (view.held & ~goes_on & ~cut)
        if self.oldest:
            found = found | (view.held & (view.place == 0))
        if self.first_rewarded:
            if view.reward is None:
                raise ViewIncompleteError("anchoring the first rewarded transition needs the view's rewards")
            rewarded = view.held & (view.reward > 0)
            number = xp.cumulative_sum(xp.astype(rewarded, xp.int64), axis=-1)
            found = found | (rewarded & (number == 1))
        return found
