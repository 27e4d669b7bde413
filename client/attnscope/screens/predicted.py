"""The cost that other policies paid at as many departures of an episode: an order of magnitude, never a word.

The curve rests on few policies, and cost levels carry badly to another one; the error of each policy, predicted by the
others, stands beside every use. `python -m benchmarks.departures` makes the curve.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from jaxtyping import Float64

from attnscope.screens.results import ScreenResults

FILE: Final = "departure_costs.json"

NEAR: Final = 0.8
"""Share of the optimal gain that the uncompressed policy must reach late: a weaker one may gain by departing."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Costs by departures of an episode, rising, and what they rest on."""

    departures: Float64[np.ndarray, " knot"]
    cost: Float64[np.ndarray, " knot"]
    error: float
    """Mean absolute error of a policy's conditions, predicted by the other policies: the worst policy's."""
    policies: tuple[str, ...]
    command: str


@cache
def curve() -> Curve:
    """Return the committed curve."""
    document = json.loads(files("attnscope.screens").joinpath(FILE).read_text(encoding="utf-8"))
    return Curve(
        np.array([knot[0] for knot in document["knots"]], np.float64),
        np.array([knot[1] for knot in document["knots"]], np.float64),
        max(float(of["error"]) for of in document["policies"]),
        tuple(str(of["checkpoint"]) for of in document["policies"]),
        str(document["command"]),
    )


def applies(results: ScreenResults) -> bool:
    """Return whether a predicted cost may be shown.

    Only where the uncompressed policy is near its ceiling, and chooses one action at a time, as the policies did of
    which the curve was made.
    """
    if not results.policy.output.one_choice:
        return False
    return results.orders and results.attained is not None and results.attained >= NEAR


def predicted_cost(per_episode: float) -> float:
    """Return the share of the gain that other policies lost at as many departures of an episode.

    Parameters
    ----------
    per_episode
        Departures of an episode.
    """
    found = curve()
    return float(np.interp(per_episode, found.departures, found.cost))


def basis() -> str:
    """Return what a predicted cost rests on, and how far off it has been."""
    found = curve()
    return (
        f"predicted_cost rests on {len(found.policies)} policies; of each, predicted by the others, it was off by up "
        f"to {found.error:.2f} of the gain in the mean. It orders budgets roughly, and is no verdict"
    )
