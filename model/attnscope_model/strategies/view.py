"""The part of a context that a strategy sees: its history, oldest first, without the query (which is always kept).

An entry is one transition, also where a policy spends three tokens on it: its tokens are kept or dropped together.
Leading axes (``*batch``: environments, steps) are free; shorter histories are padded, `held` says where an entry is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import Array, count_up, namespace, number_of, running


@dataclass(frozen=True, eq=False)
class ContextView:
    """The history of a context. What a rule needs and the view lacks is refused by name."""

    transition: Int[Array, "*batch entry"]
    """Index of each entry's transition since the rollout began: its identity."""
    held: Bool[Array, "*batch entry"]
    """True where there is an entry; the rest is padding."""
    reward: Float[Array, "*batch entry"] | None = None
    episode: Int[Array, "*batch entry"] | None = None
    query_episode: Int[Array, "*batch"] | None = None
    """The episode that the query is in; the newest entry's where None."""
    state: Int[Array, "*batch entry"] | None = None
    """A number for every different observation."""
    action: Int[Array, "*batch entry"] | None = None
    observation: Float[Array, "*batch entry feature"] | None = None
    query_observation: Float[Array, "*batch feature"] | None = None
    attention: Float[Array, "*batch row entry"] | None = None
    """Attention of the last decision rows, oldest row first, by transition identity; NaN where a row did not see it."""
    accumulated: Float[Array, "*batch entry"] | None = None
    """Attention that an entry has received since it joined the context; NaN where no row has seen it."""
    expected: Float[Array, "*batch entry"] | None = None
    """The attention that a uniform row would have given it over the same rows."""
    keys: Float[Array, "*batch entry key"] | None = None
    """A vector of each entry: its embedding, or its raw observation, action and reward."""
    influence: Float[Array, "*batch entry"] | None = None
    """The change of the decision when an entry is left out of the whole context; NaN where nobody tried.

    In nats, or a distance of action vectors without a distribution.
    """
    lane: Int[Array, "*batch"] | None = None
    """Number of the rollout, so that random choices differ between rollouts; 0 where None."""

    @property
    def count(self) -> Int[Array, "*batch"]:
        """Entries of each history."""
        return number_of(self.held)

    @property
    def place(self) -> Int[Array, "*batch entry"]:
        """Place of each held entry among the held, 0 the oldest."""
        return running(self.held) - 1

    @property
    def age(self) -> Int[Array, "*batch entry"]:
        """Age of each held entry: 1 is the newest before the query."""
        so_far = running(self.held)
        return so_far[..., -1:] - so_far + 1

    @property
    def index(self) -> Int[Array, " entry"]:
        """Place of each entry on the entry axis."""
        return count_up(self.held)

    def only(self, mask: Bool[Array, "*batch entry"]) -> ContextView:
        """Return the view in which nothing else is held."""
        return replace(self, held=self.held & mask)

    def one_for_all(self) -> ContextView | None:
        """Return a view of the places alone, where all histories have the same; None where they differ or are one."""
        if self.held.ndim == 1 or 0 in self.held.shape:
            return None
        first = (0,) * (self.held.ndim - 1)
        held = self.held[first]
        xp = namespace(held)
        return ContextView(self.transition[first], held) if bool(xp.all(self.held == held)) else None
