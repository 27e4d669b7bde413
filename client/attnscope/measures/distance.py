"""How far back attention reaches on average."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope.measures.layout import QUERY_LAST, ContextLayout, by_age, checked_length, weights


def attention_distance(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    layout: ContextLayout = QUERY_LAST,
    *,
    without_sink: bool = False,
) -> Float64[np.ndarray, "*row layer head"]:
    """Return the mean age of the attended tokens, Σ A × age ÷ Σ A, in tokens (Vig & Belinkov, 2019).

    The query's own slot counts with age 0; uniform attention has (length − 1) ÷ 2.

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    without_sink
        Leave the oldest slot out of both sums: a sink there looks like long range and is not. NaN where nothing else
        is attended to, so always in a context of one token.
    """
    aged = by_age(weights(rows, length), length, layout)
    age = np.arange(aged.shape[-1])
    if without_sink:
        oldest = checked_length(length, aged.shape[-1])[..., None] - 1
        aged = aged * (age != oldest)[..., None, None, :]
    total = aged.sum(axis=-1)
    reach = (aged * age).sum(axis=-1)
    return np.asarray(np.divide(reach, total, out=np.full_like(total, np.nan), where=total > 0))
