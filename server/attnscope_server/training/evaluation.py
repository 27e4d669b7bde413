"""Evaluation: returns of every episode of many rollouts, rolled out as a capture would, but without capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float64

from attnscope_env import terminal_observations
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.sampling import ACTION_STREAM, choose_actions, uniforms
from attnscope_model.forward.policy import Policy

CHUNK_STEPS = 64
"""Steps whose random numbers are drawn at a time."""


def episode_returns(
    policy: Policy,
    preset: EnvPreset,
    tasks: Sequence[Task],
    *,
    rollouts: int,
    episodes: int,
    seed: int = 0,
    tell: Callable[[int], None] = lambda _step: None,
) -> Float64[np.ndarray, "task rollout episode"]:
    """Return the return of each episode of each rollout; actions are sampled at temperature 1.

    Random numbers depend on seed, task, rollout and step alone: a capture of the same seed takes the same actions.

    Parameters
    ----------
    tell
        Told after every step how many are done.
    """
    envs = len(tasks) * rollouts
    environment = preset.make_vector([task for task in tasks for _ in range(rollouts)])
    index = np.repeat([task.index for task in tasks], rollouts)
    replicas = np.tile(np.arange(rollouts), len(tasks))
    seeds = np.full(envs, seed)
    decider = Decider(policy, envs, torch.device("cpu"))
    returns = np.zeros((envs, episodes))
    observation, _ = environment.reset()
    with torch.inference_mode():
        for step in range(episodes * preset.horizon):
            if step % CHUNK_STEPS == 0:
                numbers = uniforms(seeds, index, replicas, step, CHUNK_STEPS, ACTION_STREAM)
            action = choose_actions(decider.decide(observation).logits, numbers[step % CHUNK_STEPS], 1.0)
            following, reward, _, _, infos = environment.step(action)
            decider.append(observation, action, reward, terminal_observations(following, infos))
            returns[:, step // preset.horizon] += reward
            observation = following
            tell(step + 1)
    return returns.reshape(len(tasks), rollouts, episodes)
