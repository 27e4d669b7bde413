"""Crossing probabilities against the joint normal distribution and against simulated walks."""

import numpy as np
import pytest
from scipy import stats

from attnscope_server.deciding.statistics.crossing import crossing


def joint(fractions):
    """Joint normal distribution of the z values at every look."""
    at = np.asarray(fractions)
    return stats.multivariate_normal(
        cov=np.sqrt(np.minimum.outer(at, at) / np.maximum.outer(at, at)), abseps=1e-7, maxpts=2_000_000, seed=1
    )


def test_one_look_is_the_normal_tail():
    """A single look crosses with the tail of a normal variable, moved by the drift."""
    found = crossing([1.0], safe=[1.96], harm=[1.5], drift=0.7)
    assert found.safe[0] == pytest.approx(stats.norm.sf(1.96 - 0.7), abs=1e-12)
    assert found.harm[0] == pytest.approx(stats.norm.cdf(-1.5 - 0.7), abs=1e-12)


def test_three_looks_agree_with_the_joint_normal():
    """The integral over looks is the complement of the joint distribution function."""
    fractions, bounds = [0.2, 0.5, 1.0], [2.9, 2.3, 2.0]
    wanted = 1 - joint(fractions).cdf(bounds)
    assert crossing(fractions, safe=bounds).safe.sum() == pytest.approx(wanted, abs=2e-6)


def test_two_sides_agree_with_simulated_walks():
    """First crossings of both bounds have the frequencies of simulated walks, look by look."""
    fractions = np.array([0.125, 0.25, 0.5, 1.0])
    safe, harm, drift = np.array([4, 3, 2.2, 1.8]), np.array([2.0, 2.0, 2.0, 2.0]), 1.3
    steps = np.diff(fractions, prepend=0)
    draws = np.random.default_rng(5).standard_normal((200_000, 4)) * np.sqrt(steps) + drift * steps
    z = draws.cumsum(1) / np.sqrt(fractions)
    found, gone = crossing(fractions.tolist(), safe.tolist(), harm.tolist(), drift), np.zeros(len(z), dtype=bool)
    for look in range(4):
        up, down = ~gone & (z[:, look] > safe[look]), ~gone & (z[:, look] < -harm[look])
        assert found.safe[look] == pytest.approx(up.mean(), abs=0.004)
        assert found.harm[look] == pytest.approx(down.mean(), abs=0.004)
        gone |= up | down


def test_a_start_is_a_condition():
    """From an observed z value on, the last look is one conditional normal variable."""
    found = crossing([1.0], safe=[2.0], drift=1.0, start=(0.5, 1.2))
    middle = 1.2 * np.sqrt(0.5) + 1.0 * 0.5
    assert found.safe[0] == pytest.approx(stats.norm.sf((2.0 - middle) / np.sqrt(0.5)), abs=1e-12)


def test_information_must_grow():
    """Looks out of order are refused."""
    with pytest.raises(ValueError, match="must grow"):
        crossing([0.5, 0.4], safe=[2.0, 2.0])
