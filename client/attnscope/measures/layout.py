"""Places of tokens in a context: slots, ages and transitions.

A *row* is the attention of one query over the slots of its context; leading axes (``*row``: step and env, say) are
free. Past the context length a row holds NaN. Knows nothing of what attention means; every measure starts here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from attnscope.measures.refusals import RowsInvalidError


@dataclass(frozen=True)
class ContextLayout:
    """The layout of a policy's context; both values are attributes of every capture."""

    query_slot: Literal["first", "last"] = "last"
    """Place of the deciding query: the last token in use, or slot 0."""
    tokens_per_transition: int = 1


QUERY_LAST: Final = ContextLayout()
"""One token a transition and the query last, as in the AD reference."""


def checked_length(length: Int[np.ndarray, "*row"], slots: int) -> Int64[np.ndarray, "*row"]:
    """Return `length` as int64.

    Raises
    ------
    RowsInvalidError
        When a length is no length of a context of `slots` tokens; -1 is how steps that were never written read.
    """
    whole = np.asarray(length, dtype=np.int64)
    if whole.size and (whole.min() < 1 or whole.max() > slots):
        raise RowsInvalidError(
            f"context lengths must lie in 1 to {slots} tokens, found {int(whole.min())} to {int(whole.max())}"
        )
    return whole


def behind(
    rows: Float[np.ndarray, "*row slot"], latents: Int[np.ndarray, ...], *, shares: bool = True
) -> Float[np.ndarray, "*row slot"]:
    """Return rows from the first slot behind the latents on, NaN where no slot is left.

    Parameters
    ----------
    rows
        Attention over the slots of contexts; NaN past the context.
    latents
        Latents at the front of each context, int; its axes are the first ones of the rows.
    shares
        Divide by the mass that is not on latents, so that a row sums to 1 again.
    """
    slots = rows.shape[-1]
    front = np.asarray(latents, np.int64).reshape(*latents.shape, *[1] * (rows.ndim - latents.ndim))
    slot = np.arange(slots) + front
    moved = np.take_along_axis(rows, np.broadcast_to(np.minimum(slot, slots - 1), rows.shape), axis=-1)
    moved = np.where(slot < slots, moved.astype(np.float32), np.float32(np.nan))
    if not shares:
        return moved
    left = np.nansum(moved, axis=-1, keepdims=True)
    return np.asarray(np.divide(moved, left, out=np.full_like(moved, np.nan), where=left > 0))


def in_context(length: Int[np.ndarray, "*row"], slots: int) -> Bool[np.ndarray, "*row {slots}"]:
    """Return which slots hold a token, the query's own among them."""
    return np.arange(slots) < checked_length(length, slots)[..., None]


def weights(
    rows: Float[np.ndarray, "*row layer head slot"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row layer head slot"]:
    """Return rows in float64, 0 past the context and summing to 1 over it.

    Summing to 1 exactly takes out the rounding of float16, which is at most 2⁻¹¹ in all; `check_rows` refuses rows
    that are further off. A row with NaN inside its context (one that was not captured) is NaN everywhere.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    """
    inside = in_context(length, rows.shape[-1])[..., None, None, :]
    held = np.where(inside, rows, 0).astype(np.float64)
    total = held.sum(axis=-1, keepdims=True)
    share: Float64[np.ndarray, "*row layer head slot"] = np.divide(
        held, total, out=np.full_like(held, np.nan), where=total > 0
    )
    return share


def ages(
    length: Int[np.ndarray, "*row"], slots: int, layout: ContextLayout = QUERY_LAST
) -> Int64[np.ndarray, "*row {slots}"]:
    """Return the age of each slot in tokens: 0 is the query's own, 1 the newest before it, -1 holds no token.

    Parameters
    ----------
    length
        Tokens of the context, the query among them, int [*row].
    slots
        Slots of the result: the largest length at least.
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    whole = checked_length(length, slots)[..., None]
    slot = np.arange(slots)
    age = whole - 1 - slot if layout.query_slot == "last" else np.where(slot == 0, 0, whole - slot)
    return np.where(slot < whole, age, -1)


def by_age(
    share: Float64[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    layout: ContextLayout = QUERY_LAST,
) -> Float64[np.ndarray, "*row layer head slot"]:
    """Return `weights` reordered by age, so that index 0 is the query's own slot; 0 past the context.

    Parameters
    ----------
    share
        Weights as `weights` returns them: 0 past the context, float [*row, layer, head, slot].
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    slots = share.shape[-1]
    whole = checked_length(length, slots)[..., None]
    age = np.arange(slots)
    slot = whole - 1 - age if layout.query_slot == "last" else np.where(age == 0, 0, whole - age)
    index = np.where(age < whole, slot, 0)[..., None, None, :]
    moved = np.take_along_axis(share, np.broadcast_to(index, share.shape), axis=-1)
    return np.where((age < whole)[..., None, None, :], moved, 0 * share[..., :1])


def by_transition_age(
    share: Float64[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    layout: ContextLayout = QUERY_LAST,
) -> Float64[np.ndarray, "*row layer head age"]:
    """Return `weights` summed by transition: index 0 is the query's own token, d the d-th newest transition.

    Parameters
    ----------
    share
        Weights as `weights` returns them: 0 past the context, float [*row, layer, head, slot].
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    aged = by_age(share, length, layout)
    per = layout.tokens_per_transition
    if per == 1:
        return aged
    history = aged[..., 1:]
    short = -history.shape[-1] % per
    history = np.pad(history, [(0, 0)] * (history.ndim - 1) + [(0, short)])
    summed = history.reshape(*history.shape[:-1], -1, per).sum(axis=-1)
    return np.concatenate([aged[..., :1], summed], axis=-1)


def slot_transitions(
    start: Int[np.ndarray, "*row"],
    length: Int[np.ndarray, "*row"],
    slots: int,
    layout: ContextLayout = QUERY_LAST,
) -> Int64[np.ndarray, "*row {slots}"]:
    """Return the transition index of every slot; -1 for the query's own slot and where there is no token.

    A compressed context stores its own such array; whatever takes one takes that too.

    Parameters
    ----------
    start
        Transition index of the first slot, int [*row].
    length
        Tokens of the context, the query among them, int [*row].
    slots
        Slots of the result: the largest length at least.
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    age = ages(length, slots, layout)
    slot = np.arange(slots) - (0 if layout.query_slot == "last" else 1)
    index = np.asarray(start, np.int64)[..., None] + slot // layout.tokens_per_transition
    return np.where(age > 0, index, -1)
