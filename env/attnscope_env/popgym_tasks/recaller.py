"""The source of histories for RepeatPrevious: it remembers every card, and learns each suit's answer from rewards."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from attnscope_env.popgym_tasks.answers import SUITS


class Recaller:
    """Answer the suit of the card ``k - 1`` steps back as was paid for once, else by POPGym's own answer, else untried.

    It looks back over the ends of episodes too, where nothing is asked, so that its action follows from its newest
    steps alone, not from the clock.

    Parameters
    ----------
    histories
        Agents side by side.
    k
        Cards from the one that is asked for to the newest, both counted.
    noise
        Share of random actions, at most; each history draws its own. What was meant instead is `intended`.
    seed
        Of random actions and of answers that are tried.
    window
        Newest steps that an agent remembers; None remembers all. An answer is then known only where the step that
        showed it and the card that it was for are both remembered.
    """

    def __init__(self, histories: int, *, k: int, noise: float, seed: int, window: int | None = None) -> None:
        self._rng = np.random.default_rng(seed)
        self._k = k
        self._window = window
        self._noise = self._rng.uniform(0, noise, histories)
        self._cards: list[np.ndarray] = []
        self._signs = np.zeros((histories, SUITS, SUITS))
        self._told_at = np.full((histories, SUITS, SUITS), -1)
        self._each = np.arange(histories)
        self.intended: Int[np.ndarray, " history"] = np.zeros(histories, np.int64)

    def act(self, observations: Int[np.ndarray, "history ..."]) -> Int[np.ndarray, " history"]:
        """Return the answer for the card that is asked for; where none is remembered, a random one."""
        self._cards.append(observations.reshape(len(self._each)).astype(np.int64))
        scores = self._rng.random((len(self._each), SUITS))
        due = self._due(len(self._cards) - 1)
        if due is not None:
            scores[self._each, due] += 1
            scores += 2 * self._evidence()[self._each, due]
        self.intended = scores.argmax(axis=1)
        random = self._rng.random(len(self._each)) < self._noise
        return np.where(random, self._rng.integers(0, SUITS, len(self._each)), self.intended)

    def learn(
        self,
        observations: Int[np.ndarray, "history ..."],  # noqa: ARG002 - a source is told everything
        actions: Int[np.ndarray, " history"],
        rewards: Float[np.ndarray, " history"],
        next_observations: Int[np.ndarray, "history ..."],  # noqa: ARG002 - as above
        ended: Bool[np.ndarray, " history"],  # noqa: ARG002 - as above
    ) -> None:
        """Remember which answer was paid for, or was wrong, for the card that was asked for."""
        step = len(self._cards) - 1
        due = self._due(step)
        if due is None:
            return
        told = self._each[rewards != 0]
        self._signs[told, due[told], actions[told]] = np.sign(rewards[told])
        self._told_at[told, due[told], actions[told]] = step

    def _due(self, step: int) -> Int[np.ndarray, " history"] | None:
        """Return the suits of the cards that were shown ``k - 1`` steps before a step; None where there were none."""
        shown = step - (self._k - 1)
        if shown < 0 or (self._window is not None and self._window < self._k - 1):
            return None
        return self._cards[shown]

    def _evidence(self) -> Float[np.ndarray, "history suit action"]:
        """Return what is remembered of each answer: above 0 where it was paid for, below where it was wrong."""
        if self._window is None:
            return self._signs
        oldest = len(self._cards) - 1 - self._window + (self._k - 1)
        return np.where(self._told_at >= oldest, self._signs, 0.0)
