"""Measures of what latents hold: traced by hand, dead and duplicate ones, and a probe that knows chance."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.measures.latents import alikeness, attention_over_uniform, composed, dead, traced
from attnscope.measures.probing import probe


def test_generations_are_traced_as_by_hand():
    """Two latents over two transitions of two tokens, then over these latents and one more transition."""
    first = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.0, 0.25, 0.25]])
    second = np.array([[0.6, 0.1, 0.2, 0.1], [0.0, 1.0, 0.0, 0.0]])
    one, two = composed([first, second], [0, 2], tokens_per_transition=2)
    assert np.allclose(one, [[0.3, 0.7], [0.5, 0.5]])
    assert np.allclose(two, [[0.6 * 0.3 + 0.1 * 0.5, 0.6 * 0.7 + 0.1 * 0.5, 0.3], [0.5, 0.5, 0.0]])
    assert np.allclose(two.sum(axis=1), 1)
    reached, query = traced(np.array([0.5, 0.1, 0.05, 0.15, 0.2]), two, 2)
    assert np.allclose(reached[:3], 0.5 * two[0] + 0.1 * two[1])
    assert np.allclose(reached[3], 0.2)
    assert query == 0.2
    assert np.isclose(reached.sum() + query, 1)


@pytest.mark.parametrize("per", [1, 3])
def test_rows_sum_to_one_through_many_generations(per):
    """Of random attention, whatever the number of tokens of a transition."""
    random, maps = np.random.default_rng(4), []
    for number in range(12):
        weights = random.random((5, (0 if number == 0 else 5) + 4 * per))
        maps.append(weights / weights.sum(axis=1, keepdims=True))
    found = composed(maps, [0] + [5] * 11, per)
    assert [one.shape[1] for one in found] == [4 * (number + 1) for number in range(12)]
    assert all(np.allclose(one.sum(axis=1), 1) for one in found)


def test_a_latent_is_dead_where_no_head_looks_at_it():
    """One head that gives it a fifth of uniform attention keeps it alive."""
    rows = np.zeros((3, 2, 2, 6))
    rows[..., 0] = 0.5
    rows[:, 1, 1, 1] = 0.2 / 5
    over = attention_over_uniform(rows, 3, np.full(3, 5))
    assert np.allclose(over[1, 1], [2.5, 0.2, 0])
    assert dead(over).tolist() == [False, False, True]


def test_duplicates_and_constant_latents_are_told():
    """A scaled copy that looks at the same is a duplicate; one that never changes is constant, not a duplicate."""
    random = np.random.default_rng(1)
    histories = random.normal(size=(40, 4, 6))
    histories[:, 1] = 3 * histories[:, 0] + 7
    histories[:, 3] = random.normal(size=6)
    looked = np.array([[0.5, 0.5, 0], [0.48, 0.52, 0], [0, 0, 1], [0.5, 0.5, 0]])
    found = alikeness(histories, [looked, looked])
    assert found.duplicates == ((0, 1),)
    assert found.constant.tolist() == [False, False, False, True]
    assert np.isclose(found.looks[0, 1], 0.02)
    apart = alikeness(histories, [looked[[0, 2, 1, 3]]])
    assert apart.duplicates == ()


def test_few_histories_tell_nothing():
    """A correlation over seven histories is not told."""
    found = alikeness(np.random.default_rng(0).normal(size=(7, 2, 3)))
    assert np.isnan(found.variance).all()
    assert np.isnan(found.holds).all()
    assert found.duplicates == ()


@pytest.fixture(scope="module")
def tasks():
    """Return 16 tasks of three rollouts, and the goal of every rollout."""
    task = np.repeat(np.arange(16), 3)
    return task, np.random.default_rng(3).integers(0, 9, (16, 2))[task].astype(float)


def test_a_probe_reads_planted_goals(tasks):
    """Goals that are mixed linearly into many numbers are read on tasks that the probe was not fitted on."""
    task, goal = tasks
    random = np.random.default_rng(5)
    features = goal @ random.normal(size=(2, 60)) + 0.5 * random.normal(size=(48, 60))
    found = probe(features, goal, task, deals=60)
    assert found.explained > 0.8
    assert found.miss < 0.5 * found.miss_of_mean
    assert found.p == pytest.approx(1 / 61)
    assert found.explained > found.chance[1]
    assert "not told from chance" not in found.words


def test_a_probe_of_what_says_the_task_and_not_the_goal_is_at_chance(tasks):
    """Numbers of their own for each task tell rollouts apart, and nothing of tasks that were held out."""
    task, goal = tasks
    random = np.random.default_rng(6)
    features = random.normal(size=(16, 200))[task] + 0.01 * random.normal(size=(48, 200))
    found = probe(features, goal, task, deals=60)
    assert found.explained < 0.3
    assert found.p > 0.05
    assert found.words.endswith("it does not show that nothing is held")


@pytest.mark.slow
def test_a_probe_seldom_claims_what_is_not_there(tasks):
    """Of noise, about one in twenty is told from chance at most, over repeated draws."""
    task, goal = tasks
    random = np.random.default_rng(7)
    ps = [probe(random.normal(size=(48, 20)), goal, task, deals=19).p for _ in range(40)]
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 40)


def test_few_tasks_are_not_probed(tasks):
    """Seven tasks, or one goal for all, are no sample."""
    task, goal = tasks
    some = task < 7
    assert probe(goal[some], goal[some], task[some]) is None
    assert probe(goal, np.ones_like(goal), task) is None
