"""The gate."""

import numpy as np
import pytest
from benchmarks.calibration.gates import SHAPES, passed, passed_in_room
from scipy import stats

from attnscope_server.deciding.statistics.gate import gate

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


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gate_seldom_tells_random_actions_from_random(shape):
    """Whatever the shape of late returns, under 4.5 % open the gate and under 4.5 % are called worse than random."""
    found = passed(SHAPES[shape], 1_500, seed=3)
    assert found.better < (0.03 if shape == "normal" else 0.045)
    assert found.worse < 0.045
    assert found.better > 0.001, "a gate that never speaks would pass this test too"


@pytest.mark.parametrize(("preset", "episodes"), [("darkroom-reference", 9), ("key-to-door", 7)])
def test_uniform_actions_in_a_room_are_random(preset, episodes):
    """Rollouts of uniform actions against the declared random return, late episodes of 4 tasks × 8 seeds."""
    found = passed_in_room(preset, episodes, 300, seed=4)
    assert found.better < 0.045
    assert found.worse < 0.045


def test_students_interval_alone_would_pass_skewed_returns():
    """Without the correction a policy whose rare losses were missed would pass more than twice as often as is said."""
    generator = np.random.default_rng(3)
    gates = [
        gate(1 + SHAPES["exponential losses"](generator, (4, 8)), RANDOM, np.ones((4, 8), bool)) for _ in range(1_500)
    ]
    assert np.mean([g.low > 0 for g in gates]) > 0.045
    late = next(g for g in gates if g.low > 0 and not g.learns)
    assert late.sentence.endswith("its returns are too skewed.")


def test_a_policy_worse_than_random_is_told_so():
    """An interval below zero is a word of its own; rollouts that never earn are none, as random ones may not either."""
    generator = np.random.default_rng(5)
    found = gate(generator.standard_normal((4, 8)) - 2, RANDOM, np.ones((4, 8), bool))
    assert found.worse
    assert found.sentence.startswith("The policy acts worse than random here")
    silent = gate(np.zeros((4, 8)), RANDOM * 0.01, np.zeros((4, 8), bool))
    assert not silent.worse
    assert not silent.learns
