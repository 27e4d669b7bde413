"""Environments that the host steps: nothing is aliased, and a number that is not finite is named at its source."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from attnscope_env import EnvironmentUnusableError, GymnasiumEntry, Listings
from attnscope_model.errors import CaptureInvalidError
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.rooms import HostRooms

AXIS = EnvAxis(*(np.array(part) for part in ([4, 4], [7, 7], [0, 1], [-1, -1], [0, 0])))


class ReusedArrays(VectorEnv):
    """A vector environment that writes every step into the same arrays, which Gymnasium's own may be told to do."""

    num_envs = 2
    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - as Gymnasium has it
    single_action_space = spaces.Discrete(2)

    def __init__(self):
        self.observations, self.rewards = np.zeros((2, 1)), np.zeros(2)
        self.flags = np.zeros((2, 2), np.bool_)

    def reset(self, *, seed=None, options=None):  # noqa: ARG002 - Gymnasium's signature
        """Begin at the lowest bits of the seeds."""
        self.observations[:, 0] = [number % 100 for number in seed]
        return self.observations, {}

    def step(self, actions):
        """Count on; every second step truncates the first environment."""
        self.observations += 1
        self.rewards[:] = actions
        self.flags[1, 0] = not self.flags[1, 0]
        return self.observations, self.rewards, *self.flags, {}


def test_transitions_own_their_arrays():
    """The result of a step is the same after later steps, though the environment has overwritten its arrays."""
    rooms = HostRooms(ReusedArrays(), AXIS)
    begun = rooms.observation.copy()
    transitions = [rooms.step(np.array([step, -step])) for step in range(4)]
    for step, transition in enumerate(transitions):
        assert np.array_equal(transition.observation, begun + step)
        assert np.array_equal(transition.next_observation, begun + step + 1)
        assert transition.reward.tolist() == [step, -step]
        assert transition.truncated.tolist() == transition.ended.tolist() == [step % 2 == 0, False]
        assert transition.episode.tolist() == [(step + 1) // 2, 0]
    assert rooms.episode.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NanReward", r"field/NanReward-v0 gives the reward nan at step 2, in environment 0 \(task 4, seed 7"),
        ("NanObservation", r"NanObservation-v0 gives the observation \[5\.0, nan, 0\.0\] at step 4"),
        ("NanStart", r"NanStart-v0 gives the first observation \[inf, 0\.0, 0\.0\] at step 0"),
    ],
)
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_number_that_is_not_finite_is_named(name, words, vectorization):
    """The environment, the step, the value and the rollout stand in the error, for terminal observations too."""
    entry = GymnasiumEntry(
        id=f"field/{name}-v0",
        module="field_environments",
        horizon=100,
        actions=("a", "b", "c"),
        vectorization=vectorization,
    )
    chosen = Listings([entry]).preset(entry.preset_name)
    environment = chosen.make_vector([chosen.task(0)] * 2)

    def roll():
        rooms = HostRooms(environment, AXIS, entry.id)
        for _ in range(10):
            rooms.step(np.zeros(2, np.int64))

    with pytest.raises(EnvironmentUnusableError, match=words):
        roll()
    environment.close()


def test_an_action_that_is_not_finite_is_named():
    """A head that gives NaN ends in a sentence about the policy; beyond a bound an action is at the bound."""
    environment = ReusedArrays()
    environment.single_action_space = spaces.Box(-1, 1, (1,))
    environment.rewards = np.zeros((2, 1))
    rooms = HostRooms(environment, AXIS, "the room")
    assert rooms.step(np.array([[0.5], [np.inf]])).action.tolist() == [[0.5], [1.0]]
    with pytest.raises(CaptureInvalidError, match=r"gives the room the action \[nan\] at step 1, in environment 1"):
        rooms.step(np.array([[0.5], [np.nan]]))
