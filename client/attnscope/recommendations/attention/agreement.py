"""Agreement of ranks within groups of conditions, with intervals over strategies and the ceiling of noisy costs.

Knows no trial and no prediction: numbers, groups and names of strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from attnscope.measures.intervals import LEVEL, Estimate

FEWEST: Final = 3
"""Fewest conditions of one budget and position policy that are ranked."""

SAMPLES: Final = 2000
"""Bootstrap samples of strategies."""

NEGLIGIBLE: Final = 1e-9
"""Spread of costs below which conditions count as equal."""

Group = Int64[np.ndarray, "_"]
"""Places of conditions that are compared: those with one budget and position policy, say."""


def correlation(
    first: Float64[np.ndarray, " condition"],
    second: Float64[np.ndarray, " condition"],
    groups: list[Group],
    names: Sequence[str],
) -> Estimate:
    """Return the rank correlation within groups, with its interval over strategies.

    Parameters
    ----------
    names
        Strategy of every condition; a strategy is drawn with all of its conditions.
    """
    drawn = pooled(first, second, groups, drawn_strategies(names))
    return estimated(float(pooled(first, second, groups)[0]), drawn, 0.0, len(set(names)))


def ceiling(halves: Sequence[Float64[np.ndarray, " condition"]], groups: list[Group]) -> float:
    """Return √(2r ÷ (1 + r)), r the rank correlation within groups between the costs of two halves of the rollouts.

    Spearman and Brown's formula gives the reliability of the whole, and its root is the largest correlation that a
    perfect predictor can have with costs so noisy. NaN where the halves do not agree at all.
    """
    half = float(pooled(halves[0], halves[1], groups)[0])
    return float(np.sqrt(2 * half / (1 + half))) if half > 0 else float("nan")


def pooled(
    first: Float64[np.ndarray, " condition"],
    second: Float64[np.ndarray, " condition"],
    groups: list[Group],
    times: Int64[np.ndarray, "sample condition"] | None = None,
) -> Float64[np.ndarray, " sample"]:
    """Return the rank correlation within groups, pooled over them; NaN where nothing varies within any.

    Parameters
    ----------
    times
        How often each condition is drawn in each sample; None is one sample of each once.
    """
    drawn = np.ones((1, len(first)), np.int64) if times is None else times
    total = np.zeros((3, len(drawn)))
    for group in groups:
        often = drawn[:, group].astype(np.float64)
        one, other = (_centred_ranks(values[group], often) for values in (first, second))
        total += [(often * product).sum(axis=1) for product in (one * other, one**2, other**2)]
    scale = np.sqrt(total[1] * total[2])
    return np.asarray(np.divide(total[0], scale, out=np.full(len(drawn), np.nan), where=scale > NEGLIGIBLE))


def _centred_ranks(
    values: Float64[np.ndarray, " member"], often: Float64[np.ndarray, "sample member"]
) -> Float64[np.ndarray, "sample member"]:
    """Return the mean rank of each value among those drawn, less the mean of all ranks."""
    below = (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])
    return np.asarray(often @ below.T - often.sum(axis=1, keepdims=True) / 2)


def drawn_strategies(names: Sequence[str]) -> Int64[np.ndarray, "sample condition"]:
    """Return how often each condition is in each sample: strategies are drawn, each with all its conditions."""
    strategies = {name: index for index, name in enumerate(dict.fromkeys(names))}
    share = np.full(len(strategies), 1 / len(strategies))
    times = np.random.default_rng(0).multinomial(len(strategies), share, SAMPLES)
    return np.asarray(times[:, [strategies[name] for name in names]], np.int64)


def estimated(value: float, drawn: Float64[np.ndarray, " sample"], baseline: float, strategies: int) -> Estimate:
    """Return a correlation with the percentile interval of its samples; none with three strategies or fewer."""
    known = drawn[np.isfinite(drawn)]
    low = high = float("nan")
    if len(known) and strategies > FEWEST:
        low, high = (float(end) for end in np.quantile(known, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    return Estimate(value, low, high, baseline, strategies, strategies >= 10, "these tasks")  # noqa: PLR2004 - as rollouts
