"""Learning histories of PPO (Schulman et al., 2017) by stable-baselines3; importing this wants the extra ``ppo``.

One policy a task, learned from many streams of that task at once, as Algorithm Distillation's users do: each stream is
one learning history. A stream's behaviour therefore follows from what *all* streams of its task met, not from its own
past alone. The learner sees one-hot row and column, and rewards; no goal, no clock.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Int
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from attnscope_env.histories import Histories, Recorder
from attnscope_env.presets.rooms import RoomPreset
from attnscope_env.rooms.array_vector import terminal_observations
from attnscope_server.training.plan import HistoryPlan

MINIBATCHES = 4
"""Parts into which an update's steps are cut, where they can be cut evenly."""

SETTINGS: Final = MappingProxyType[str, Any](
    {"n_epochs": 5, "learning_rate": 3e-3, "ent_coef": 0.01, "gamma": 0.99, "policy_kwargs": {"net_arch": [64]}}
)
"""Of the learner, tried by hand on a few Darkroom goals; all else is the library's default, except that an update
follows every episode of all streams. 50 streams learned a corner's goal within 25 episodes; 10 and 20 never did, as
there is no bonus for exploring but the entropy's."""


class Streams(VecEnv):
    """Streams of one room as stable-baselines3 wants them, and the recording of what happens in them.

    Parameters
    ----------
    env
        In ``SAME_STEP`` mode; its observations are row and column, its episodes end by their clock.
    size
        Side of the room, in cells.
    recorder
        Told every step.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], size: int, recorder: Recorder) -> None:
        self._env, self._recorder = env, recorder
        self._one_hot = np.eye(size, dtype=np.float32)
        self._at, _ = env.reset()
        self._actions = np.zeros(env.num_envs, np.int64)
        seen = spaces.Box(0, 1, (2 * size,), np.float32)
        super().__init__(env.num_envs, seen, env.single_action_space)

    def reset(self) -> Float[np.ndarray, "stream feature"]:
        """Begin the first episode."""
        self._at, _ = self._env.reset()
        return self._seen(self._at)

    def step_async(self, actions: Int[np.ndarray, " stream"]) -> None:
        """Take the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step, record, and say of an episode's end that the clock brought it, and where."""
        following, rewards, _, truncated, infos = self._env.step(self._actions)
        after = terminal_observations(following, infos)
        self._recorder.take(self._at, self._actions, rewards, after)
        self._at = following
        info_of: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        reached = self._seen(after)
        for stream in np.flatnonzero(truncated):
            info_of[stream] = {"terminal_observation": reached[stream], "TimeLimit.truncated": True}
        return self._seen(following), rewards.astype(np.float32), truncated, info_of

    def close(self) -> None:
        """Close the rooms."""
        self._env.close()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:  # noqa: ARG002 - the rooms draw nothing
        """Seed nothing: goal and start of the rooms are named, and moves are certain."""
        return [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ANN401 - the library's signature
        """Return the rooms' one render mode, none; they have no other attribute."""
        if attr_name != "render_mode":
            raise AttributeError(f"expected render_mode, which is all that is known of one room, got {attr_name}")
        return [None] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ANN401, ARG002 - as above
        """Refuse: rooms stepped as arrays are no objects."""
        raise AttributeError(f"rooms stepped as arrays have no attribute {attr_name}")

    def env_method(self, method_name: str, *_: Any, indices: Any = None, **__: Any) -> list[Any]:  # noqa: ANN401, ARG002 - as above
        """Refuse: rooms stepped as arrays are no objects."""
        raise AttributeError(f"rooms stepped as arrays have no method {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ANN401, ARG002 - as above
        """Return that no room is wrapped."""
        return [False] * len(list(self._get_indices(indices)))

    def _seen(self, cells: Int[np.ndarray, "stream 2"]) -> Float[np.ndarray, "stream feature"]:
        return np.concatenate([self._one_hot[cells[:, 0]], self._one_hot[cells[:, 1]]], axis=1)


def ppo_histories(
    room: RoomPreset,
    plan: HistoryPlan,
    indices: Sequence[int],
    parts: Path | None,
    tell: Callable[[int, int], None],
) -> Histories:
    """Return PPO's histories, `per_task` streams of each task; see `collecting.collect`."""
    made = []
    for index in indices:
        part = None if parts is None else parts / _part_name(room, plan, index)
        if part is not None and part.exists():
            made.append(Histories.load(part))
        else:
            made.append(_learn(room, plan, index))
            if part is not None:
                _keep(made[-1], part)
        tell(len(made), len(indices))
    return Histories.joined(made)


def _learn(room: RoomPreset, plan: HistoryPlan, index: int) -> Histories:
    """Return the histories of one task; they do not depend on which others are asked for."""
    recorder = Recorder(
        np.full(plan.per_task, index), episodes=plan.episodes, horizon=room.horizon, features=2, every=plan.every
    )
    streams = Streams(room.make_vector([room.task(index)] * plan.per_task), room.size, recorder)
    update = plan.per_task * room.horizon
    with _on_its_own():
        learner = PPO(
            "MlpPolicy",
            streams,
            n_steps=room.horizon,
            batch_size=update // math.gcd(update, MINIBATCHES),
            seed=int(np.random.SeedSequence([plan.seed, index]).generate_state(1)[0]),
            device="cpu",
            **SETTINGS,
        )
        learner.learn(recorder.steps * plan.per_task)
    return recorder.histories()


@contextmanager
def _on_its_own() -> Iterator[None]:
    """Learn in one thread, whose sums no caller's number of threads changes, and give back threads and generators.

    The library seeds and uses the random generators of all three: Python, NumPy and torch.
    """
    threads, python, numbers = torch.get_num_threads(), random.getstate(), np.random.get_state()  # noqa: NPY002 - the library's generator
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002 - as above


def _part_name(room: RoomPreset, plan: HistoryPlan, index: int) -> str:
    """Return the name of a task's part, which no other plan's has."""
    text = f"{room.name} {plan.model_dump_json()}"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}-task-{index}.npz"


def _keep(histories: Histories, part: Path) -> None:
    """Write a task's part whole or not at all."""
    part.parent.mkdir(exist_ok=True)
    fresh = part.with_name(f".{part.name}")
    histories.save(fresh)
    fresh.replace(part)
