"""The error of having read a sample of steps, simulated with the code that reports use."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.measures import RolloutMean
from attnscope.measures.intervals import Resampling
from attnscope.measures.sampling import step_error
from attnscope.reading.plan import LEAD, Size, plan

STEPS, ROLLOUTS, RUNS = 1500, 20, 200


def smooth(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return noise whose neighbours along the first axis resemble each other, as attention of adjacent steps does."""
    noise = random.normal(size=(shape[0] + 24, *shape[1:])).cumsum(axis=0)
    return (noise[25:] - noise[:-25]) / 5 if len(noise) > 25 else noise


def covered(run: int, *, sampled: bool) -> bool:
    """Return whether an interval from a sample of bursts holds the mean over every step of all rollouts there are."""
    random = np.random.default_rng(run)
    common = smooth(random, (STEPS + 1, 1))
    own, level = smooth(random, (STEPS + 1, ROLLOUTS)), random.normal(0, 0.1, (1, ROLLOUTS))
    values = common + own + level
    truth = float(common[:STEPS].mean())  # rollouts differ by chance alone, around what all have in common
    parts = plan(Size(STEPS, ROLLOUTS, 144, 128), np.zeros(ROLLOUTS, np.int64)).parts
    share = len(parts) * (LEAD + 1) / STEPS
    mean = RolloutMean(share)
    for number, part in enumerate(parts):
        mean.add(values[part.first : part.end], None, number)
    resampling = Resampling(np.zeros(ROLLOUTS, np.int64), samples=400, seed=run)
    strata = np.array([part.stratum for part in parts])
    error = step_error(mean.residuals(resampling.shares), strata, share) if sampled else None
    got = resampling.interval(mean.mean, error)
    return bool(got.low <= truth <= got.high)


def test_intervals_hold_the_error_of_sampled_steps():
    """A nominal 95 % interval covers the truth in at least 92 % of the runs; resampling rollouts alone in far fewer."""
    whole = np.mean([covered(run, sampled=True) for run in range(RUNS)])
    alone = np.mean([covered(run, sampled=False) for run in range(RUNS)])
    assert whole >= 0.92
    assert alone <= 0.75


def test_the_error_is_that_of_a_stratified_mean():
    """Two bursts a phase: the textbook variance with the correction for the share that was read."""
    residual = np.array([0.1, -0.1, 0.3, -0.3])
    got = step_error(residual, np.array([1, 1, 2, 2]), 0.25)
    assert got.spread == pytest.approx(np.sqrt(0.75 * 2 * (2 * 0.1**2 + 2 * 0.3**2)))
    assert got.freedom == 2


def test_what_was_read_whole_has_no_error_and_one_burst_has_an_unknown_one():
    """Reading everything leaves the interval to the rollouts; one burst shows no spread."""
    assert step_error(np.array([0.5]), np.array([0]), 1.0).spread == 0
    assert np.isnan(step_error(np.array([0.5]), np.array([0]), 0.5).spread)


def test_the_error_of_steps_moves_no_share_above_one():
    """Of a share near 1 the interval ends at 1 and keeps its lower end; without a range it would go beyond."""
    residual, strata, near = np.array([0.01, -0.01, 0.01, -0.01]), np.array([1, 1, 2, 2]), np.full(12, 0.98)
    resampling = Resampling(np.zeros(12, np.int64))
    free = resampling.interval(near, step_error(residual, strata, 0.25))
    held = resampling.interval(near, step_error(residual, strata, 0.25, (0.0, 1.0)))
    assert free.high > 1
    assert held.high == 1
    assert held.low == free.low
    assert held.value == free.value


def test_a_phase_with_one_burst_joins_the_others():
    """Its spread cannot be told, so the strata are taken as one."""
    got = step_error(np.array([0.1, -0.2, 0.1]), np.array([1, 2, 2]), 0.0)
    assert got.freedom == 2
    assert got.spread == pytest.approx(np.sqrt(1.5 * (0.1**2 + 0.2**2 + 0.1**2)))


def test_residuals_sum_to_nothing_and_follow_the_rollouts_shares():
    """Each burst's part of the mean over rollouts, absent rollouts left out."""
    mean = RolloutMean()
    values = np.array([[1.0, np.nan], [3.0, np.nan], [8.0, 2.0]])
    mean.add(values[:2], None, 0)
    mean.add(values[2:], None, 4)
    assert mean.bursts == [0, 4]
    got = mean.residuals(np.array([0.5, 0.5]))
    assert got.sum() == pytest.approx(0)
    assert got[0] == pytest.approx(0.5 * (4 - 2 * 4) / 3)
