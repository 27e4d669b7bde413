"""What a strategy sees of a context: its history, oldest first, without the query (which is always kept).

An entry is one transition, also where a policy spends three tokens on it: its tokens are kept or dropped together.
Leading axes (``*batch``: environments, steps) are free; shorter histories are padded, `held` says where an entry is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import Array, count_up, namespace


@dataclass(frozen=True, eq=False)
class ContextView:
    """The history of a context. What a rule needs and the view lacks is refused by name."""

    transition: Int[Array, "*batch entry"]
    """Index of each entry's transition since the rollout began: its identity."""
    held: Bool[Array, "*batch entry"]
    """Where there is an entry; the rest is padding."""
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
    """What uniform attention would have given it over the same rows."""
    keys: Float[Array, "*batch entry key"] | None = None
    """A vector of each entry: its embedding, or its raw observation, action and reward."""
    lane: Int[Array, "*batch"] | None = None
    """Which rollout it is, so that random choices differ between rollouts; 0 where None."""

    @property
    def count(self) -> Int[Array, "*batch"]:
        """Entries of each history."""
        xp = namespace(self.held)
        return xp.sum(xp.astype(self.held, xp.int64), axis=-1)

    @property
    def place(self) -> Int[Array, "*batch entry"]:
        """Place of each held entry among the held, 0 the oldest."""
        xp = namespace(self.held)
        return xp.cumulative_sum(xp.astype(self.held, xp.int64), axis=-1) - 1

    @property
    def age(self) -> Int[Array, "*batch entry"]:
        """Age of each held entry: 1 is the newest before the query."""
        return self.count[..., None] - self.place

    @property
    def index(self) -> Int[Array, " entry"]:
        """Place of each entry on the entry axis."""
        return count_up(self.held)

    def only(self, mask: Bool[Array, "*batch entry"]) -> ContextView:
        """Return the view in which nothing else is held."""
        return replace(self, held=self.held & mask)
