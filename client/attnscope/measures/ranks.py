"""Rank correlation, ties sharing their mean rank."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def ranks(values: Float[np.ndarray, " entry"]) -> Float64[np.ndarray, " entry"]:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], np.float64)


def spearman(first: Float[np.ndarray, " entry"], second: Float[np.ndarray, " entry"]) -> float:
    """Return Spearman's rank correlation; NaN where either does not vary."""
    one, other = (ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else float("nan")
