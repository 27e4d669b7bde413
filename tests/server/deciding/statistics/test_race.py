"""The race."""

import numpy as np
import pytest

from attnscope_server.deciding.statistics.race import front, opening, race

TRUTH = {f"arm {i}": -0.1 * i for i in range(9)}


def runner(seed, noise=0.3):
    """Rollouts with common noise: paired arms share the (task, seed) part."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal(512) * 3
    calls = []

    def roll_out(arms, first, last):
        calls.append((arms, first, last))
        own = noise * generator.standard_normal((len(arms), last - first))
        return np.array([[TRUTH[a]] for a in arms]) + common[first:last] + own

    return roll_out, calls


def test_rollouts_are_spent_on_the_arms_that_lead():
    """Arms are halved, pairs doubled, no pair is run twice; nine arms cost 112 rollouts, a grid would 288."""
    roll_out, calls = runner(1)
    found = race(list(TRUTH), roll_out)
    assert [(len(arms), first, last) for arms, first, last in calls] == [(9, 0, 4), (5, 4, 8), (3, 8, 16), (2, 16, 32)]
    assert found.rollouts == sum(len(a) * (b - f) for a, f, b in calls) == 112
    assert sorted(found.order) == sorted(TRUTH)


def test_the_best_arm_mostly_wins_in_spite_of_common_noise():
    """Noise that is ten times an arm's own, but common to all, does not matter; the winner's regret is small."""
    regret = [-TRUTH[race(list(TRUTH), runner(seed)[0]).order[0]] for seed in range(200)]
    assert np.mean(regret) < 0.06


def test_a_race_may_keep_several():
    """With `keep` three arms remain, in order."""
    found = race(list(TRUTH), runner(3, noise=0.01)[0], keep=3)
    assert found.order[:3] == ("arm 0", "arm 1", "arm 2")


def test_a_race_with_several_left_has_enough_pairs():
    """With two to remain the last duel is saved, but few arms still race to 16 pairs or to one."""
    roll_out, calls = runner(1)
    assert race(list(TRUTH), roll_out, keep=2).rollouts == 80
    assert [len(arms) for arms, _, _ in calls] == [9, 5, 3]
    roll_out, calls = runner(1)
    race(list(TRUTH)[:3], roll_out, keep=2)
    assert [(len(arms), first, last) for arms, first, last in calls] == [(3, 0, 4), (2, 4, 8)]


def test_a_race_needs_different_arms():
    """No arm, or one name twice, is refused."""
    for arms in ([], ["a", "a"]):
        with pytest.raises(ValueError, match="different names"):
            opening(arms)


def test_the_front_of_tokens_and_return():
    """An arm that keeps more and clearly returns less than another is left out; the front starts with most tokens."""
    common = np.random.default_rng(4).standard_normal(16) * 3
    noise = np.tile([0.1, -0.1], 8)
    assert front([64, 32, 16, 48], [common + 1.0, common + 0.9, common + 0.5, common + noise + 0.8]) == (0, 1, 2)
    assert front([64, 64], [common + 0.5, common + 0.6]) == (1,)


def test_noise_leaves_no_rung_out():
    """Two arms of equal worth are both rungs in nearly all races; by means alone one in two lost the larger."""
    generator = np.random.default_rng(5)
    fronts = [front([64, 32], list(generator.standard_normal((2, 16)))) for _ in range(400)]
    assert sum(found == (0, 1) for found in fronts) > 0.94 * 400


def test_a_race_of_one_rollout_beats_nobody():
    """One pair has no error, so it leaves no arm out."""
    assert front([64, 32], [np.array([0.0]), np.array([5.0])]) == (0, 1)
