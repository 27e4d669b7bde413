"""Environments that are not ours may reuse their buffers: nothing that was handed out changes afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_env import EnvironmentUnusableError, GymnasiumEntry, Listings, terminal_observations

STEPS = 13
"""Two episodes and a part of a third."""


def vector(name, vectorization, rooms=3):
    """Return some environments of a kind in Gymnasium's vectorisation."""
    entry = GymnasiumEntry(
        id=f"field/{name}-v0",
        module="field_environments",
        horizon=100,
        actions=("a", "b", "c"),
        vectorization=vectorization,
    )
    chosen = Listings([entry]).preset(entry.preset_name)
    return chosen.make_vector([chosen.task(0)] * rooms)


def rolled(environment):
    """Return observations, terminal ones, rewards and flags of some actions, as they are after the last step."""
    actions = np.random.default_rng(0).integers(0, 3, (STEPS, environment.num_envs))
    observation, _ = environment.reset(seed=[1, 2, 3])
    steps = []
    for chosen in actions:
        after, reward, terminated, truncated, infos = environment.step(chosen)
        steps.append((observation, terminal_observations(after, infos), reward, terminated, truncated))
        observation = after
    environment.close()
    return [np.array(part) for part in zip(*steps, strict=True)]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_reused_buffers_change_no_transition(vectorization):
    """With one buffer for observation, reward and info, all is as with new arrays; an episode ends at 5, not at 0."""
    fresh, reused = rolled(vector("Fresh", "sync")), rolled(vector("Reused", vectorization))
    for name, one, other in zip(("s", "s'", "r", "terminated", "truncated"), fresh, reused, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
        assert one.dtype == other.dtype
    assert (reused[1][4] == 5).all()
    assert (reused[0][5] == 0).all()


@pytest.mark.filterwarnings("ignore:.*ERROR")  # Gymnasium reports a process's error by warnings too
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_reward_that_is_not_one_number_is_named(vectorization):
    """Two objectives are refused with the environment's name and the value, also from another process."""
    environment = vector("TwoRewards", vectorization)
    environment.reset(seed=[1, 2, 3])
    with pytest.raises(EnvironmentUnusableError, match=r"field/TwoRewards-v0 gives the reward array\(\[1\., 2\.\]\)"):
        environment.step(np.array([2, 2, 2]))
    environment.close()
