"""Entries as a strategy sees them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.compression.facts import CHOSEN_BY, Facts
from attnscope_model.strategies import ContextView


@dataclass(frozen=True, eq=False)
class Query:
    """The state that an action is asked for, in every rollout."""

    embedded: Float[Tensor, "env 1 width"]
    observation: Float[Tensor, "env feature"]
    episode: Int[Tensor, " env"]
    lane: Int[Tensor, " env"]
    """Number of the rollout, the same in every batch."""

    def of(self, lanes: slice | Int[Tensor, " part"]) -> Query:
        """Return the queries of some rollouts."""
        return Query(self.embedded[lanes], self.observation[lanes], self.episode[lanes], self.lane[lanes])


@dataclass(frozen=True, eq=False)
class Judged:
    """The attention of decision rows to every entry; NaN where no row saw it."""

    attention: Float[Tensor, "env row entry"]
    accumulated: Float[Tensor, "env entry"]
    expected: Float[Tensor, "env entry"]
    """The attention that a uniform row would have given it over the same rows."""


def view_of(
    facts: Facts, query: Query, held: Bool[Tensor, "env entry"] | None = None, judged: Judged | None = None
) -> ContextView:
    """Return what a strategy sees of these entries, all of them held where `held` says nothing."""
    transition = facts["last"]
    return ContextView(
        transition=transition,
        held=torch.ones_like(transition, dtype=torch.bool) if held is None else held,
        query_episode=query.episode,
        query_observation=query.observation,
        lane=query.lane,
        attention=None if judged is None else judged.attention,
        accumulated=None if judged is None else judged.accumulated,
        expected=None if judged is None else judged.expected,
        **{name: facts[name] for name in CHOSEN_BY},
    )
