"""Bandits: single and array-stepped ones, their noise, their tasks and returns."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_env import BanditEnv, BanditVectorEnv, preset
from attnscope_env.rooms.noise import normals, uniforms
from attnscope_env.rooms.registration import BANDIT_ID


@pytest.mark.parametrize("kwargs", [{}, {"reward": "gaussian", "arms": 3}, {"means": (0, 0.5, 1), "arms": 3}])
def test_gymnasium_checker_finds_nothing(kwargs):
    """check_env raises no error and, warnings being errors here, gives no warning."""
    check_env(gymnasium.make(BANDIT_ID, **kwargs).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("reward", ["bernoulli", "gaussian"])
@settings(max_examples=8)
@given(data=st.data())
def test_steps_like_gymnasiums_vectorisation_of_the_single_bandit(single_rooms, assert_twins, mode, reward, data):
    """Rewards, noise and all, flags and infos are those of SyncVectorEnv, to the last bit."""
    probability = st.floats(0, 1)
    means = data.draw(st.lists(st.tuples(probability, probability, probability), min_size=1, max_size=5))
    horizon = data.draw(st.integers(1, 9))
    kwargs = {"reward": reward, "arms": 3}
    ours = BanditVectorEnv(means, horizon=horizon, autoreset_mode=mode, **kwargs)
    actions = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 3, (20, len(means)))
    theirs = single_rooms(BanditEnv, [{"means": arms} for arms in means], mode, horizon, **kwargs)
    assert_twins(ours, theirs, actions, seed=data.draw(st.integers(0, 2**40)))


def test_drawn_means_are_those_of_the_single_bandit(assert_same):
    """Without means, bandits seeded s, s+1, … draw what single bandits with those seeds draw."""
    ours = gymnasium.make_vec(BANDIT_ID, 4, vectorization_mode="vector_entry_point")
    theirs = gymnasium.make_vec(BANDIT_ID, 4, vectorization_mode="sync")
    for seed in (5, None, [1, None, 3, 4]):
        assert_same(ours.reset(seed=seed)[1], theirs.reset(seed=seed)[1])


def test_a_seed_restarts_the_noise_and_an_episode_does_not():
    """The same seed pays the same rewards; a second episode pays others; neighbours are independent."""
    environment = BanditVectorEnv([[0.5] * 2] * 2, arms=2, reward="gaussian", horizon=4)
    runs = []
    for _ in range(2):
        environment.reset(seed=[7, 8])
        runs.append(np.array([environment.step(np.zeros(2, int))[1] for _ in range(8)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.isclose(runs[0][:4], runs[0][4:]).any()
    assert not np.isclose(runs[0][:, 0], runs[0][:, 1]).any()


def test_noise_is_uniform_and_normal():
    """Mean, spread and neighbours' correlation of a hundred thousand draws are those of the distributions."""
    keys, draws = np.meshgrid(np.arange(100, dtype=np.uint64), np.arange(1000), indexing="ij")
    for numbers, mean, deviation in (
        (uniforms(keys.ravel(), draws.ravel()), 0.5, np.sqrt(1 / 12)),
        (normals(keys.ravel(), draws.ravel()), 0.0, 1.0),
    ):
        grid = numbers.reshape(100, 1000)
        assert abs(numbers.mean() - mean) < 4 * deviation / np.sqrt(numbers.size)
        assert numbers.std() == pytest.approx(deviation, rel=0.01)
        for one, other in ((grid[:-1], grid[1:]), (grid[:, :-1], grid[:, 1:])):
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.015
    assert np.isfinite(normals(keys.ravel(), draws.ravel())).all()


def test_tasks_are_the_same_everywhere():
    """Task i has its own means in [0, 1], whatever the rewards are; splits are 900 and 100."""
    bernoulli, gaussian = preset("bandit-bernoulli"), preset("bandit-gaussian")
    assert bernoulli.task(17).parameters == gaussian.task(17).parameters
    assert bernoulli.task_counts == {"train": 900, "validation": 0, "test": 100}
    means = np.array([task.parameters["means"] for task in bernoulli.tasks("all")])
    assert means.shape == (1000, 5)
    assert len(np.unique(means)) == 5000
    assert means.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["bandit-bernoulli", "bandit-gaussian"])
def test_returns_are_what_pulls_pay(name):
    """The best arm pays the optimal return and uniform pulls the random one, within four standard errors."""
    chosen = preset(name)
    tasks = chosen.tasks("test")
    best = np.array([np.argmax(task.parameters["means"]) for task in tasks])
    numbers = np.random.default_rng(0)
    for choose, expected in (
        (lambda: best, [task.optimal_return for task in tasks]),
        (lambda: numbers.integers(0, 5, len(tasks)), [task.random_return for task in tasks]),
    ):
        environment = chosen.make_vector(tasks)
        environment.reset(seed=0)
        steps = [environment.step(choose()) for _ in range(500)]
        difference = sum(step[1] for step in steps) - np.array(expected)
        assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(tasks))
        assert [bool(step[3].all()) for step in steps] == [False] * 499 + [True]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"means": [0.5] * 4}, "means of 5 arms"),
        ({"means": [0.5] * 4 + [1.5]}, "probabilities"),
        ({"means": [0.5] * 4 + [np.nan], "reward": "gaussian"}, "finite numbers"),
        ({"arms": 0}, "at least one arm"),
        ({"reward": "cauchy"}, "bernoulli"),
        ({"variance": -1.0}, "variance"),
    ],
)
def test_impossible_bandits_are_refused(arguments, reason):
    """Means, arms and rewards that cannot be are refused with what was expected."""
    with pytest.raises(ValueError, match=reason):
        BanditEnv(**arguments)


def test_goals_name_no_bandit():
    """A bandit has no cells to be named by."""
    with pytest.raises(ValueError, match="split and indices"):
        preset("bandit-bernoulli").task_of_goal((1, 2))


def test_a_pull_before_the_draw_is_refused():
    """Named means alone are not enough: the noise comes from a reset."""
    with pytest.raises(gymnasium.error.ResetNeeded):
        BanditEnv(means=[0.5] * 5).step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        BanditVectorEnv(num_envs=1).step(np.array([0]))
