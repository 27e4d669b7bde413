"""Age bins and retained-mass curves: two reductions of a decision row that are stored in its place.

A bin holds the attention on all tokens of some ages; age 0 is the query's own token. The newest `EXACT_AGES` have a bin
each, older ones share bins whose widths grow by a constant factor. No mass is dropped, only its place within a bin.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int, Int32

EXACT_AGES: Final = 32
"""Tokens before the query that have a bin of their own."""

BINS: Final = 100
"""Bins of a head, about; a short context has one for each token."""

SHARES: Final = tuple(place / 20 for place in range(21))
"""Shares of the history at which a retained-mass curve is stored."""


def bin_edges(slots: int) -> Int32[np.ndarray, " edge"]:
    """Return the first age of every bin, and the end of the last one: the tokens of a full context.

    Parameters
    ----------
    slots
        Tokens of a full context, the query among them.
    """
    exact = min(slots, EXACT_AGES + 1)
    if slots <= BINS:
        return np.arange(slots + 1, dtype=np.int32)
    older = np.geomspace(exact, slots, BINS - exact + 1).round()
    return np.unique(np.concatenate([np.arange(exact), older])).astype(np.int32)


def spread(
    bins: Float[np.ndarray, "*row bin"], edges: Int[np.ndarray, " edge"], length: Int[np.ndarray, "*row"]
) -> Float64[np.ndarray, "*row age"]:
    """Return weights by age whose bins hold the stored mass, evenly spread; NaN past the context.

    Parameters
    ----------
    bins
        Stored mass of each bin.
    edges
        As `bin_edges` returns them.
    length
        Context lengths in tokens; the bin that a context ends in is spread over the ages that it reaches.
    """
    whole = np.asarray(length)[..., None]
    reached = np.minimum(edges[1:], whole) - np.minimum(edges[:-1], whole)
    mass = np.nan_to_num(np.asarray(bins, np.float64))
    even = np.divide(mass, reached, out=np.zeros(mass.shape), where=reached > 0)
    of_age = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    return np.where(np.arange(int(edges[-1])) < whole, even[..., of_age], np.nan)
