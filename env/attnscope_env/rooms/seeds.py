"""Seeds of environments, derived from who they are, never from their place in a batch: a resumed job replays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsFloat

import gymnasium
import numpy as np

EPISODE_SEED_BITS = 31
"""Bits of an episode's seed: few enough for environments that seed NumPy's legacy generator."""


def derived_seed(*parts: int, bits: int = 63) -> int:
    """Return a seed of this many bits, the same for the same parts; parts are non-negative."""
    low, high = np.random.SeedSequence(parts).generate_state(2, np.uint32)
    joined = int(high) << 32 | int(low)
    return joined & ((1 << bits) - 1)


def environment_seeds(seed: Iterable[int], task: Iterable[int], replica: Iterable[int]) -> list[int]:
    """Return the seed of each environment of a rollout, from its entries of the env axis.

    Parameters
    ----------
    seed
        Evaluation seed of each environment.
    task
        Index of its task.
    replica
        Number of its rollout among those of one task and seed.
    """
    return [derived_seed(int(s), int(t), int(r)) for s, t, r in zip(seed, task, replica, strict=True)]


class SeededEpisodes(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Give every episode a seed derived from the environment's and the episode's number.

    Gymnasium's vectorisation resets an ended environment without a seed, which goes on with whatever generators the
    environment holds, inside or outside of it. With this, episode n begins the same whatever happened before it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._seed: int | None = None
        self._episode = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the first episode of a seed, or the next one."""
        if seed is not None:
            self._seed, self._episode = seed, 0
        else:
            self._episode += 1
        own = None if self._seed is None else derived_seed(self._seed, self._episode, bits=EPISODE_SEED_BITS)
        return super().reset(seed=own, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:  # noqa: ANN401 - the wrapped one's
        """Step the environment."""
        return super().step(action)
