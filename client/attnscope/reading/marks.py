"""Places of a context that may be anchors, as far as the rollout says where they are."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from jaxtyping import Bool, Int, Int64

from attnscope.measures.layout import slot_transitions
from attnscope.measures.places import is_episode_start, marks_of, reward_sign, same_state, state_ids
from attnscope.reading.reading import Reading


def marks(
    reading: Reading, step: Int64[np.ndarray, " row"], length: Int64[np.ndarray, "row env"], slots: int
) -> dict[str, Bool[np.ndarray, "row env slot"]]:
    """Return the marked slots of some decisions of the rollouts whose rows are read, by the name of the mark.

    Parameters
    ----------
    step
        Environment steps of the decisions.
    length
        Their context lengths, in tokens.
    slots
        Slots of a row.
    """
    envs = reading.row_envs
    transition = slot_transitions(reading.start[step][:, envs], length, slots, reading.layout)
    found: dict[str, Bool[np.ndarray, "row env slot"]] = {}
    if known(reading.episode):
        starts = is_episode_start(reading.episode[:, envs]).astype(np.int64)
        found["episode_start"] = marks_of(starts, transition) == 1
    if reading.reward is not None:
        found["rewarded"] = marks_of(reward_sign(reading.reward[:, envs]), transition) == 1
    if reading.observation is not None:
        found["same_state"] = same_state(state_ids(reading.observation[:, envs]), transition, step)
    return found


def known(values: Int[np.ndarray, "step env"] | None) -> TypeGuard[Int64[np.ndarray, "step env"]]:
    """Return whether integers were captured of every step; -1 is a step that was never written."""
    return values is not None and not bool((values < 0).any())
