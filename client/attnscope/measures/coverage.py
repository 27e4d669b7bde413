"""The number of tokens that hold most of the attention, and their distance from the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope.measures.layout import QUERY_LAST, ContextLayout, by_age, checked_length, weights

MASS_LEVELS: Final = (0.8, 0.9, 0.95, 0.99)
"""Shares of the attention that coverage is asked for."""

ROUNDING: Final = 1e-9
"""Mass that may be missing from a level, so that 8 of 10 equal weights do hold 80 %."""


@dataclass(frozen=True, eq=False)
class Coverage:
    """The smallest sets of tokens that hold given shares of each row's attention."""

    positions: Float64[np.ndarray, "*row layer head level"]
    """Tokens in the set."""
    oldest: Float64[np.ndarray, "*row layer head level"]
    """Age in tokens of the oldest token of the set: how far back a window must reach to hold it."""
    newest: Float64[np.ndarray, "*row layer head level"]
    """Age of the newest token of the set; 0 is the query itself."""

    @property
    def span(self) -> Float64[np.ndarray, "*row layer head level"]:
        """Ages that the set covers, from its newest to its oldest token, both counted."""
        return np.asarray(self.oldest - self.newest + 1)


def coverage(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    levels: tuple[float, ...] = MASS_LEVELS,
    layout: ContextLayout = QUERY_LAST,
) -> Coverage:
    """Return the smallest set of tokens whose weights sum to each level (nucleus, top-p: Twilight, 2025).

    The query's own slot may be in the set. Among equal weights the newer token comes first, so that the reach is the
    least that the weights allow.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    levels
        Shares of the mass to reach, above 0 and at most 1.
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    aged = by_age(weights(rows, length), length, layout)
    # The past of the context sorts behind every token, whatever weight the token has.
    inside = np.arange(aged.shape[-1]) < checked_length(length, aged.shape[-1])[..., None]
    order = np.argsort(np.where(inside[..., None, None, :], -aged, 1), axis=-1, kind="stable")
    running = np.take_along_axis(aged, order, axis=-1).cumsum(axis=-1)
    oldest = np.maximum.accumulate(order, axis=-1)
    newest = np.minimum.accumulate(order, axis=-1)
    # Level by level, so that no array has both a slot and a level axis.
    last = np.stack([(running < level - ROUNDING).sum(axis=-1) for level in levels], axis=-1)
    last = np.minimum(last, checked_length(length, aged.shape[-1])[..., None, None, None] - 1)
    absent = np.isnan(aged[..., :1])
    return Coverage(
        positions=np.where(absent, np.nan, last + 1),
        oldest=np.where(absent, np.nan, np.take_along_axis(oldest, last, axis=-1)),
        newest=np.where(absent, np.nan, np.take_along_axis(newest, last, axis=-1)),
    )


def positions_for_mass(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    levels: tuple[float, ...] = MASS_LEVELS,
) -> Float64[np.ndarray, "*row layer head level"]:
    """Return how many tokens hold each level of the attention; uniform attention needs level × length of them.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    levels
        Shares of the mass to reach, above 0 and at most 1.
    """
    share = -np.sort(-weights(rows, length), axis=-1)
    running = share.cumsum(axis=-1)
    short = np.stack([(running < level - ROUNDING).sum(axis=-1) for level in levels], axis=-1)
    most = checked_length(length, share.shape[-1])[..., None, None, None]
    return np.where(np.isnan(share[..., :1]), np.nan, np.minimum(short + 1, most))
