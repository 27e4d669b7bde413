"""The scalar Darkroom against Gymnasium's checker and the description of the room."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from attnscope_env import DarkroomEnv
from attnscope_env.rooms.registration import DARKROOM_ID, register


@pytest.mark.parametrize("kwargs", [{}, {"goal": (5, 4)}, {"size": 5, "actions": "toymeta", "start": (0, 0)}])
def test_gymnasium_checker_finds_nothing(kwargs):
    """check_env raises no error and, warnings being errors here, gives no warning; there is nothing to render."""
    check_env(gymnasium.make(DARKROOM_ID, **kwargs).unwrapped, skip_render_check=True)


def test_registering_twice_is_harmless():
    """A second registration neither warns nor replaces the first."""
    before = gymnasium.spec(DARKROOM_ID)
    register()
    assert gymnasium.spec(DARKROOM_ID) is before


def test_time_limit_truncates_and_nothing_terminates():
    """An episode is 20 steps and ends truncated, also on the goal."""
    environment = gymnasium.make(DARKROOM_ID, goal=(4, 4))
    environment.reset(seed=0)
    flags = [environment.step(4)[1:4] for _ in range(20)]
    assert flags == [(1.0, False, False)] * 19 + [(1.0, False, True)]


@pytest.mark.parametrize(
    ("actions", "moves"),
    [
        ("reference", [(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]),
        ("toymeta", [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)]),
    ],
)
def test_numberings_move_as_their_families_say(actions, moves):
    """Each number is the move that SPECS part B lists."""
    for action, move in enumerate(moves):
        environment = DarkroomEnv(goal=(0, 0), actions=actions)
        environment.reset()
        observation, *_ = environment.step(action)
        assert tuple(observation - 4) == move


def test_walls_clip():
    """Walking against a wall stays in place."""
    environment = DarkroomEnv(goal=(0, 0), size=3)
    environment.reset()
    cells = [tuple(environment.step(1)[0]) for _ in range(3)]
    assert cells == [(0, 1), (0, 1), (0, 1)]


def test_reward_counts_every_step_on_the_goal():
    """The reward is 1 for each step whose resulting cell is the goal."""
    environment = DarkroomEnv(goal=(5, 4))
    environment.reset()
    assert [environment.step(action)[1] for action in (4, 0, 4, 0, 1)] == [0.0, 1.0, 1.0, 0.0, 1.0]


def test_goal_stays_until_a_reset_names_another():
    """A named goal survives resets, seeded ones too; an option replaces it for good."""
    environment = DarkroomEnv(goal=(1, 2))
    assert environment.reset(seed=3)[1]["goal"].tolist() == [1, 2]
    assert environment.reset(options={"goal": (7, 8)})[1]["goal"].tolist() == [7, 8]
    assert environment.reset(seed=4)[1]["goal"].tolist() == [7, 8]


def test_drawn_goal_follows_the_seed_and_stays():
    """Without a goal a seed draws one, the same each time, and unseeded resets keep it."""
    environment = DarkroomEnv()
    drawn = [environment.reset(seed=seed)[1]["goal"].tolist() for seed in (0, 1, 2, 0)]
    assert drawn[0] == drawn[3]
    assert len({tuple(goal) for goal in drawn}) > 1
    assert environment.reset()[1]["goal"].tolist() == drawn[0]


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"goal": (9, 0)}, "inside a room of 9×9"),
        ({"actions": "other"}, "action numbering"),
        ({"start": (0, -1)}, "inside a room"),
    ],
)
def test_impossible_rooms_are_refused(kwargs, reason):
    """A cell outside the room, or no cell at all, is refused with what was expected."""
    with pytest.raises(ValueError, match=reason):
        DarkroomEnv(**kwargs)


@pytest.mark.parametrize("goal", [(0.5, 1.0), 3, "ab", (1, 2, 3), (0, 9), [(1, 2), (3, 4)]])
def test_options_that_are_no_cell_are_refused(goal):
    """A reset's options are untyped, so each goal is checked when it comes."""
    with pytest.raises(ValueError, match="expected goal"):
        DarkroomEnv(goal=(0, 0)).reset(options={"goal": goal})


def test_impossible_steps_are_refused():
    """An action beyond the numbering and a step before the first draw are refused."""
    with pytest.raises(ValueError, match="action below 5"):
        DarkroomEnv(goal=(0, 0)).step(5)
    with pytest.raises(gymnasium.error.ResetNeeded):
        DarkroomEnv().step(0)


def test_observations_are_int32_cells():
    """Observations have the dtype of their space, which the reference's room does not."""
    observation, _ = DarkroomEnv(goal=(0, 0)).reset()
    assert observation.dtype == np.int32
    assert observation.tolist() == [4, 4]
