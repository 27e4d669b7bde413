"""The noise-annealed expert: it knows its goal and acts at random less and less (AD-eps; Zisman et al., 2023)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from attnscope_env.rooms.actions import numbering

ANNEALED_OVER = (0.5, 1.0)
"""Share of a history over which the noise falls from 1 to 0; each history draws its own between these."""


class AnnealedExpert:
    """Random moves with falling probability, else a random shortest path to the goal; there it stays.

    Parameters
    ----------
    goals
        The goal cell of each history, which this source knows.
    size
        Side of the room, in cells.
    steps
        Steps of a whole history.
    seed
        Of noise and ties.
    actions
        Numbering of the moves.
    """

    def __init__(
        self,
        goals: Int[np.ndarray, "history 2"],
        *,
        size: int,
        steps: int,
        seed: int,
        actions: str = "reference",
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._goals = goals
        self._size = size
        self._moves = numbering(actions).table()
        self._clean_from = steps * self._rng.uniform(*ANNEALED_OVER, len(goals))
        self._step = 0

    def act(self, observations: Int[np.ndarray, "history 2"]) -> Int[np.ndarray, " history"]:
        """Return a random move, or one towards the goal."""
        at = np.clip(observations.astype(np.int64)[:, None] + self._moves, 0, self._size - 1)
        left = np.abs(at - self._goals[:, None]).sum(axis=2)
        greedy = (left + self._rng.random(left.shape)).argmin(axis=1)
        random = self._rng.random(len(left)) < 1 - self._step / self._clean_from
        return np.where(random, self._rng.integers(0, len(self._moves), len(left)), greedy)

    def learn(
        self,
        observations: Int[np.ndarray, "history 2"],  # noqa: ARG002 - a source is told everything
        actions: Int[np.ndarray, " history"],  # noqa: ARG002 - as above
        rewards: Float[np.ndarray, " history"],  # noqa: ARG002 - as above
        next_observations: Int[np.ndarray, "history 2"],  # noqa: ARG002 - as above
        ended: Bool[np.ndarray, " history"],  # noqa: ARG002 - as above
    ) -> None:
        """Count the step."""
        self._step += 1
