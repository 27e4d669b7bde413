"""Transitions near the state that the query is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array, as_float, namespace
from attnscope_model.strategies.base import Scored
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class QueryRelevant(Scored):
    """Keep the transitions that began nearest to the query's state (L1 distance of observations), ties newer first.

    It reselects at every step, which costs nothing where every step is recomputed; what it drops must stay stored.
    """

    name: ClassVar[str] = "relevant"
    order: ClassVar[int] = 180
    needs: ClassVar[frozenset[str]] = frozenset({"observation", "query_observation"})
    simplicity: ClassVar[int] = 3

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return minus the distance to the query."""
        assert view.observation is not None  # noqa: S101 - `plan` refused the view otherwise
        assert view.query_observation is not None  # noqa: S101 - as above
        xp = namespace(view.held)
        apart = as_float(view.observation) - as_float(view.query_observation)[..., None, :]
        return -xp.sum(xp.abs(apart), axis=-1)
