"""The plan of a strategy: the tokens to build, and the transitions that they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from attnscope_model.strategies.arrays import (
    Array,
    as_float,
    count_up,
    in_order,
    namespace,
    number_of,
    packed,
    put_back,
    running,
)


@dataclass(frozen=True, eq=False)
class Plan:
    """Groups of entries, each becoming one token: a weighted mean, or the entry itself where it is alone.

    A group is named by its leader, its newest member. Tokens stand in the order of their leaders.
    """

    leader: Int[Array, "*batch entry"]
    """Entry that leads the group of each entry; -1 is dropped."""
    weight: Float[Array, "*batch entry"]
    """Share of each entry in its token; the shares of a group sum to 1."""
    pure: bool = False
    """True where every token is an unchanged entry: the context is built by indexing. False where that is not known."""
    shared: bool = False
    """True where all histories of the batch have the first one's plan. False says nothing."""

    @classmethod
    def of(cls, mask: Bool[Array, "*batch entry"]) -> Plan:
        """Return the plan that keeps these entries as they are."""
        xp = namespace(mask)
        index = xp.broadcast_to(count_up(mask), mask.shape)
        return cls(xp.where(mask, index, xp.full_like(index, -1)), as_float(mask), pure=True)

    @property
    def used(self) -> Bool[Array, "*batch entry"]:
        """Entries that go into any token."""
        return self.leader >= 0

    @property
    def leads(self) -> Bool[Array, "*batch entry"]:
        """Entries that lead a group."""
        return self.used if self.pure else self.leader == count_up(self.leader)

    @property
    def alone(self) -> Bool[Array, "*batch entry"]:
        """Entries that are kept as they are, not pooled with others."""
        if self.pure or self.leader.shape[-1] == 0:
            return self.used
        xp = namespace(self.leader)
        size = number_of(self._members())
        mine = xp.take_along_axis(size, xp.clip(self.group, 0, None), axis=-1)
        return self.used & (mine == 1)

    @property
    def tokens(self) -> Int[Array, "*batch"]:
        """Tokens to build."""
        return number_of(self.leads)

    @property
    def group(self) -> Int[Array, "*batch entry"]:
        """Token that each entry goes into, 0 the oldest; -1 is dropped."""
        xp = namespace(self.leader)
        number = running(self.leads) - 1
        if not self.pure:
            number = xp.take_along_axis(number, xp.clip(self.leader, 0, None), axis=-1)
        return xp.where(self.used, number, xp.full_like(number, -1))

    def places(self) -> tuple[Int[Array, "*batch token"], Bool[Array, "*batch token"]]:
        """Return the leading entry of every token, oldest first, and where there is such a token.

        As wide as the history with most tokens; past `tokens` the entries are others, in no order to rely on. Of a
        pure plan these are the entries to gather; of a `shared` one the first history's serve all.
        """
        xp = namespace(self.leader)
        width = self._width()
        order = xp.argsort(xp.astype(xp.logical_not(self.leads), xp.int8), axis=-1, stable=True)
        return order[..., :width], count_up(order)[:width] < self.tokens[..., None]

    def mixture(self) -> Float[Array, "*batch token entry"]:
        """Return the weight of every entry in every token; tokens past `tokens` are rows of 0."""
        xp = namespace(self.leader)
        return xp.where(self._members(), self.weight[..., None, :], xp.zeros_like(self.weight[..., None, :]))

    def build(self, embeddings: Float[Array, "*batch entry width"]) -> Float[Array, "*batch token width"]:
        """Return the tokens from the entries' embeddings; those past `tokens` are 0 and must be masked."""
        xp = namespace(embeddings)
        if not self.pure:
            return xp.matmul(xp.astype(self.mixture(), embeddings.dtype), embeddings)
        place, there = self.places()
        index = xp.broadcast_to(place[..., None], (*place.shape, embeddings.shape[-1]))
        tokens = xp.take_along_axis(embeddings, index, axis=-2)
        return xp.where(there[..., None], tokens, xp.zeros_like(tokens))

    def transitions(
        self, transition: Int[Array, "*batch entry"]
    ) -> tuple[Int[Array, "*batch token"], Int[Array, "*batch token"]]:
        """Return the first and the last transition of every token, those of no weight among them; -1 past `tokens`."""
        xp = namespace(transition)
        if self.pure:
            place, there = self.places()
            only = xp.take_along_axis(xp.broadcast_to(transition, self.leader.shape), place, axis=-1)
            only = xp.where(there, only, xp.full_like(only, -1))
            return only, only
        mine = self._members()
        wide = xp.broadcast_to(transition[..., None, :], mine.shape)
        far = xp.max(transition) + 1
        first = xp.min(xp.where(mine, wide, xp.full_like(wide, int(far))), axis=-1)
        last = xp.max(xp.where(mine, wide, xp.full_like(wide, -1)), axis=-1)
        return xp.where(last >= 0, first, xp.full_like(first, -1)), last

    def for_all(self, like: Bool[Array, "*batch entry"]) -> Plan:
        """Return this plan of one history as that of every history of a batch."""
        xp = namespace(self.leader)
        leader, weight = xp.broadcast_to(self.leader, like.shape), xp.broadcast_to(self.weight, like.shape)
        return Plan(leader, weight, pure=self.pure, shared=True)

    def _members(self) -> Bool[Array, "*batch token entry"]:
        """Return which entries go into each token."""
        token = count_up(self.leader)[: self._width()]
        return self.group[..., None, :] == token[:, None]

    def _width(self) -> int:
        """Return the most tokens that a history has, 1 at least."""
        return max(1, int(namespace(self.leader).max(self.tokens)))


