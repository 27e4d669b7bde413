"""Episodes, live decisions and the draw of decisions, on histories small enough to count."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_server.screening.decisions import chosen_rollouts, chosen_steps
from attnscope_server.screening.episodes import episodes_of

REWARD = np.array([[0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0]], np.float32)
ENDED = np.array([[0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]], bool)


def test_decisions_are_placed_in_their_episodes():
    """Two whole episodes of five decisions and the beginning of a third."""
    found = episodes_of(REWARD, ENDED, None)
    assert found.number.tolist() == [[0] * 5 + [1] * 5 + [2]]
    assert found.count.tolist() == [3]
    assert found.live.all()
    assert found.live_each.tolist() == [5.0]


def test_nothing_is_live_once_no_reward_can_follow():
    """An environment that gives two rewards an episode: the fifth decision of the first episode is not live."""
    found = episodes_of(REWARD, ENDED, 2)
    assert found.live.tolist() == [[1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]]
    assert found.live_each.tolist() == [4.5]


def test_rewards_that_follow_and_rewards_that_came():
    """A decision's own reward follows it; what came in an earlier episode was found."""
    found = episodes_of(REWARD, ENDED, None)
    assert found.follows.tolist() == [[1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0]]
    assert found.found.tolist() == [[0, 0] + [1] * 9]


def test_a_rollout_without_an_end_is_one_episode():
    """Continuing tasks count the whole rollout."""
    found = episodes_of(REWARD, np.zeros_like(ENDED), None)
    assert found.live_each.tolist() == [11.0]
    assert found.count.tolist() == [1]


def test_decisions_are_spread_over_time():
    """One in each of as many equal stretches, the same for the same seed and rollout, whatever others are judged."""
    steps = chosen_steps(400, np.arange(32), 512, seed=1)
    assert steps.shape == (32, 16)
    assert (steps // 25 == np.arange(16)).all()
    assert np.array_equal(chosen_steps(400, np.array([5, 7]), 32, seed=1), steps[[5, 7]])
    assert not np.array_equal(chosen_steps(400, np.arange(32), 512, seed=2), steps)
    assert chosen_steps(4, np.arange(2), 512, seed=0).tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize(("tasks", "replicas", "chosen"), [(8, 4, 32), (4, 100, 64), (100, 1, 64)])
def test_rollouts_are_spread_over_tasks(tasks, replicas, chosen):
    """With more rollouts than 512 decisions allow, tasks give in turns."""
    task = np.repeat(np.arange(tasks), replicas)
    found = chosen_rollouts(task, 512)
    assert len(found) == chosen
    counts = np.bincount(task[found], minlength=tasks)
    assert counts.max() - counts.min() <= 1
    assert (np.diff(found) > 0).all()
