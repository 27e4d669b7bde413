"""The rollout beside the attention: the transitions of some steps, and the episodes of an environment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Int64, Shaped

from attnscope.capture import Capture
from attnscope.page.frames import numbers

MOST_STEPS: Final = 1024
"""Steps of one answer, at most."""

MOST_FEATURES: Final = 8
"""Numbers of a state that are spelled out, at most."""

FIELDS: Final = ("observation", "action", "reward", "episode", "terminated", "truncated")
"""Arrays of the rollout that a transition is told by."""


def column(capture: Capture, name: str, steps: slice, env: int) -> Shaped[np.ndarray, "step ..."] | None:
    """Return an array of some steps of one environment; None where it was not captured.

    Parameters
    ----------
    name
        Such as ``rollout/reward``.
    env
        Entry of the env axis.
    """
    return capture[name][steps, env] if name in capture.names() else None


def transitions(capture: Capture, env: int, first: int, last: int) -> dict[str, Any]:
    """Return the transitions of the steps from `first` to before `last`, field by field; None where unknown.

    Parameters
    ----------
    env
        Entry of the env axis.
    """
    last = min(last, first + MOST_STEPS, capture.steps_committed)
    first = min(max(first, 0), last)
    told: dict[str, Any] = {"first": first, "last": last}
    for name in FIELDS:
        held = f"rollout/{name}" in capture.names()
        wide = held and int(np.prod(capture[f"rollout/{name}"].shape[2:])) > MOST_FEATURES
        values = None if wide or not held else column(capture, f"rollout/{name}", slice(first, last), env)
        told[name] = None if values is None else numbers(values)
    return told


class Episodes:
    """Where the episodes of an environment end, and what each returned; of the committed steps."""

    def __init__(self, capture: Capture, env: int) -> None:
        steps = slice(0, capture.steps_committed)
        self.reward = column(capture, "rollout/reward", steps, env)
        episode = column(capture, "rollout/episode", steps, env)
        self.begins: Int64[np.ndarray, " episode"] = np.empty(0, np.int64)
        """First step of each episode but the first."""
        self.returns: list[tuple[int, float]] = []
        """Last step and return of every episode that ended."""
        if episode is None:
            return
        self.begins = np.asarray(np.flatnonzero(np.diff(episode)) + 1, np.int64)
        if self.reward is None or not len(episode):
            return
        ended = [column(capture, f"rollout/{name}", steps, env) for name in ("terminated", "truncated")]
        over = np.any([flags > 0 for flags in ended if flags is not None], axis=0)
        edges = [0, *self.begins.tolist(), len(episode)]
        for start, stop in pairwise(edges):
            if bool(np.asarray(over)[stop - 1]):
                self.returns.append((stop - 1, float(np.nansum(self.reward[start:stop], dtype=np.float64))))

    def within(self, first: int, last: int) -> dict[str, Any]:
        """Return boundaries and returns of the steps from `first` to before `last`."""
        begins = self.begins[(self.begins > first) & (self.begins < last)]
        ended = [(step, value) for step, value in self.returns if first <= step < last]
        return {"boundaries": begins.tolist(), "returns": [[step, float(f"{value:.7g}")] for step, value in ended]}