def pooled(
    label: Int[Array, "*batch entry"],
    held: Bool[Array, "*batch entry"],
    weight: Float[Array, "*batch entry"] | None = None,
) -> Plan:
    """Return the plan that pools held entries of the same label; labels below 0 are dropped.

    Parameters
    ----------
    label
        Equal labels stand together among the held entries that are not dropped.
    weight
        Scaled to sum to 1 in every group; equal where None, or where a group's are all 0 or NaN.
    held
        Entries that the context holds, bool [*batch, entry].
    """
    xp = namespace(label)
    used = held & (label >= 0)
    if label.shape[-1] == 0:
        return Plan.of(used)
    order = packed(used)
    together, there = in_order(label, order), in_order(used, order)
    edge = xp.ones_like(there[..., :1])
    change = together[..., 1:] != together[..., :-1]
    starts = there & xp.concat([edge, change], axis=-1)
    ends = there & xp.concat([change | ~there[..., 1:], edge], axis=-1)
    number = running(starts) - 1
    token = xp.clip(number, 0, None)
    start, end = (
        xp.take_along_axis(xp.argsort(xp.astype(~marks, xp.int8), axis=-1, stable=True), token, axis=-1)
        for marks in (starts, ends)
    )
    index = xp.broadcast_to(count_up(label), label.shape) if order is None else order
    leader = put_back(xp.take_along_axis(index, end, axis=-1), order)
    size = put_back(end - start + 1, order)
    share = 1 / as_float(size)
    if weight is not None:
        share = _shares(put_back(token, order), size, used, weight, share)
    return Plan(
        xp.where(used, leader, xp.full_like(leader, -1)), xp.where(used, share, xp.zeros_like(share)), pure=False
    )


def _shares(
    token: Int[Array, "*batch entry"],
    size: Int[Array, "*batch entry"],
    used: Bool[Array, "*batch entry"],
    weight: Float[Array, "*batch entry"],
    equal: Float[Array, "*batch entry"],
) -> Float[Array, "*batch entry"]:
    """Return each entry's weight over its token's sum; sums are taken only of tokens that pool several entries."""
    xp = namespace(token)
    several = used & (size > 1)
    positive = as_float(weight)
    positive = xp.where(several & (positive > 0), positive, xp.zeros_like(positive))  # NaN too: nothing has judged it
    tokens = 1 + int(xp.max(xp.where(several, token, xp.zeros_like(token))))
    mine = token[..., None, :] == count_up(token)[:tokens, None]
    totals = xp.sum(xp.where(mine, positive[..., None, :], xp.zeros_like(positive[..., None, :])), axis=-1)
    total = xp.take_along_axis(totals, xp.clip(token, 0, tokens - 1), axis=-1)
    scaled = positive / xp.where(total > 0, total, xp.ones_like(total))
    return xp.where(several & (total > 0), scaled, equal)
