"""The gate."""

import numpy as np
import pytest
from scipy import stats

from attnscope_server.deciding.gate import gate

RANDOM = np.ones(4)


def test_a_policy_above_random_passes_and_may_be_ranked():
    """A late return well above random with nine of ten rollouts earning lets the screen rank."""
    late = 5 + np.random.default_rng(1).standard_normal((4, 5))
    found = gate(late, RANDOM, np.arange(20).reshape(4, 5) > 1)
    assert found.learns
    assert found.screen_ranks
    assert found.sentence.endswith("90% of the rollouts earn.")


def test_few_earning_rollouts_forbid_a_ranking():
    """Under 80 % earning rollouts, the screen ranks nothing and the race decides."""
    late = 5 + np.random.default_rng(1).standard_normal((4, 5))
    found = gate(late, RANDOM, np.arange(20).reshape(4, 5) > 4)
    assert found.learns
    assert not found.screen_ranks
    assert "the race decides" in found.sentence


def test_random_actions_do_not_pass():
    """A policy that acts at random passes in 2.5 % of cases, and the sentence says that nothing is to compress."""
    generator = np.random.default_rng(2)
    gates = [gate(1 + generator.standard_normal((4, 5)), RANDOM, np.ones((4, 5), bool)) for _ in range(400)]
    assert np.mean([g.learns for g in gates]) < 0.05
    closed = next(g for g in gates if not g.learns)
    assert "nothing to compress" in closed.sentence
    assert not closed.screen_ranks


def test_the_interval_is_students_and_holds_the_error_of_random():
    """The interval of one task is Student's; a sampled random return widens it."""
    late = np.array([[2.0, 3, 4, 5, 6]])
    found = gate(late, np.ones(1), np.ones((1, 5), bool))
    wanted = stats.ttest_1samp(late[0] - 1, 0).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx(list(wanted))
    assert gate(late, np.ones(1), np.ones((1, 5), bool), np.ones(1)).low < found.low
