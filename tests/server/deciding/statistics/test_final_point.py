"""The point after early stopping: as often too high as too low."""

import numpy as np
import pytest
from benchmarks.calibration.worlds import World

from attnscope_server.deciding.statistics.estimates import PairedReturns
from attnscope_server.deciding.statistics.final_point import median_unbiased_drift, median_unbiased_kept
from attnscope_server.deciding.statistics.look_plans import Reach, seeds_plan
from attnscope_server.deciding.statistics.looks import Verdict, judge

PLAN = seeds_plan(8)


@pytest.mark.parametrize("drift", [0.0, 2.0, 3.0, -2.5])
def test_the_drift_is_median_unbiased(drift):
    """Over simulated tests that stop at their bounds, half of the estimates lie above the true drift."""
    fractions = np.array(PLAN.fractions)
    steps = np.diff(fractions, prepend=0)
    draws = np.random.default_rng(1).standard_normal((150, 4)) * np.sqrt(steps) + drift * steps
    scores = draws.cumsum(1) / np.sqrt(fractions)
    over = []
    for z in scores:
        out = [k for k in range(4) if z[k] > PLAN.safe[k] or z[k] < -PLAN.harm[k]]
        number = (out[0] if out else 3) + 1
        over.append(median_unbiased_drift(PLAN, number, float(z[number - 1])) > drift)
    assert np.mean(over) == pytest.approx(0.5, abs=0.12)


def test_a_first_look_needs_no_correction():
    """Ending at the first look leaves the plain estimate."""
    assert median_unbiased_drift(PLAN, 1, -3.0) == pytest.approx(-3.0 / np.sqrt(1 / 8), abs=1e-4)


def test_the_plain_point_of_an_early_safe_stop_is_too_high():
    """A lucky early stop is shrunk, and the plain share is kept where the test ended at its first look."""
    drawn = World(0.97).draw(np.random.default_rng(2), 200, 8, 20, Reach.THESE)
    stopped = 0
    for i in range(30):
        paired = PairedReturns(drawn.compressed[i], drawn.uncompressed[i], drawn.random[i])
        result = judge(paired, 0.05, Reach.THESE, PLAN.looks[2])
        if result.verdict is Verdict.SAFE:
            stopped += 1
            assert 0.95 < median_unbiased_kept(result, PLAN, 0.05) < result.kept.point
    assert stopped > 3
    first = PairedReturns(drawn.compressed[0][:, :5], drawn.uncompressed[0][:, :5], drawn.random[0])
    at_once = judge(first, 0.05, Reach.THESE, PLAN.looks[0])
    assert median_unbiased_kept(at_once, PLAN, 0.05) == at_once.kept.point
