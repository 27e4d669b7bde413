"""The vectorised Darkroom against the single one, in every autoreset mode."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope_env import DarkroomEnv, DarkroomVectorEnv, terminal_observations
from attnscope_env.rooms.registration import DARKROOM_ID


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@settings(max_examples=15)
@given(data=st.data())
def test_steps_like_gymnasiums_vectorisation_of_the_single_room(single_rooms, assert_twins, mode, data):
    """Observations, rewards, flags and infos are those of SyncVectorEnv, step by step."""
    size = data.draw(st.integers(2, 9))
    cell = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    goals = data.draw(st.lists(cell, min_size=1, max_size=5))
    kwargs = {"size": size, "actions": data.draw(st.sampled_from(["reference", "toymeta"])), "start": data.draw(cell)}
    horizon = data.draw(st.integers(1, 5))
    ours = DarkroomVectorEnv(goals, horizon=horizon, autoreset_mode=mode, **kwargs)
    theirs = single_rooms(DarkroomEnv, [{"goal": goal} for goal in goals], mode, horizon, **kwargs)
    actions = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 5, (13, len(goals)))
    assert_twins(ours, theirs, actions)


def test_drawn_goals_are_those_of_the_single_room(assert_same):
    """Without goals, rooms seeded s, s+1, … draw what single rooms with those seeds draw."""
    ours = gymnasium.make_vec(DARKROOM_ID, 4, vectorization_mode="vector_entry_point")
    theirs = gymnasium.make_vec(DARKROOM_ID, 4, vectorization_mode="sync")
    for seed in (5, None, [1, None, 3, 4]):
        assert_same(ours.reset(seed=seed)[1], theirs.reset(seed=seed)[1])


@pytest.mark.parametrize("horizon", [1, 20])
def test_an_episode_adds_exactly_its_horizon(horizon):
    """In SAME_STEP mode every step is a transition: truncation comes every `horizon` steps, never an idle step."""
    environment = DarkroomVectorEnv([(5, 4), (0, 0)], horizon=horizon)
    environment.reset()
    ended = [bool(environment.step(np.array([0, 1]))[3].all()) for _ in range(3 * horizon)]
    assert [step + 1 for step, end in enumerate(ended) if end] == [horizon, 2 * horizon, 3 * horizon]


def test_terminal_cell_is_the_next_state_and_the_reset_cell_the_next_query():
    """At an episode's end s' is where the walk ended, while the observation is the start."""
    environment = DarkroomVectorEnv([(5, 4), (0, 0)], horizon=2)
    observation, infos = environment.reset()
    assert terminal_observations(observation, infos) is observation
    environment.step(np.array([0, 3]))
    observation, _, _, truncated, infos = environment.step(np.array([0, 3]))
    assert truncated.all()
    assert observation.tolist() == [[4, 4], [4, 4]]
    assert terminal_observations(observation, infos).tolist() == [[6, 4], [4, 2]]


def test_make_vec_builds_the_arrays_first():
    """gymnasium.make_vec takes an array of goals, a horizon and an autoreset mode, and uses our twin by default."""
    goals = np.array([[5, 4], [0, 0], [8, 8]])
    environment = gymnasium.make_vec(DARKROOM_ID, 3, goals=goals, max_episode_steps=7, autoreset_mode="NextStep")
    assert isinstance(environment, DarkroomVectorEnv)
    assert environment.horizon == 7
    assert environment.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    np.testing.assert_array_equal(environment.goals, goals)
    default = gymnasium.make_vec(DARKROOM_ID, 3, vectorization_mode="vector_entry_point", goal=(1, 2))
    assert default.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert default.horizon == 20
    assert default.goals.tolist() == [[1, 2]] * 3


def test_returned_arrays_are_the_callers():
    """Writing into what a step returned changes nothing in the room."""
    environment = DarkroomVectorEnv([(5, 4)], horizon=3)
    observation, _ = environment.reset()
    observation[:] = 0
    assert environment.step(np.array([4]))[0].tolist() == [[4, 4]]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"goals": None}, "goals or num_envs"),
        ({"goals": [(0, 0)], "num_envs": 2}, "goals for 2 rooms"),
        ({"goals": [], "num_envs": None}, "integer|at least one"),
        ({"goals": [(0, 9)]}, "inside a room"),
        ({"goals": [(0, 0)], "horizon": 0}, "horizon of at least 1"),
    ],
)
def test_impossible_batches_are_refused(arguments, reason):
    """A batch without rooms, with other goals than rooms or without steps is refused."""
    with pytest.raises(ValueError, match=reason):
        DarkroomVectorEnv(**arguments)


def test_impossible_steps_are_refused():
    """Wrong shapes, dtypes and ranges of actions, masks and seeds are refused, and steps before a draw."""
    environment = DarkroomVectorEnv([(0, 0), (1, 1)])
    environment.reset()
    for actions in (np.zeros(3, int), np.zeros(2), np.array([0, 5])):
        with pytest.raises(ValueError, match="expected"):
            environment.step(actions)
    for mask in ([True], [0, 1], [False, False]):
        with pytest.raises(ValueError, match="reset_mask"):
            environment.reset(options={"reset_mask": np.array(mask)})
    with pytest.raises(ValueError, match="2 seeds"):
        environment.reset(seed=[1])
    with pytest.raises(gymnasium.error.ResetNeeded):
        DarkroomVectorEnv(num_envs=1).step(np.array([0]))


def test_a_room_that_ended_waits_for_its_reset_when_autoreset_is_disabled():
    """In DISABLED mode stepping past the end is an error, not a silent restart."""
    environment = DarkroomVectorEnv([(0, 0)], horizon=1, autoreset_mode=AutoresetMode.DISABLED)
    environment.reset()
    environment.step(np.array([0]))
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0\]"):
        environment.step(np.array([0]))


def test_rooms_can_be_taken_elsewhere_as_arrays():
    """A twin on a device begins from the rooms as they stand, in cells and moves."""
    environment = DarkroomVectorEnv([(5, 4), (0, 0)], horizon=3, size=9, start=(4, 4))
    environment.reset()
    environment.step(np.array([0, 3]))
    state = environment.rooms()
    assert (state.size, state.horizon, state.elapsed.tolist()) == (9, 3, [1, 1])
    assert (state.start.tolist(), state.cells.tolist()) == ([4, 4], [[5, 4], [4, 3]])
    assert state.goals.tolist() == [[5, 4], [0, 0]]
    assert state.moves.tolist() == [[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]]
