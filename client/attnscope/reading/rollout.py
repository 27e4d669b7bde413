"""The rollout beside the rows: returns of episodes and the phases of learning; of every committed step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64, Shaped

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError
from attnscope.measures.phases import NEITHER, phases_by_episode, phases_by_return
from attnscope.measures.refusals import NotMeasurableError


@dataclass(frozen=True, eq=False)
class Phases:
    """Of every step, the phase of its episode: early, late or neither."""

    by_episode: Int[np.ndarray, "row env"]
    """First and last third of the episodes."""
    by_return: Int[np.ndarray, "row env"]
    """Thirds of the lowest and the highest return."""

    def at(self, steps: Int[np.ndarray, " step"], envs: list[int]) -> Phases:
        """Return those of some steps and environments."""
        return Phases(self.by_episode[steps][:, envs], self.by_return[steps][:, envs])


def labels(
    capture: Capture, name: str, steps: int, envs: Int64[np.ndarray, " env"]
) -> Shaped[np.ndarray, "step env *feature"] | None:
    """Return an array of the rollout, None where it was not captured.

    Parameters
    ----------
    steps
        Steps from the beginning.
    envs
        Entries of the env axis.
    """
    if name not in capture.names():
        return None
    values: Shaped[np.ndarray, "step env *feature"] = np.asarray(capture[name][:steps])[:, envs]
    return values


def returns_of(
    capture: Capture, envs: Int64[np.ndarray, " env"], steps: int
) -> Float64[np.ndarray, "env episode"] | None:
    """Return the returns of the episodes that ended within the steps; None where rewards are unknown."""
    try:
        returns: Float64[np.ndarray, "env episode"] = np.asarray(capture.returns(), np.float64)[envs]
    except (NotCapturedError, AttributeError):
        return None
    if steps == capture.steps_committed or "rollout/episode" not in capture.names():
        return returns
    ended = int(((capture.rollout.truncated[:steps] > 0) | (capture.rollout.terminated[:steps] > 0)).sum(axis=0).min())
    within: Float64[np.ndarray, "env episode"] = returns[:, :ended]
    return within


def phases_of(
    episode: Int[np.ndarray, "step env"] | Float[np.ndarray, "step env"] | None,
    returns: Float64[np.ndarray, "env episode"] | None,
    counts: Bool[np.ndarray, "step env"],
) -> Phases:
    """Return the phase of every step, by its episode; neither where there are too few episodes.

    Thirds are made of the episodes that count (`counted_episodes`): of the others no row would be measured, and a
    third of them alone would be empty.

    Parameters
    ----------
    episode
        Episode of every step; None where it was not captured.
    returns
        Return of every finished episode; None where rewards are unknown.
    counts
        Of every step, whether its context is long enough to count in a mean.
    """
    phases = Phases(*(np.full(counts.shape, NEITHER, np.int64) for _ in range(2)))
    if episode is None or returns is None:
        return phases
    known: Bool[np.ndarray, "step env"] = (episode >= 0) & (episode < returns.shape[1])
    env, number = np.nonzero(known)[1], episode[known].astype(np.int64)
    chosen = counted_episodes(env, number, counts[known], returns.shape)
    of_episode, of_return = (np.full(returns.shape, NEITHER, np.int64) for _ in range(2))
    try:
        of_episode[:, chosen] = phases_by_episode(len(chosen))
        of_return[:, chosen] = phases_by_return(returns[:, chosen])
    except NotMeasurableError:
        return phases
    phases.by_episode[known] = of_episode[env, number]
    phases.by_return[known] = of_return[env, number]
    return phases


def counted_episodes(
    env: Int64[np.ndarray, " step"],
    number: Int64[np.ndarray, " step"],
    counts: Bool[np.ndarray, " step"],
    shape: tuple[int, ...],
) -> Int64[np.ndarray, " counted"]:
    """Return the episodes of which, in every rollout, the contexts of half of the steps or more count.

    Parameters
    ----------
    env, number
        Rollout and episode of each step.
    counts
        Of each step, whether its context counts.
    shape
        Numbers of rollouts and of episodes.
    """
    steps, counting = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(steps, (env, number), 1)
    np.add.at(counting, (env, number), counts)
    fits = (steps > 0) & (2 * counting >= steps)
    return np.flatnonzero(fits.all(axis=0)).astype(np.int64)
