"""The kept tokens: those of every rollout's context, of a plan or cut down."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attnscope_model.compression.facts import Facts, taken
from attnscope_model.strategies import Plan


@dataclass(frozen=True, eq=False)
class Kept:
    """Entries of every rollout, oldest first; past a rollout's count there is nothing to read.

    An entry is a transition, or one that stands for several; its facts are then those of the newest of them, but for
    the tokens, which are their mixture, and `first`.
    """

    facts: Facts
    counts: tuple[int, ...]
    """Entries of every rollout."""
    tokens: tuple[int, ...] | None = None
    """Tokens of every rollout's entries; None where each entry has the policy's tokens of a transition."""

    def tokens_each(self, per_transition: int) -> tuple[int, ...]:
        """Return the tokens of every rollout's entries."""
        return tuple(count * per_transition for count in self.counts) if self.tokens is None else self.tokens

    @property
    def equal(self) -> int | None:
        """Entries of every rollout where all have as many, else None."""
        return self.counts[0] if len(set(self.counts)) == 1 else None

    def without_oldest(self, drop: tuple[int, ...]) -> Kept:
        """Return what is left without so many of each rollout's oldest entries."""
        if not any(drop):
            return self
        counts = tuple(count - gone for count, gone in zip(self.counts, drop, strict=True))
        if len(set(drop)) == 1:
            return Kept({name: value[:, drop[0] :] for name, value in self.facts.items()}, counts)
        device = self.facts["last"].device
        width = max(counts)
        index = torch.arange(width, device=device) + torch.tensor(drop, device=device)[:, None]
        return Kept(taken(self.facts, index.clamp(max=self.facts["last"].shape[1] - 1)), counts)


def what_stands(facts: Facts) -> Facts:
    """Return the facts that a context is made of: all that there is to keep where the whole window stays stored."""
    return {name: facts[name] for name in ("embedded", "first", "last")}


def groups(counts: tuple[int, ...], device: torch.device) -> list[tuple[int, Int[Tensor, " env"] | None]]:
    """Return the rollouts of each count, fewest entries first; None where all have as many."""
    if len(set(counts)) == 1:
        return [(counts[0], None)]
    each = torch.tensor(counts)
    return [(count, torch.nonzero(each == count)[:, 0].to(device)) for count in sorted(set(counts))]


def nothing(embedded: Float[Tensor, "env 0 size"], number: Int[Tensor, " env"]) -> Kept:
    """Return contexts without history; `number` gives the rollouts, and the type of transition indices."""
    none = number[:, None][:, :0]
    return Kept({"embedded": embedded, "first": none, "last": none}, (0,) * len(number))


def kept_of(plan: Plan, facts: Facts) -> Kept:
    """Return what a plan keeps of the entries that it was made for, given their facts."""
    index, counts = leaders(plan)
    kept = taken(facts, index)
    if not plan.pure and index.shape[-1]:
        mixture = plan.mixture()[:, : index.shape[-1]].to(facts["embedded"].dtype)
        places = torch.arange(mixture.shape[2], device=mixture.device)
        members = (mixture > 0) | (places == index[..., None])
        first = torch.where(members, facts["first"][:, None, :], torch.iinfo(torch.int64).max).amin(dim=-1)
        # A token of one entry is the entry, bit for bit.
        alone = members.sum(dim=-1) == 1
        kept["embedded"] = torch.where(alone[..., None], kept["embedded"], mixture @ facts["embedded"])
        kept["first"] = torch.where(alone, kept["first"], first)
    return Kept(kept, counts)


def leaders(plan: Plan) -> tuple[Int[Tensor, "env token"] | Int[Tensor, " token"], tuple[int, ...]]:
    """Return the place of every token's newest entry and the rollouts' counts; past a count, any place.

    Where all rollouts have one plan, one row of places.
    """
    leads: Tensor = plan.leads
    if plan.shared:
        index = leads[0].nonzero()[:, 0]
        return index, (len(index),) * len(leads)
    counts = tuple(leads.sum(dim=-1).tolist())
    if len(set(counts)) == 1:
        return leads.nonzero()[:, 1].view(len(counts), counts[0]), counts
    index, _ = plan.places()
    return index, counts


def tokens_of(
    embedded: Float[Tensor, "env entry size"], query: Float[Tensor, "env 1 width"], *, query_first: bool
) -> Float[Tensor, "env token width"]:
    """Return contexts of these entries and the query, where the policy wants it."""
    history = embedded.reshape(len(embedded), -1, query.shape[-1])
    return torch.cat([query, history] if query_first else [history, query], dim=1)
