"""Contexts of several compressions in one forward: those of equal length, and few of nearly equal length, padded."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from attnscope_model.compression.forward import FIRST, Decided, Piece, contexts_at_once, tiled
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy

CLOSE: Final = 0.8
"""Share of the longest context that a shorter one must reach to be padded to it."""


def decide(policy: Policy, pieces: list[Piece], *, rows: bool = False) -> list[Decided]:
    """Return the decisions of each piece; pieces that can share their forwards.

    Raises
    ------
    CompressionUnfitError
        Slots or hidden tokens with a policy that is no stack of layers.
    """
    found: dict[int, Decided] = {}
    alike = [
        [index for index, piece in enumerate(pieces) if piece.kind == kind]
        for kind in dict.fromkeys(piece.kind for piece in pieces)
    ]
    for places in alike if rows or not pads(policy) else _merged(alike, pieces):
        together = _together([pieces[index] for index in places])
        whole = tiled(policy, together, rows=rows)
        ends = [len(pieces[index].tokens) for index in places]
        logits = torch.split(whole.logits, ends)
        parts = [None] * len(ends) if whole.rows is None else torch.split(whole.rows, ends)
        decisions = [Decided(part, row) for part, row in zip(logits, parts, strict=True)]
        found |= dict(zip(places, decisions, strict=True))
    return [found[index] for index in range(len(pieces))]


def pads(policy: Policy) -> bool:
    """Return whether what follows a query is unseen, so that contexts can be padded there."""
    description = policy.description
    return isinstance(policy, StackedPolicy) and description.causal and description.query_slot == "last"


def _merged(alike: list[list[int]], pieces: list[Piece]) -> list[list[int]]:
    """Return groups of pieces in which the small and packed ones are joined with others nearly as long."""
    kept: list[list[int]] = []
    small: list[list[int]] = []
    for places in alike:
        first = pieces[places[0]]
        packed = first.hidden is None and isinstance(first.slots, int) and first.slots == FIRST
        few = sum(len(pieces[place].tokens) for place in places) < contexts_at_once(first.tokens.shape[1])
        (small if packed and few else kept).append(places)
    small.sort(key=lambda places: pieces[places[0]].tokens.shape[1], reverse=True)
    longest = 0
    for places in small:
        tokens = pieces[places[0]].tokens.shape[1]
        if tokens < CLOSE * longest or not longest:
            kept.append(list(places))
            longest = tokens
        else:
            kept[-1] += places
    return kept


def _together(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    counts = [piece.tokens.shape[1] for piece in pieces]
    slots = [piece.slots for piece in pieces if not isinstance(piece.slots, int)]
    hidden = [piece.hidden for piece in pieces if piece.hidden is not None]
    lengths = None
    if len(set(counts)) > 1:
        each = [
            piece.tokens.new_full((len(piece.tokens),), piece.tokens.shape[1], dtype=torch.int64) for piece in pieces
        ]
        lengths = torch.cat(each)
    return Piece(
        None,
        torch.cat([_long(piece.tokens, max(counts)) for piece in pieces]),
        torch.cat(slots) if slots else pieces[0].slots,
        torch.cat(hidden) if hidden else None,
        lengths,
    )


def _long(tokens: Float[Tensor, "env token width"], count: int) -> Float[Tensor, "env long width"]:
    """Return contexts padded at their ends."""
    short = count - tokens.shape[1]
    return functional.pad(tokens, (0, 0, 0, short)) if short else tokens
