"""Attention on marked places of a context: its oldest token and the query itself.

Episode starts are places too, but moving ones; see `attnscope.measures.places`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope.measures.layout import QUERY_LAST, ContextLayout, by_age, checked_length, weights


def sink_mass(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    layout: ContextLayout = QUERY_LAST,
    tokens: int = 1,
) -> Float64[np.ndarray, "*row layer head"]:
    """Return the mass on the oldest tokens of the context (attention sinks: Xiao et al., 2023; Gu et al., 2024).

    In a context of one token the oldest is the query itself, and the mass is 1. Once the window slides, the oldest
    slot holds another transition at every step: a sink is then a property of the place, not of an event.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    tokens
        How many of the oldest tokens count.
    """
    share = weights(rows, length)
    first = 0 if layout.query_slot == "last" else 1
    whole = checked_length(length, share.shape[-1])[..., None]
    slot = np.arange(share.shape[-1])
    oldest = (slot >= np.minimum(first, whole - 1)) & (slot < first + tokens)
    mass: Float64[np.ndarray, "*row layer head"] = (share * oldest[..., None, None, :]).sum(axis=-1)
    return mass


def self_mass(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    layout: ContextLayout = QUERY_LAST,
) -> Float64[np.ndarray, "*row layer head"]:
    """Return the mass on the query's own slot, which `recency_mass` leaves out.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    return by_age(weights(rows, length), length, layout)[..., 0]
