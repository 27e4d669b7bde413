"""Actions from logits, with random numbers that depend on who asks and when, never on a place in a batch.

Numbers are NumPy's Philox, keyed by (seed, task, replica), counted by (step, stream, part): an environment's rollout is
the same alone, among others, and after an interruption.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor

ACTION_STREAM = 0
"""Stream of the numbers that choose actions."""

_WORDS = 4
"""64-bit words that Philox gives a counter value; the first is used."""


def uniforms(
    seeds: Int[np.ndarray, " env"],
    tasks: Int[np.ndarray, " env"],
    replicas: Int[np.ndarray, " env"],
    start_step: int,
    count: int,
    stream: int,
    part: int = 0,
) -> Float64[np.ndarray, "count env"]:
    """Return a number in [0, 1) for each of `count` steps from `start_step` on, and each environment.

    Parameters
    ----------
    part
        Branch or component of an action that takes several numbers.
    """
    numbers = np.empty((count, len(seeds)))
    for env, (seed, task, replica) in enumerate(zip(seeds, tasks, replicas, strict=True)):
        key = np.array([int(seed), (int(task) << 32) | int(replica)], dtype=np.uint64)
        philox = np.random.Philox(key=key, counter=np.array([start_step, stream, part, 0], dtype=np.uint64))
        numbers[:, env] = (philox.random_raw(_WORDS * count)[::_WORDS] >> np.uint64(11)) * 2.0**-53
    return numbers


def choose_actions(
    logits: Float[Tensor, "env action"], numbers: Float64[np.ndarray, " env"] | None, temperature: float
) -> Int64[np.ndarray, " env"]:
    """Return an action for each environment.

    Parameters
    ----------
    logits
        Before temperature.
    numbers
        In [0, 1): looked up in the cumulative distribution, in float64. None is greedy.
    temperature
        Divides the logits.
    """
    if numbers is None:
        return logits.argmax(dim=-1).cpu().numpy()
    edges = cumulative(logits, temperature)
    chosen: Int64[np.ndarray, " env"] = (edges[:, :-1] <= numbers[:, None]).sum(axis=1, dtype=np.int64)
    return chosen


def choose_on_device(
    logits: Float[Tensor, "env action"], numbers: Float64[Tensor, " env"] | None, temperature: float
) -> Int64[Tensor, " env"]:
    """Return what `choose_actions` does, without leaving the device; float64 of another kind may move the last bits."""
    if numbers is None:
        return logits.argmax(dim=-1)
    return (_edges(logits.double(), temperature)[:, :-1] <= numbers[:, None]).sum(dim=1)


def cumulative(logits: Float[Tensor, "env action"], temperature: float = 1.0) -> Float64[np.ndarray, "env action"]:
    """Return the cumulative distribution over actions."""
    # On the host: the same numbers give the same actions whatever computed the logits.
    return _edges(logits.cpu().double(), temperature).numpy()


def _edges(logits: Float64[Tensor, "env action"], temperature: float) -> Float64[Tensor, "env action"]:
    edges = torch.softmax(logits / temperature, dim=-1).cumsum(dim=-1)
    # The last possible action ends at exactly 1, so that no number falls beyond it on an impossible one.
    return edges / edges[:, -1:]
