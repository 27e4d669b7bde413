"""Actions as numbers that can be compared, whatever an action is: one choice, several at once, or a vector."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from attnscope.measures.refusals import NotMeasurableError
from attnscope_storage.wire import OutputDescription

COMBINATIONS: Final = 2**31 - 1
"""Combinations of branches, at most, whose place among all is their number; of more, those that occur are counted."""


def encoded_actions(
    action: Shaped[np.ndarray, "step env ..."], output: OutputDescription
) -> Float32[np.ndarray, "step env size"]:
    """Return actions as vectors: one-hot, branch after branch, or the action vectors themselves.

    Parameters
    ----------
    action
        Actions, [step, env], [step, env, branch] or [step, env, component].
    output
        Says which.

    Raises
    ------
    NotMeasurableError
        An action lies beyond its branch, as in a damaged capture.
    """
    _refuse_beyond(action, output)
    if output.continuous:
        return np.asarray(action, np.float32)
    if not output.branches:
        return np.asarray(np.eye(int(action.max()) + 1, dtype=np.float32)[action])
    parts = [np.eye(size, dtype=np.float32)[action[..., branch]] for branch, size in enumerate(output.branches)]
    return np.concatenate(parts, axis=-1)


def action_numbers(
    action: Shaped[np.ndarray, "step env ..."], output: OutputDescription
) -> Int64[np.ndarray, "step env"]:
    """Return a whole number from 0 for each different action, the same in every environment.

    Parameters
    ----------
    action, output
        As `encoded_actions` takes them.

    Raises
    ------
    NotMeasurableError
        As `encoded_actions` has it.
    """
    _refuse_beyond(action, output)
    if output.branches and math.prod(output.branches) <= COMBINATIONS:
        parts = tuple(np.moveaxis(np.asarray(action, np.int64), -1, 0))
        return np.asarray(np.ravel_multi_index(parts, output.branches), np.int64)
    if not output.continuous and not output.branches:
        return np.asarray(action, np.int64)
    flat = np.asarray(action, np.float32 if output.continuous else np.int64).reshape(-1, action.shape[-1])
    return np.asarray(np.unique(flat, axis=0, return_inverse=True)[1].reshape(action.shape[:2]), np.int64)


def _refuse_beyond(action: Shaped[np.ndarray, "step env ..."], output: OutputDescription) -> None:
    """Refuse actions that no branch has."""
    if not output.branches:
        return
    sizes = np.array(output.branches)
    if action.shape[2:] != sizes.shape or not ((action >= 0) & (action < sizes)).all():
        raise NotMeasurableError(f"actions lie beyond the branches of {list(output.branches)}: the capture is damaged")
