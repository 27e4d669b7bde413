"""Actions as numbers that can be compared, whatever an action is: one choice, several at once, or a vector."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from attnscope.measures.refusals import NotMeasurableError
from attnscope_storage.wire import OutputDescription

WIDEST: Final = 4096
"""Actions of one choice, at most, that have a place each; a damaged capture may name two thousand million."""

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
        An action lies beyond its branch, as in a damaged capture, or too many different ones occur.
    """
    _refuse_beyond(action, output)
    if output.continuous:
        return np.asarray(action, np.float32)
    if not output.branches:
        return _one_hot(action, int(action.max(initial=0)) + 1)
    parts = [_one_hot(action[..., branch], size) for branch, size in enumerate(output.branches)]
    return np.concatenate(parts, axis=-1)


def _one_hot(action: Shaped[np.ndarray, "step env"], size: int) -> Float32[np.ndarray, "step env size"]:
    """Return one-hot actions; of very many, those that occur alone have a place."""
    if size > WIDEST:
        values, inverse = np.unique(action, return_inverse=True)
        action, size = inverse.reshape(action.shape), len(values)
    if size > WIDEST:
        raise NotMeasurableError(f"{size} different actions occur, and at most {WIDEST} are compared")
    return np.asarray(np.eye(size, dtype=np.float32)[action])


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
