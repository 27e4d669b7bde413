"""The kept ratio of returns with a Fieller interval, which inverts the very test of the difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from attnscope_server.deciding.statistics.estimates import PairedReturns, difference, gain
from attnscope_server.deciding.statistics.look_plans import Reach
from attnscope_server.deciding.statistics.solving import zero

FARTHEST = 16.0
"""Distance from the point, as a kept share, at which a limit counts as infinite."""


@dataclass(frozen=True)
class Kept:
    """Kept share of the gain over random actions."""

    point: float
    low: float
    """Lower limit; minus infinity where the gain is too uncertain for a ratio."""

    high: float
    """Upper limit; infinity where the gain is too uncertain for a ratio."""


def kept(returns: PairedReturns, margin: float, reach: Reach, low: float, high: float) -> Kept:
    """Kept ratio with its interval (Fieller, 1954): all shares that the test of the difference does not reject.

    Parameters
    ----------
    returns
        Paired returns without leading axes.
    margin
        Share of the gain that may be lost; the limits lie on that side of 1 − margin where the test puts them.
    low, high
        Bounds of the test as z values: of the lower and of the upper limit. 1.96 twice is a 95 % interval.
    """
    whole = gain(returns, reach)
    numerator = float((returns.compressed - returns.chance).mean())
    if not float(whole.mean) > 0:
        return Kept(math.nan, -math.inf, math.inf)
    point = numerator / float(whole.mean)

    def score(share: float) -> float:
        found = float(difference(returns, 1 - share, reach).score)
        return 0.0 if math.isnan(found) else found  # nothing varies, so nothing is rejected: an arm that is its twin

    worth = float(whole.score)
    return Kept(
        point,
        _limit(lambda k: score(k) - low, point, 1 - margin, -1) if worth > low else -math.inf,
        _limit(lambda k: -score(k) - high, point, 1 - margin, 1) if worth > high else math.inf,
    )


def _limit(excess: Callable[[float], float], point: float, border: float, side: int) -> float:
    """Nearest share on one side of the point from which on the test rejects.

    The border between verdicts is tried first, so that limit and verdict cannot disagree.
    """
    inner = point
    if side * (border - point) > 0:
        if excess(border) > 0:
            return zero(excess, point, border)
        inner = border
    step = 1e-3
    while step < FARTHEST:
        outer = inner + side * step
        if excess(outer) > 0:
            return zero(excess, inner, outer)
        inner, step = outer, step * 2
    return side * math.inf
