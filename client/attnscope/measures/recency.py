"""The attention that the newest tokens hold."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope.measures.layout import QUERY_LAST, ContextLayout, by_age, weights
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS


def recency_mass(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    windows: tuple[int, ...] = RECENCY_WINDOWS,
    layout: ContextLayout = QUERY_LAST,
) -> Float64[np.ndarray, "*row layer head window"]:
    """Return the mass on the newest 1, 5, 10, 20 … tokens before the query, whose own slot is not counted.

    Uniform attention has min(window, length − 1) ÷ length. The query's own mass is `self_mass`: a head that looks at
    itself would otherwise pass for one that looks at the recent past.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    windows
        Newest tokens that are counted, the query left out.
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    """
    aged = by_age(weights(rows, length), length, layout)
    reached = aged[..., 1:].cumsum(axis=-1)
    nothing = 0 * aged[..., 0]
    masses = [reached[..., min(window, reached.shape[-1]) - 1] if reached.shape[-1] else nothing for window in windows]
    return np.stack(masses, axis=-1)
