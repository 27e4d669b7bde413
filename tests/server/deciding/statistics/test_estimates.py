"""Estimates: Student's test of paired differences, its degrees of freedom, and its guard against skewness."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from attnscope_server.deciding.statistics.estimates import PairedReturns, difference, estimate, gain
from attnscope_server.deciding.statistics.look_plans import Reach


def returns(generator, tasks=8, seeds=10, error=None):
    """Paired returns of noise around a gain of 10."""
    base = 1 + 10 + generator.standard_normal((tasks, seeds))
    arm = base - 0.3 + generator.standard_normal((tasks, seeds))
    return PairedReturns(arm, base, np.ones(tasks), error)


def test_named_tasks_weigh_their_own_variances():
    """The error of named tasks is the root of their summed variances, and unequal ones cost degrees of freedom."""
    values = np.random.default_rng(1).standard_normal((3, 6)) * np.array([[1], [1], [8]])
    found = estimate(values, Reach.THESE)
    variances = values.var(1, ddof=1) / 6
    assert found.error == pytest.approx(np.sqrt(variances.sum()) / 3)
    assert found.freedom == pytest.approx(variances.sum() ** 2 / (variances**2 / 5).sum())
    assert found.freedom < 7


def test_one_task_is_students_test():
    """With one task the ratio is the one-sample test's, where the guard does not act."""
    values = np.array([[1.0, 2, 3, 4, 5, 6]]) - 2
    found = estimate(values, Reach.THESE)
    wanted = stats.ttest_1samp(values[0], 0)
    assert float(found.mean / found.error) == pytest.approx(wanted.statistic)
    assert float(found.score) == pytest.approx(stats.norm.isf(wanted.pvalue / 2))


def test_beyond_tasks_is_students_test_of_task_means():
    """Beyond named tasks the sample is the means of tasks."""
    values = np.random.default_rng(2).standard_normal((8, 5)) + 1
    found = estimate(values, Reach.BEYOND)
    wanted = stats.ttest_1samp(values.mean(1), 0)
    assert float(found.mean / found.error) == pytest.approx(wanted.statistic)
    assert found.freedom == 7


def test_a_sampled_random_return_adds_its_variance():
    """A random return with an error widens the difference by the margin's square times its variance."""
    error = np.full(8, 0.5)
    exact = difference(returns(np.random.default_rng(3)), 0.05, Reach.THESE)
    sampled = difference(returns(np.random.default_rng(3), error=error), 0.05, Reach.THESE)
    assert sampled.error**2 - exact.error**2 == pytest.approx(0.05**2 * 0.5**2 / 8)
    beyond = [difference(returns(np.random.default_rng(3), error=e), 0.05, Reach.BEYOND).error for e in (None, error)]
    assert beyond[0] == beyond[1]


def test_the_difference_is_the_kept_share_above_the_margin():
    """The mean difference is (kept − (1 − margin)) × gain."""
    paired = returns(np.random.default_rng(4))
    share = (paired.compressed - 1).mean() / (paired.uncompressed - 1).mean()
    found, whole = difference(paired, 0.05, Reach.THESE), gain(paired, Reach.THESE)
    assert found.mean == pytest.approx((share - 0.95) * whole.mean)


def test_skewness_is_only_used_against_a_verdict():
    """A long tail of losses shrinks a good ratio; a long tail of gains leaves it as it is."""
    tail = 1 - np.random.default_rng(5).standard_exponential((1, 40)) + 0.5
    losing, gaining = estimate(tail, Reach.THESE), estimate(-tail + 1.2, Reach.THESE)
    assert losing.skewness < 0 < losing.ratio < losing.mean / losing.error
    assert gaining.skewness > 0
    assert gaining.ratio == pytest.approx(float(gaining.mean / gaining.error))


def test_the_guard_holds_the_error_of_skewed_rollouts():
    """At the last bound of one task with 40 exponential losses, Student errs 6.7 %, the guarded ratio under 4 %."""
    draws = 1 - np.random.default_rng(6).standard_exponential((20_000, 1, 40))
    found = estimate(draws, Reach.THESE)
    plain = stats.t.sf(found.mean / found.error, found.freedom) < stats.norm.sf(1.9776)
    assert plain.mean() > 0.055
    assert (found.score > 1.9776).mean() < 0.04


def test_equal_rollouts_give_no_score():
    """If nothing varies, there is no test: the score is not a number."""
    paired = PairedReturns(np.full((4, 5), 3.0), np.full((4, 5), 3.0), np.zeros(4))
    assert np.isnan(difference(paired, 0.05, Reach.THESE).score)


def test_unpaired_or_missing_rollouts_are_refused():
    """Arrays of unequal shape, a missing rollout and too few seeds are errors, never zeros."""
    # The annotations refuse unequal shapes only under the tests' import hook; the check itself is called here.
    unequal = SimpleNamespace(compressed=np.ones((4, 5)), uncompressed=np.ones((4, 6)), random=np.zeros(4))
    with pytest.raises(ValueError, match="equal shapes"):
        PairedReturns.__post_init__(unequal)
    with pytest.raises(ValueError, match="finite return"):
        PairedReturns(np.full((4, 5), np.nan), np.ones((4, 5)), np.zeros(4))
    with pytest.raises(ValueError, match="one random return a task"):
        PairedReturns.__post_init__(
            SimpleNamespace(**{**vars(unequal), "uncompressed": np.ones((4, 5)), "random": np.zeros(5)})
        )
    with pytest.raises(ValueError, match="two seeds"):
        estimate(np.ones((4, 1)), Reach.THESE)
    with pytest.raises(ValueError, match="two tasks"):
        estimate(np.ones((1, 5)), Reach.BEYOND)
