"""Darkroom with permuted actions: single and array-stepped rooms, the published split, the returns."""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_env import DarkroomPermutedEnv, DarkroomPermutedVectorEnv, preset
from attnscope_env.rooms.actions import ACTION_NUMBERINGS
from attnscope_env.rooms.registration import PERMUTED_ID

TEST_IDS = [70, 51, 2, 8, 11, 19, 61, 50, 92, 13, 38, 30]


@pytest.mark.parametrize("kwargs", [{}, {"permutation": (4, 3, 2, 1, 0)}, {"size": 5, "actions": "toymeta"}])
def test_gymnasium_checker_finds_nothing(kwargs):
    """check_env raises no error and, warnings being errors here, gives no warning."""
    check_env(gymnasium.make(PERMUTED_ID, **kwargs).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("numbering", ["reference", "toymeta"])
def test_each_action_is_executed_as_the_permutation_says(numbering):
    """Action a makes the move of permutation[a], in either numbering."""
    moves = ACTION_NUMBERINGS[numbering].moves
    permutation = (2, 0, 4, 1, 3)
    for action, executed in enumerate(permutation):
        room = DarkroomPermutedEnv(permutation=permutation, actions=numbering)
        room.reset()
        expected = tuple(max(0, move) for move in moves[executed])
        assert tuple(room.step(action)[0]) == expected


def test_reward_is_at_the_far_corner():
    """Every step that ends on the last cell pays 1; an episode is 50 steps from the first cell."""
    room = gymnasium.make(PERMUTED_ID, permutation=(0, 1, 2, 3, 4))
    observation, _ = room.reset(seed=0)
    rewards, ends = zip(*[room.step(action)[1:4:2] for action in [0] * 8 + [2] * 8 + [4] * 34], strict=True)
    assert observation.tolist() == [0, 0]
    assert list(rewards) == [0] * 15 + [1] * 35
    assert list(ends) == [False] * 49 + [True]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@settings(max_examples=10)
@given(data=st.data())
def test_steps_like_gymnasiums_vectorisation_of_the_single_room(single_rooms, assert_twins, mode, data):
    """Observations, rewards, flags and infos are those of SyncVectorEnv, step by step."""
    permutations = data.draw(st.lists(st.permutations(range(5)), min_size=1, max_size=5))
    kwargs = {"size": data.draw(st.integers(2, 4)), "actions": data.draw(st.sampled_from(["reference", "toymeta"]))}
    horizon = data.draw(st.integers(1, 9))
    ours = DarkroomPermutedVectorEnv(permutations, horizon=horizon, autoreset_mode=mode, **kwargs)
    tasks = [{"permutation": tuple(permutation)} for permutation in permutations]
    actions = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 5, (20, len(tasks)))
    assert_twins(ours, single_rooms(DarkroomPermutedEnv, tasks, mode, horizon, **kwargs), actions)


def test_drawn_permutations_are_those_of_the_single_room(assert_same):
    """Without permutations, rooms seeded s, s+1, … draw what single rooms with those seeds draw."""
    ours = gymnasium.make_vec(PERMUTED_ID, 4, vectorization_mode="vector_entry_point")
    theirs = gymnasium.make_vec(PERMUTED_ID, 4, vectorization_mode="sync")
    for seed in (5, None, [1, None, 3, 4]):
        assert_same(ours.reset(seed=seed)[1], theirs.reset(seed=seed)[1])


def test_split_is_the_published_one():
    """108 train and 12 test permutations with the published numbers; a number is a place in itertools' order."""
    chosen = preset("darkroom-permuted")
    assert [task.index for task in chosen.tasks("test")] == TEST_IDS
    assert len(chosen.tasks("train")) == 108
    orders = list(itertools.permutations(range(5)))
    assert [task.parameters["permutation"] for task in chosen.tasks("all")] == orders
    assert chosen.task_of_goal(orders[70]).index == 70


def test_returns():
    """The optimum is 35 of 50 for every permutation; uniform actions stay uniform when permuted."""
    chosen = preset("darkroom-permuted")
    assert {task.optimal_return for task in chosen.tasks("all")} == {35.0}
    environment = chosen.make_vector(chosen.tasks("all") * 50)
    environment.reset(seed=0)
    numbers = np.random.default_rng(0)
    earned = sum(environment.step(numbers.integers(0, 5, environment.num_envs))[1] for _ in range(50))
    expected = chosen.task(0).random_return
    assert abs(earned.mean() - expected) < 4 * earned.std() / np.sqrt(len(earned))


@pytest.mark.parametrize("permutation", [(0, 1, 2, 3), (0, 1, 2, 3, 3), (0.0, 1, 2, 3, 4), 3, "abcde"])
def test_what_is_no_permutation_is_refused(permutation):
    """Constructors and resets check what they are given."""
    with pytest.raises(ValueError, match="permutation"):
        DarkroomPermutedEnv(permutation=permutation)
    with pytest.raises(ValueError, match="permutation"):
        DarkroomPermutedVectorEnv(num_envs=2).reset(options={"permutation": permutation})


def test_other_numbers_name_no_task():
    """A task of this preset is named by five numbers."""
    with pytest.raises(ValueError, match="permutation of 5 actions"):
        preset("darkroom-permuted").task_of_goal((5, 4))


def test_a_step_before_the_draw_is_refused():
    """Rooms whose permutation is not drawn yet cannot be stepped."""
    with pytest.raises(gymnasium.error.ResetNeeded):
        DarkroomPermutedEnv().step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        DarkroomPermutedVectorEnv(num_envs=1).step(np.array([0]))
