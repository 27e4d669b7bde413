"""POPGym's RepeatPrevious with answers that a task has renamed: an agent must learn which action means a suit.

POPGym deals cards of four suits, shows each, and asks at every step for the suit of the card ``k - 1`` steps back. Here
a task says which action answers which suit, so an agent that remembers the card must still learn its answer from
rewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from attnscope_env.rooms.boundary import OwnTransitions
from attnscope_env.rooms.observations import EnvironmentUnusableError
from attnscope_env.rooms.seeds import SeededEpisodes

SUITS: Final = 4
"""Suits of a card, and actions."""

DECK: Final = 52
"""Cards of a deck."""


class RenamedAnswers(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pay 1 for the action that answers the suit that is asked for, −1 for another, and 0 where nothing is asked yet.

    POPGym divides its rewards by the number of answers of an episode; that number is multiplied back, so that one
    reward is large enough for half precision.

    Parameters
    ----------
    env
        POPGym's RepeatPrevious.
    answers
        The right action for each suit; suits may share one.
    k
        Cards from the one that is asked for to the newest, both counted.
    decks
        Decks that are dealt in an episode.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, answers: Sequence[int], k: int, decks: int) -> None:
        super().__init__(env)
        self.action_space = spaces.Discrete(SUITS)
        self._answers = tuple(answers)
        self._k = k
        self._asked = DECK * decks - k
        self._seen: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = super().reset(seed=seed, options=options)
        self._seen = [int(observation)]
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ANN401 - Gymnasium's own
        """Give POPGym the suit that the action stands for: the one asked for, or another."""
        suit = 0
        if len(self._seen) >= self._k:
            due = self._seen[-self._k]
            suit = due if int(action) == self._answers[due] else (due + 1) % SUITS
        observation, reward, terminated, truncated, info = super().step(suit)
        self._seen.append(int(observation))
        return observation, float(np.rint(float(reward) * self._asked)), terminated, truncated, info


def repeat_previous(answers: Sequence[int] = (0, 1, 2, 3), *, k: int, decks: int) -> gymnasium.Env[Any, Any]:
    """Return one environment, episodes seeded by their number.

    Parameters
    ----------
    answers, k, decks
        As in `RenamedAnswers`.

    Raises
    ------
    EnvironmentUnusableError
        POPGym is not installed.
    """
    try:
        from popgym.envs.repeat_previous import RepeatPrevious  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EnvironmentUnusableError(
            "RepeatPrevious is POPGym's, which is not installed: pip install 'attnscope[popgym]'"
        ) from error
    single = RenamedAnswers(RepeatPrevious(num_decks=decks, k=k), answers=answers, k=k, decks=decks)
    return OwnTransitions(SeededEpisodes(single), "RepeatPrevious")


def repeat_previous_vector(tasks: Sequence[Sequence[int]], *, k: int, decks: int) -> SyncVectorEnv:
    """Return one environment for each task's answers, in Gymnasium's own vectorisation and ``SAME_STEP`` mode."""
    makers = [partial(repeat_previous, answers, k=k, decks=decks) for answers in tasks]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
