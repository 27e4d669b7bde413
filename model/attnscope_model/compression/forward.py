"""The forward of a compressed context: any slots, and tokens that nobody may see.

With consecutive slots from 0 and everything seen it is the policy's own forward, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from attnscope_model.acting.deciding import TILE_ENVS
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import Slots, StackedPolicy

TILE_TOKENS: Final = 160 * TILE_ENVS
"""Tokens that a CPU thread computes at once where contexts are short: twice as many contexts at most."""

FIRST: Final = 0
"""Slot at which a packed context begins."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Contexts to be decided together, of equal length or padded."""

    lanes: Int[Tensor, " env"] | None
    """The rollouts of the batch; None: all, in order."""
    tokens: Float[Tensor, "env token width"]
    slots: Slots = FIRST
    hidden: Bool[Tensor, "env token"] | None = None
    """Tokens that no other may see; None: none."""
    lengths: Int[Tensor, " env"] | None = None
    """Tokens of each context where they differ, the query their last; what follows is padding, which a causal policy
    does not see from there. None: all are whole."""

    @property
    def kind(self) -> tuple[int, int | None, bool]:
        """The properties that pieces must share to be decided in one forward."""
        return self.tokens.shape[1], self.slots if isinstance(self.slots, int) else None, self.hidden is not None

    def part(self, some: slice) -> Piece:
        """Return some of the contexts."""
        return Piece(
            None,
            self.tokens[some],
            self.slots if isinstance(self.slots, int) else self.slots[some],
            None if self.hidden is None else self.hidden[some],
            None if self.lengths is None else self.lengths[some],
        )


@dataclass(frozen=True, eq=False)
class Decided:
    """Logits, and the decision rows where they were asked for."""

    logits: Float[Tensor, "env action"]
    rows: Float[Tensor, "env layer head slot"] | None = None


def contexts_at_once(tokens: int) -> int:
    """Return the contexts of so many tokens that a CPU computes at once."""
    return min(2 * TILE_ENVS, max(TILE_ENVS, TILE_TOKENS // tokens)) * torch.get_num_threads()


def tiled(policy: Policy, piece: Piece, *, rows: bool = False) -> Decided:
    """Return a piece's decisions, on a CPU some contexts at a time, so that what is worked on stays in its cache."""
    envs = len(piece.tokens)
    tile = envs if piece.tokens.device.type != "cpu" else contexts_at_once(piece.tokens.shape[1])
    if envs <= tile:
        return _decided(policy, piece, rows=rows)
    bounds = range(0, envs, tile)
    parts = [_decided(policy, piece.part(slice(first, first + tile)), rows=rows) for first in bounds]
    return Decided(
        torch.cat([part.logits for part in parts]),
        torch.cat([part.rows for part in parts if part.rows is not None]) if rows else None,
    )


def _decided(policy: Policy, piece: Piece, *, rows: bool) -> Decided:
    if not rows:
        return Decided(_logits(policy, piece).float())
    with AttentionTape(policy) as tape:
        logits = _logits(policy, piece)
    return Decided(logits.float(), tape.rows)


def _logits(policy: Policy, piece: Piece) -> Float[Tensor, "env action"]:
    tokens, slots, hidden = piece.tokens, piece.slots, piece.hidden
    if hidden is None and isinstance(slots, int) and slots == FIRST and piece.lengths is None:
        logits: Tensor = policy(tokens)
        return logits
    if not isinstance(policy, StackedPolicy):
        raise CompressionUnfitError(
            f"expected positions reindex: the family {policy.description.family} does not say where its tokens stand"
        )
    if piece.lengths is not None:
        return _padded(policy, tokens, piece.lengths)
    if hidden is not None:
        return _masked(policy, tokens, slots, hidden)
    x = policy.place(tokens, slots)
    *early, last = policy.layers()
    for layer in early:
        x = layer.forward(x, slots)
    return policy.read(last.decide(x, slots)[:, 0])


def _padded(
    policy: StackedPolicy, tokens: Float[Tensor, "env token width"], lengths: Int[Tensor, " env"]
) -> Float[Tensor, "env action"]:
    """Return the logits of packed contexts of a causal policy, whose queries stand at their own lengths' ends."""
    envs, slots = torch.arange(len(tokens), device=tokens.device), torch.arange(tokens.shape[1], device=tokens.device)
    x = policy.place(tokens)
    *early, last = policy.layers()
    for layer in early:
        x = layer.forward(x)
    keys, values = last.memory(x)
    at = lengths - 1
    token = x[envs, at][:, None]
    query = last.query(token, at[:, None])
    scores = query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if last.attention.bias is not None:
        scores = scores + last.attention.bias.at(at[:, None, None] - slots)
    padding = slots >= lengths[:, None]
    row = torch.softmax(scores.masked_fill(padding[:, None, None], -math.inf), dim=-1)
    return policy.read(last.finish(token, row @ values)[:, 0])


def _masked(policy: StackedPolicy, tokens: Tensor, slots: Slots, hidden: Tensor) -> Float[Tensor, "env action"]:
    """Return the logits of contexts in which nobody but they themselves sees the hidden tokens.

    The last token that is not hidden decides.
    """
    count, causal = tokens.shape[1], policy.description.causal
    unseen = (hidden[:, None, None, :] & ~torch.eye(count, dtype=torch.bool, device=hidden.device)).logical_or(
        torch.ones(count, count, dtype=torch.bool, device=hidden.device).triu(1) if causal else hidden.new_zeros(())
    )
    places = torch.arange(count, device=hidden.device)
    deciding = torch.where(hidden, -1, places).amax(dim=1)
    envs = torch.arange(len(tokens), device=hidden.device)
    x = policy.place(tokens, slots)
    *early, last = policy.layers()
    for layer in early:
        queries, keys, values = layer.project(x, slots)
        added = layer.attention.added(slots, count, count, x.device)
        mask = ~unseen if added is None else added.masked_fill(unseen, -math.inf)
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        _record(layer.attention, queries[envs, :, deciding][:, :, None], keys, unseen, deciding, added)
        x = layer.finish(x, attended)
    keys, values = last.memory(x, slots)
    token = x[envs, deciding][:, None]
    # Where the slots are consecutive the deciding token's own is `first + place`; with gaps it is looked up.
    at = (slots + deciding if isinstance(slots, int) else slots[envs, deciding])[:, None]
    added = last.attention.added(slots, count, count, x.device)
    row = _record(last.attention, last.query(token, at), keys, unseen, deciding, added)
    return policy.read(last.finish(token, row @ values)[:, 0])


def _record(
    site: TapedAttention, query: Tensor, keys: Tensor, unseen: Tensor, deciding: Tensor, added: Tensor | None
) -> Float[Tensor, "env head 1 slot"]:
    """Return the deciding token's attention, and leave it with the tape where there is one."""
    scores = query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])
    envs = torch.arange(len(query), device=query.device)
    if added is not None:
        scores = scores + added.expand(len(query), -1, -1, -1)[envs, :, deciding][:, :, None]
    own = unseen.expand(len(query), -1, -1, -1)[envs, :, deciding]
    row = torch.softmax(scores.masked_fill(own[:, :, None], -math.inf), dim=-1)
    if site.tape is not None:
        site.tape.record(row, None)
    return row
