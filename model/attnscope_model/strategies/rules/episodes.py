"""The newest episodes, whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, namespace
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class EpisodeTruncation(Selection):
    """Keep the current and the previous episodes, the newest tokens of them that fit the budget."""

    name: ClassVar[str] = "episodes"
    order: ClassVar[int] = 60
    forms: ClassVar[tuple[Form, ...]] = (Form({"episodes": 2}, {"episodes": 1}, {"episodes": 3}),)
    needs: ClassVar[frozenset[str]] = frozenset({"episode"})
    simplicity: ClassVar[int] = 2

    episodes: int = parameter(2, "Episodes kept, the query's own among them.", low=1)

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the newest entries of the last episodes."""
        now = _last(view) if view.query_episode is None else view.query_episode
        return view.held & (view.episode > now[..., None] - self.episodes) & (view.age <= limit[..., None])


def _last(view: ContextView) -> Int[Array, "*batch"]:
    """Return the episode of the newest entry."""
    xp = namespace(view.held)
    return xp.max(xp.where(view.held, view.episode, xp.full_like(view.episode, -1)), axis=-1)
