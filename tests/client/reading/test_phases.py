"""Phases of learning are thirds of the episodes that count, so that neither is empty where the context fills late."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.measures.phases import EARLY, LATE, NEITHER
from attnscope.reading.rollout import phases_of

HORIZON, EPISODES, FULL_FROM = 20, 12, 159
"""As in the demo: the context is full in the last step of episode 7 and later."""


@pytest.fixture
def asked():
    """Return episodes, rising returns and counting contexts of two rollouts."""
    step = np.arange(HORIZON * EPISODES)
    episode = np.repeat(step[:, None] // HORIZON, 2, axis=1)
    returns = np.stack([np.arange(EPISODES), np.arange(EPISODES)[::-1]]).astype(float)
    return episode, returns, np.repeat(step[:, None] >= FULL_FROM, 2, axis=1)


def of(phase: np.ndarray, wanted: int, rollout: int) -> list[int]:
    """Return the episodes of a phase, one rollout's."""
    return sorted({int(step) // HORIZON for step in np.flatnonzero(phase[:, rollout] == wanted)})


def test_thirds_are_of_the_episodes_that_count(asked):
    """Four episodes have full contexts: the first and the last of them are compared, never one without a row."""
    phases = phases_of(*asked)
    assert (of(phases.by_episode, EARLY, 0), of(phases.by_episode, LATE, 0)) == ([8], [11])
    assert (of(phases.by_return, EARLY, 0), of(phases.by_return, LATE, 0)) == ([8], [11])
    assert (of(phases.by_return, EARLY, 1), of(phases.by_return, LATE, 1)) == ([11], [8])


def test_an_episode_counts_where_half_of_its_contexts_do_in_every_rollout(asked):
    """A rollout that grows later decides for all."""
    episode, returns, counts = asked
    counts = counts.copy()
    counts[: 8 * HORIZON + HORIZON // 2 + 1, 1] = False
    phases = phases_of(episode, returns, counts)
    assert of(phases.by_episode, EARLY, 0) == [9]


def test_too_few_episodes_that_count_have_no_phases(asked):
    """Two full episodes cannot be cut into thirds."""
    episode, returns, counts = asked
    phases = phases_of(episode, returns, counts & (episode >= 10))
    assert (phases.by_episode == NEITHER).all()
    assert (phases.by_return == NEITHER).all()
