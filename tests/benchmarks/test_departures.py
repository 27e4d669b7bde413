"""From departures to costs: the rising curve is the least squares among all that never fall; boards join by arm."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmarks.departures.__main__ import ROOT, joined
from benchmarks.departures.isotonic import at, fitted
from scipy.optimize import isotonic_regression


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_the_least_squares_among_those_that_rise(seed):
    """At every point it has the pool's mean, as another implementation has."""
    random = np.random.default_rng(seed)
    x = random.permutation(60).astype(float)
    y = x / 60 + random.normal(size=60)
    knots = fitted(x, y)
    order = np.argsort(x)
    theirs = isotonic_regression(y[order]).x
    assert sorted(set(np.round(theirs, 9))) == pytest.approx(np.round(knots[:, 1], 9))
    assert (np.diff(knots, axis=0) > 0).all()


def test_the_curve_is_a_line_between_knots_and_flat_outside():
    """Points that already rise are their own knots, and two of equal x are one."""
    knots = fitted(np.array([1.0, 3.0, 3.0]), np.array([0.0, 1.0, 2.0]))
    assert knots.tolist() == [[1.0, 0.0], [3.0, 1.5]]
    assert at(knots, np.array([0.0, 2.0, 9.0])).tolist() == [0.0, 0.75, 1.5]


def test_conditions_join_by_rule_budget_and_positions():
    """Of the board's rows those that were screened remain; the cost is what was not kept."""
    of = {"arms": [["recency()", 0.1, "reindex"], ["recency()", 0.1, "keep"]], "departures": [0.8, 0.5]}
    assert joined("darkroom-absolute", of).tolist() == [[0.8, pytest.approx(1 - 0.856)]]


def test_the_committed_curve_has_no_two_equal_knots():
    """It can be read as a function."""
    said = json.loads((ROOT / "client/attnscope/screens/departure_costs.json").read_text(encoding="utf-8"))
    assert len({x for x, _ in said["knots"]}) == len(said["knots"])
    assert sum(of["conditions"] for of in said["policies"]) == 260
