"""The claim that a measure tells which rule costs less, where it tells nothing: boards with and without equal rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from attnscope.recommendations.attention.agreement import correlation

BUDGETS = 3
RULES = 20
COPIES = 6
"""Rules of the board that are copies of others, as recency, sinks and episodes are at small counts."""


@dataclass(frozen=True)
class Told:
    """Shares of boards on which a measure that tells nothing has an interval above, or below, zero."""

    above: float
    below: float


def told(boards: int, seed: int, *, copies: int = COPIES, merge: bool = True) -> Told:
    """Score a measure that is independent of the costs, on boards of `RULES` rules.

    Parameters
    ----------
    copies
        Rules that are copies: of one other rule each, all with its costs and its measure.
    merge
        False leaves the copies on the board, as was done formerly.
    """
    generator = np.random.default_rng(seed)
    found = [_scored(generator, copies, merge=merge) for _ in range(boards)]
    return Told(float(np.mean([low > 0 for low, _ in found])), float(np.mean([high < 0 for _, high in found])))


def _scored(generator: np.random.Generator, copies: int, *, merge: bool) -> tuple[float, float]:
    own = RULES - copies
    cost, measure = (_board(generator, own) for _ in range(2))
    source = [*range(own), *generator.integers(0, own, copies)]
    if merge:
        source = list(dict.fromkeys(source))
    names = [f"rule {place}" for place in range(len(source))] * BUDGETS
    groups = [np.arange(len(source)) + len(source) * budget for budget in range(BUDGETS)]
    estimate = correlation(_flat(cost, source), _flat(measure, source), groups, names)
    return estimate.low, estimate.high


def _board(generator: np.random.Generator, rules: int) -> Float64[np.ndarray, "budget rule"]:
    """Return numbers of rules that are much alike at all budgets."""
    rule = generator.standard_normal(rules)
    return np.asarray(rule + 0.5 * generator.standard_normal((BUDGETS, rules)))


def _flat(board: Float64[np.ndarray, "budget rule"], source: Sequence[int]) -> Float64[np.ndarray, " condition"]:
    return np.asarray(board[:, source].ravel())
