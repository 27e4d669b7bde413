"""Intervals of few paired rollouts, against scipy's formulas and by how often they are right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attnscope.trials.bootstrap import PairedBootstrap, student
from attnscope.trials.scores import interquartile_mean


@pytest.mark.parametrize("freedom", [1.0, 1.5, 2.0, 3.0, 7.5, 16.0, 30.0, 200.0])
def test_students_quantile_is_scipys(freedom):
    """Integration of the density agrees with the incomplete beta function."""
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-5)


@pytest.mark.parametrize("count", [3, 8, 40])
def test_the_interquartile_mean_is_scipys_trimmed_mean(count):
    """The quarter at either end is left out."""
    values = np.random.default_rng(count).normal(size=(5, count))
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=1))


def test_the_spread_of_the_samples_is_the_unbiased_one():
    """Of n, n − 1 are drawn, so that the variance of the mean is s² ÷ n with the n − 1 in s²."""
    values = np.random.default_rng(0).normal(size=(3, 6))
    drawn = PairedBootstrap(3, 6, samples=20_000).means(values)
    exact = np.sqrt((values.var(axis=0, ddof=1) / 3).sum()) / 6
    assert drawn.std() == pytest.approx(exact, rel=0.03)
    tasks = PairedBootstrap(3, 6, "beyond these tasks", samples=20_000).means(values)
    assert tasks.std() == pytest.approx(values.mean(axis=0).std(ddof=1) / np.sqrt(6), rel=0.03)


def test_one_task_has_students_own_interval():
    """With one task and many samples, a mean's interval is about that of the paired t test."""
    values = np.random.default_rng(1).normal(2, 1, size=(12, 1))
    got = PairedBootstrap(12, 1, samples=20_000).mean(values)
    exact = stats.ttest_1samp(values[:, 0], 0).confidence_interval(0.95)
    assert (got.low, got.high) == pytest.approx((exact.low, exact.high), abs=0.08)
    assert got.reliable


def test_picks_are_the_rollouts_that_the_weights_weigh():
    """The same samples serve means and what is no mean."""
    values = np.random.default_rng(2).normal(size=(4, 5))
    bootstrap = PairedBootstrap(4, 5, samples=50)
    assert values.reshape(-1)[bootstrap.picks].mean(axis=1) == pytest.approx(bootstrap.means(values))


def test_freedom_counts_the_tasks_that_spread():
    """If one task makes all of the spread, its own rollouts are all there is to judge by."""
    bootstrap = PairedBootstrap(4, 6)
    values = np.zeros((4, 6))
    values[:, 2] = [1, 2, 3, 5]
    assert bootstrap.freedom(values) == pytest.approx(3)
    assert bootstrap.freedom(np.tile(values[:, 2:3], (1, 6))) == pytest.approx(18)


def test_one_seed_has_no_interval():
    """Nothing can be resampled, so nothing is claimed."""
    got = PairedBootstrap(1, 5).mean(np.ones((1, 5)))
    assert not got.has_interval
    assert not got.reliable


@pytest.mark.parametrize(("seeds", "tasks"), [(3, 8), (5, 4), (10, 1)])
def test_intervals_cover_as_often_as_they_say(seeds, tasks):
    """95 % intervals of few skewed, unequally spread rollouts hold the truth in 93 to 97.5 % of trials."""
    rng = np.random.default_rng(seeds)
    bootstrap = PairedBootstrap(seeds, tasks, samples=400)
    scale = rng.uniform(0.3, 1.5, tasks)
    covered = []
    for _ in range(1500):
        got = bootstrap.mean(scale * rng.normal(size=(seeds, tasks)))
        covered.append(got.low <= 0 <= got.high)
    assert 0.93 < np.mean(covered) < 0.975
