"""Dark key-to-door: the single room against its description, the array-stepped one against the single room."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_env import DarkKeyToDoorEnv, DarkKeyToDoorVectorEnv
from attnscope_env.rooms.registration import KEY_TO_DOOR_ID

DOWN, UP, RIGHT, LEFT, STAY = range(5)


@pytest.mark.parametrize("kwargs", [{}, {"key": (5, 4), "door": (0, 0)}, {"size": 5, "actions": "toymeta"}])
def test_gymnasium_checker_finds_nothing(kwargs):
    """check_env raises no error and, warnings being errors here, gives no warning."""
    check_env(gymnasium.make(KEY_TO_DOOR_ID, **kwargs).unwrapped, skip_render_check=True)


@pytest.mark.parametrize(
    ("key", "door", "actions", "rewards"),
    [
        ((5, 4), (5, 5), [DOWN, RIGHT, LEFT, RIGHT], [1, 1, 0, 0]),
        ((5, 4), (4, 5), [RIGHT, LEFT, DOWN, UP, RIGHT], [0, 0, 1, 0, 1]),
        ((5, 4), (5, 4), [DOWN, STAY, STAY], [1, 1, 0]),
        ((4, 4), (4, 4), [STAY, STAY, STAY], [1, 1, 0]),
        ((4, 4), (4, 4), [DOWN, UP, DOWN, UP], [0, 1, 0, 1]),
    ],
    ids=["key then door", "door without key", "same cell", "stands on both", "walks off first"],
)
def test_key_and_door_count_once_and_in_this_order(key, door, actions, rewards):
    """The first step on the key pays, the first later step on the door pays, and nothing else does."""
    room = DarkKeyToDoorEnv(key=key, door=door)
    room.reset()
    assert [room.step(action)[1] for action in actions] == rewards


def test_an_episode_forgets_the_key():
    """After a reset the key must be found again; whether it is held is not observed, but told in the infos."""
    room = DarkKeyToDoorEnv(key=(5, 4), door=(5, 5))
    for _ in range(2):
        observation, info = room.reset()
        assert (observation.tolist(), info["has_key"], info["success"]) == ([4, 4], False, False)
        assert room.step(DOWN)[4]["has_key"]
        assert room.step(RIGHT)[4]["success"]


def test_time_limit_truncates_and_nothing_terminates():
    """An episode is 50 steps, whatever was found."""
    room = gymnasium.make(KEY_TO_DOOR_ID, key=(4, 4), door=(4, 4))
    room.reset(seed=0)
    assert [room.step(STAY)[2:4] for _ in range(50)] == [(False, False)] * 49 + [(False, True)]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@settings(max_examples=15)
@given(data=st.data())
def test_steps_like_gymnasiums_vectorisation_of_the_single_room(single_rooms, assert_twins, mode, data):
    """Observations, rewards, flags and infos are those of SyncVectorEnv, step by step."""
    size = data.draw(st.integers(2, 4))
    cell = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    tasks = data.draw(st.lists(st.fixed_dictionaries({"key": cell, "door": cell}), min_size=1, max_size=5))
    kwargs = {"size": size, "start": data.draw(cell)}
    horizon = data.draw(st.integers(1, 9))
    keys, doors = ([task[what] for task in tasks] for what in ("key", "door"))
    ours = DarkKeyToDoorVectorEnv(keys, doors, horizon=horizon, autoreset_mode=mode, **kwargs)
    actions = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 5, (20, len(tasks)))
    assert_twins(ours, single_rooms(DarkKeyToDoorEnv, tasks, mode, horizon, **kwargs), actions)


@pytest.mark.parametrize("named", [{}, {"key": (1, 2)}, {"door": (1, 2)}])
def test_drawn_cells_are_those_of_the_single_room(assert_same, named):
    """Unnamed cells are drawn: rooms seeded s, s+1, … draw as single rooms with those seeds do."""
    ours = gymnasium.make_vec(KEY_TO_DOOR_ID, 4, vectorization_mode="vector_entry_point", **named)
    theirs = gymnasium.make_vec(KEY_TO_DOOR_ID, 4, vectorization_mode="sync", **named)
    for seed in (5, None, [1, None, 3, 4]):
        assert_same(ours.reset(seed=seed)[1], theirs.reset(seed=seed)[1])


def test_options_name_key_and_door(assert_same):
    """A reset's options replace key and door for good, for one room or for each."""
    options = {"key": (1, 1), "door": [(0, 0), (2, 2)]}
    environment = DarkKeyToDoorVectorEnv([(3, 3)] * 2, [(4, 4)] * 2)
    environment.reset(options=options)
    assert (environment.keys.tolist(), environment.doors.tolist()) == ([[1, 1], [1, 1]], [[0, 0], [2, 2]])
    single = DarkKeyToDoorEnv(key=(3, 3), door=(4, 4))
    single.reset(options={"key": (1, 1), "door": (2, 2)})
    assert_same(single.reset(seed=3)[1]["door"], environment.doors[1])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "keys and doors or num_envs"),
        ({"keys": [(0, 0)], "doors": [(0, 0), (1, 1)]}, "for 1 rooms, got 2"),
        ({"keys": [(0, 9)], "doors": [(0, 0)]}, "keys inside a room"),
    ],
)
def test_impossible_batches_are_refused(arguments, reason):
    """A batch without rooms, with unequal lists or with a cell outside is refused."""
    with pytest.raises(ValueError, match=reason):
        DarkKeyToDoorVectorEnv(**arguments)


def test_a_step_before_the_draw_is_refused():
    """Rooms whose key or door is not drawn yet cannot be stepped."""
    with pytest.raises(gymnasium.error.ResetNeeded):
        DarkKeyToDoorEnv(key=(1, 1)).step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        DarkKeyToDoorVectorEnv(keys=[(1, 1)]).step(np.array([0]))
