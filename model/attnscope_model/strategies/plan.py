"""What a strategy decides: the tokens to build, and of which transitions."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import Array, as_float, count_up, namespace


@dataclass(frozen=True, eq=False)
class Plan:
    """Groups of entries, each becoming one token: a weighted mean, or the entry itself where it is alone.

    A group is named by its leader, its newest member. Tokens stand in the order of their leaders.
    """

    leader: Int[Array, "*batch entry"]
    """Entry that leads the group of each entry; -1 is dropped."""
    weight: Float[Array, "*batch entry"]
    """Share of each entry in its token; the shares of a group sum to 1."""

    @classmethod
    def of(cls, mask: Bool[Array, "*batch entry"]) -> Plan:
        """Return the plan that keeps these entries as they are."""
        xp = namespace(mask)
        index = xp.broadcast_to(count_up(mask), mask.shape)
        return cls(xp.where(mask, index, xp.full_like(index, -1)), as_float(mask))

    @property
    def used(self) -> Bool[Array, "*batch entry"]:
        """Entries that go into any token."""
        return self.leader >= 0

    @property
    def leads(self) -> Bool[Array, "*batch entry"]:
        """Entries that lead a group."""
        return self.leader == count_up(self.leader)

    @property
    def alone(self) -> Bool[Array, "*batch entry"]:
        """Entries that are kept as they are, not pooled with others."""
        return self.used & (self._size() == 1)

    @property
    def tokens(self) -> Int[Array, "*batch"]:
        """Tokens to build."""
        xp = namespace(self.leader)
        return xp.sum(xp.astype(self.leads, xp.int64), axis=-1)

    @property
    def group(self) -> Int[Array, "*batch entry"]:
        """Token that each entry goes into, 0 the oldest; -1 is dropped."""
        xp = namespace(self.leader)
        number = xp.cumulative_sum(xp.astype(self.leads, xp.int64), axis=-1) - 1
        taken = xp.take_along_axis(number, xp.where(self.used, self.leader, xp.zeros_like(self.leader)), axis=-1)
        return xp.where(self.used, taken, xp.full_like(taken, -1))

    def mixture(self) -> Float[Array, "*batch token entry"]:
        """Return the weight of every entry in every token; tokens past `tokens` are rows of 0."""
        xp = namespace(self.leader)
        return xp.where(self._members(), self.weight[..., None, :], xp.zeros_like(self.weight[..., None, :]))

    def build(self, embeddings: Float[Array, "*batch entry width"]) -> Float[Array, "*batch token width"]:
        """Return the tokens from the entries' embeddings; those past `tokens` are 0 and must be masked."""
        xp = namespace(embeddings)
        return xp.matmul(xp.astype(self.mixture(), embeddings.dtype), embeddings)

    def transitions(
        self, transition: Int[Array, "*batch entry"]
    ) -> tuple[Int[Array, "*batch token"], Int[Array, "*batch token"]]:
        """Return the first and the last transition of every token, those of no weight among them; -1 past `tokens`."""
        xp = namespace(transition)
        mine = self._members()
        wide = xp.broadcast_to(transition[..., None, :], mine.shape)
        far = xp.max(transition) + 1
        first = xp.min(xp.where(mine, wide, xp.full_like(wide, int(far))), axis=-1)
        last = xp.max(xp.where(mine, wide, xp.full_like(wide, -1)), axis=-1)
        return xp.where(last >= 0, first, xp.full_like(first, -1)), last

    def _members(self) -> Bool[Array, "*batch token entry"]:
        """Return which entries go into each token."""
        token = count_up(self.leader)[: max(1, int(namespace(self.leader).max(self.tokens)))]
        return self.group[..., None, :] == token[:, None]

    def _size(self) -> Int[Array, "*batch entry"]:
        """Members of each entry's group."""
        xp = namespace(self.leader)
        same = (self.leader[..., :, None] == self.leader[..., None, :]) & self.used[..., None, :]
        return xp.sum(xp.astype(same, xp.int64), axis=-1)


def pooled(
    label: Int[Array, "*batch entry"], weight: Float[Array, "*batch entry"], held: Bool[Array, "*batch entry"]
) -> Plan:
    """Return the plan that pools held entries of the same label; labels below 0 are dropped.

    Weights are scaled to sum to 1 in every group, and are equal where a group's are all 0.
    """
    xp = namespace(label)
    used = held & (label >= 0)
    same = (label[..., :, None] == label[..., None, :]) & used[..., None, :] & used[..., :, None]
    index = xp.broadcast_to(count_up(label), label.shape)
    leader = xp.max(xp.where(same, index[..., None, :], xp.full_like(index[..., None, :], -1)), axis=-1)
    positive = as_float(weight)
    positive = xp.where(positive > 0, positive, xp.zeros_like(positive))  # NaN too: nothing has judged the entry
    total = xp.sum(xp.where(same, positive[..., None, :], xp.zeros_like(positive[..., None, :])), axis=-1)
    size = xp.sum(as_float(same), axis=-1)
    size = xp.where(size > 0, size, xp.ones_like(size))
    share = xp.where(total > 0, positive / xp.where(total > 0, total, xp.ones_like(total)), 1 / size)
    return Plan(leader, xp.where(used, share, xp.zeros_like(share)))
