"""Tabular Q-learning with experience replay, many learners side by side (Watkins, 1989; replay: Lin, 1992).

A learner knows cells, actions and rewards only. It explores by optimism: values start above what a step without reward
is worth, so an untried action looks best until it was tried, or until a reward was found that is worth more.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

DISCOUNT = 0.9
"""Of rewards a step later."""

OPTIMISM = 3.0
"""Value that every action starts with; reward at every step is worth 1 / (1 − discount) = 10. Begun at 10, a learner
that has found its reward goes on trying what it has not tried for some twenty episodes more."""

EXPLORING = 0.05
"""Probability of a random action, on top of optimism; it falls to 0 over a history."""


class QLearning:
    """Learners of action values over the cells of a room.

    Parameters
    ----------
    histories
        Learners side by side.
    size
        Side of the room, in cells.
    actions
        Number of actions.
    steps
        Steps of a whole history.
    replays
        Remembered transitions that are learned from again after every step.
    seed
        Of ties, random actions and replays.
    optimism
        Value that every action starts with.
    """

    def __init__(
        self,
        histories: int,
        *,
        size: int,
        actions: int,
        steps: int,
        seed: int,
        replays: int = 30,
        optimism: float = OPTIMISM,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._size = size
        self._steps = steps
        self._replays = replays
        self._values = np.full((histories, size * size, actions), optimism, np.float32)
        self._memory: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self._each = np.arange(histories)

    def act(self, observations: Int[np.ndarray, "history 2"]) -> Int[np.ndarray, " history"]:
        """Return the best-valued action, ties at random, or sometimes a random one."""
        values = self._values[self._each, self._cells(observations)]
        greedy = (np.round(values, 3) + 1e-4 * self._rng.random(values.shape)).argmax(axis=1)
        random = self._rng.random(len(values)) < EXPLORING * (1 - len(self._memory) / self._steps)
        return np.where(random, self._rng.integers(0, values.shape[1], len(values)), greedy)

    def learn(
        self,
        observations: Int[np.ndarray, "history 2"],
        actions: Int[np.ndarray, " history"],
        rewards: Float[np.ndarray, " history"],
        next_observations: Int[np.ndarray, "history 2"],
        ended: Bool[np.ndarray, " history"],  # noqa: ARG002 - an episode's end is its clock's, not the cell's
    ) -> None:
        """Back the step's reward up, and replay some of the steps before it, newest first."""
        step = (self._cells(observations), np.array(actions), np.array(rewards), self._cells(next_observations))
        self._memory.append(step)
        chosen = self._rng.choice(len(self._memory), min(self._replays, len(self._memory)), replace=False)
        for index in (len(self._memory) - 1, *np.sort(chosen)[::-1]):
            cells, taken, paid, after = self._memory[index]
            # The room is deterministic, so a backup replaces the old value whole (learning rate 1).
            self._values[self._each, cells, taken] = paid + DISCOUNT * self._values[self._each, after].max(axis=1)

    def _cells(self, observations: Int[np.ndarray, "history 2"]) -> Int[np.ndarray, " history"]:
        return np.asarray(observations[:, 0].astype(np.int64) * self._size + observations[:, 1])
