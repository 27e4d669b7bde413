"""Intervals resample whole rollouts within task, and tasks for wider claims; averages do not depend on blocks."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import measures as m

TASK = np.repeat([3, 8], 10)
VALUES = np.random.default_rng(0).normal(size=20) + np.repeat([0.0, 5.0], 10)


def test_the_interval_within_tasks_leaves_tasks_alone():
    """Resampling rollouts within two tasks far apart is far narrower than resampling the tasks too."""
    narrow = m.Resampling(TASK).estimate(VALUES)
    wide = m.Resampling(TASK, scope="beyond these tasks").estimate(VALUES)
    expected = np.sqrt(np.mean([VALUES[:10].var() / 10, VALUES[10:].var() / 10]) / 2) * 1.96
    assert narrow.high - narrow.value == pytest.approx(expected, rel=0.15)
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)
    assert narrow.low < narrow.value < narrow.high
    assert narrow.reliable
    assert narrow.rollouts == 20


def test_tasks_count_alike():
    """A task with more rollouts does not outweigh another."""
    got = m.Resampling(np.array([0, 0, 0, 1])).estimate(np.array([0.0, 0.0, 0.0, 1.0]))
    assert got.value == pytest.approx(0.5)


def test_too_few_rollouts_are_marked():
    """Fewer than ten rollouts a task are unreliable; one a task has no interval at all instead of one of width zero."""
    few = m.Resampling(np.repeat([0, 1], 9)).estimate(VALUES[:18])
    assert not few.reliable
    assert few.has_interval
    single = m.Resampling(np.arange(8)).estimate(VALUES[:8])
    assert not single.has_interval
    assert "no interval" in str(single)
    assert m.default_scope(np.arange(8)) == "beyond these tasks"
    assert m.Resampling(np.arange(8), scope="beyond these tasks").estimate(VALUES[:8]).has_interval


def test_absent_rollouts_are_left_out_of_value_and_baseline():
    """A rollout without a value is not a zero, and its baseline does not count either."""
    values, baseline = VALUES.copy(), np.ones(20)
    values[::2], baseline[::2] = np.nan, 99.0
    got = m.Resampling(TASK).estimate(values, baseline)
    assert got.value == pytest.approx(np.mean([np.nanmean(values[:10]), np.nanmean(values[10:])]))
    assert got.baseline == pytest.approx(1)
    assert got.rollouts == 10


def test_cells_have_their_own_intervals():
    """An interval a layer and head is the interval of that head's values."""
    many = np.stack([VALUES, 2 * VALUES], axis=1)
    got = m.Resampling(TASK).interval(many)
    one = m.Resampling(TASK).estimate(VALUES)
    assert (got.low[0], got.high[0]) == pytest.approx((one.low, one.high))
    assert got.high[1] == pytest.approx(2 * one.high)
    with pytest.raises(m.NotMeasurableError, match="20 rollouts"):
        m.Resampling(TASK).interval(VALUES[:3])


def test_means_do_not_depend_on_blocks():
    """Streaming over pieces gives what the whole gives, NaN and left-out steps not counted."""
    values = np.random.default_rng(1).normal(size=(30, 2, 3))
    values[4:9, 0] = np.nan
    where = np.arange(30)[:, None] + np.array([0, 1]) > 10
    whole, pieces = m.RolloutMean(), m.RolloutMean()
    whole.add(values, where)
    for a in range(0, 30, 7):
        pieces.add(values[a : a + 7], where[a : a + 7])
    assert np.allclose(pieces.mean, whole.mean)
    assert np.allclose(whole.mean[1], values[10:, 1].mean(axis=0))
    assert whole.count[0].tolist() == [19] * 3
    with pytest.raises(m.NotMeasurableError):
        _ = m.RolloutMean().mean


def test_phases_by_return_follow_the_return():
    """Low returns are early whenever they come; a rollout that never varies has no phases."""
    phase = m.phases_by_return(np.array([[9.0, 1, 5, 5, 0, 8], [2, 2, 2, 2, 2, 2]]))
    assert phase[0].tolist() == [m.LATE, m.EARLY, m.NEITHER, m.NEITHER, m.EARLY, m.LATE]
    assert (phase[1] == m.NEITHER).all()


@pytest.mark.parametrize(("rollouts", "share"), [(12, 0.915), (50, 0.94)])
def test_the_interval_covers_less_than_it_says_of_few_rollouts(rollouts, share):
    """Of 12 rollouts a nominal 95 % interval holds the truth 91 to 92 times in 100, as its docstring and docs say."""
    drawn = np.random.default_rng(5).normal(size=(rollouts, 4000))
    got = m.Resampling(np.zeros(rollouts, int)).interval(drawn)
    covered = ((got.low < 0) & (got.high > 0)).mean()
    assert covered == pytest.approx(share, abs=0.015)
