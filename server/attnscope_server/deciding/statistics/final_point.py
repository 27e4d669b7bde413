"""The median-unbiased point of a test that may have stopped early."""

from __future__ import annotations

import math

from attnscope_server.deciding.statistics.crossing import crossing
from attnscope_server.deciding.statistics.look_plans import LookPlan
from attnscope_server.deciding.statistics.looks import LookResult
from attnscope_server.deciding.statistics.solving import zero

WIDEST = 12.0
"""Distance in standard errors within which the point is sought."""


def median_unbiased_drift(plan: LookPlan, number: int, score: float) -> float:
    """Drift under which the outcome, or one more in favour of the arm, has probability one half.

    Outcomes are ordered by stage (Siegmund, 1978; Tsiatis, Rosner and Mehta, 1984): stopping safe earlier is more in
    favour, stopping inferior earlier is less. Stopping for futility is left out, as it binds nothing.

    Parameters
    ----------
    number
        Number of the look at which the test ended.
    score
        z value of the tested difference there.

    Returns
    -------
    float
        The plain drift where an earlier look was far beyond its bound and was kept from stopping by another rule.
    """
    fractions, before = plan.fractions[:number], number - 1
    bounds = [*plan.safe[:before], score]
    harm = [*plan.harm[:before], math.inf]

    def excess(drift: float) -> float:
        return float(crossing(fractions, safe=bounds, harm=harm, drift=drift).safe.sum()) - 0.5

    scale = 1 / math.sqrt(fractions[-1])
    if excess((score - WIDEST) * scale) > 0:
        return score * scale
    return zero(excess, (score - WIDEST) * scale, (score + WIDEST) * scale, within=1e-6)


def median_unbiased_kept(result: LookResult, plan: LookPlan, margin: float) -> float:
    """Kept share whose estimate is as often too high as too low, early stopping counted.

    Returns
    -------
    float
        The plain point at the first look and where nothing varies.
    """
    score = float(result.tested.score)
    if result.look.number == 1 or not math.isfinite(score) or score == 0:
        return result.kept.point
    drift = median_unbiased_drift(plan, result.look.number, score)
    naive = score / math.sqrt(result.look.fraction)
    return 1 - margin + float(result.tested.mean) * (drift / naive) / float(result.gain.mean)
