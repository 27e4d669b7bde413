"""The zero of a function between two values; it knows no statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from scipy.optimize import brentq


def zero(function: Callable[[float], float], low: float, high: float, *, within: float = 2e-12) -> float:
    """Return where `function` is zero between `low` and `high`, by Brent's method.

    Parameters
    ----------
    within
        Largest error of the result.

    Raises
    ------
    ValueError
        The function has the same sign at both ends.
    """
    return float(cast("float", brentq(function, low, high, xtol=within)))
