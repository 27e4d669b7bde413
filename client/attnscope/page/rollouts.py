"""The rollout beside the attention: the transitions of some steps; contexts, episodes and returns of an environment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Int, Int64, Shaped

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


def transitions(capture: Capture, rollout: Rollout, first: int, last: int) -> dict[str, Any]:
    """Return the transitions of the steps from `first` to before `last`, field by field; None where unknown.

    Parameters
    ----------
    rollout
        The environment.
    """
    env = rollout.env
    last = min(last, first + MOST_STEPS, capture.steps_committed)
    first = min(max(first, 0), last)
    told: dict[str, Any] = {"first": first, "last": last}
    for name in FIELDS:
        held = f"rollout/{name}" in capture.names()
        wide = held and int(np.prod(capture[f"rollout/{name}"].shape[2:])) > MOST_FEATURES
        values = None if wide or not held else column(capture, f"rollout/{name}", slice(first, last), env)
        told[name] = None if values is None else numbers(values)
    told["within"] = None if told["episode"] is None else rollout.within_episode(first, last)
    return told


class Rollout:
    """The commits of one environment beside its attention, read once a commit.

    Parameters
    ----------
    place
        Place among the stored environments.
    """

    def __init__(self, capture: Capture, place: int) -> None:
        steps = slice(0, capture.steps_committed)
        self.place, self.env = place, capture.row_env(place)
        self.length: Int[np.ndarray, " step"] = capture.context.length[steps, self.env]
        """Tokens of each context, the query among them."""
        self.start: Int[np.ndarray, " step"] = capture.context.start[steps, self.env]
        """Transition in the first slot of each context."""
        self.map_place = capture.exact_place(place)
        """Place of the environment among those with stored maps; None where it has none."""
        self.sampled = [] if self.map_place is None else capture.map_steps()
        """Steps whose maps are stored."""
        self.reward = column(capture, "rollout/reward", steps, self.env)
        self._tokens, self._last = capture.policy.tokens_per_transition, capture.policy.query_slot == "last"
        episode = column(capture, "rollout/episode", steps, self.env)
        unknown: Int64[np.ndarray, " episode"] = np.empty(0, np.int64)
        self.begins = unknown if episode is None else np.asarray(np.flatnonzero(np.diff(episode)) + 1, np.int64)
        """First step of each episode but the first."""
        self.returns = self._returns(capture)
        """Last step and return of every episode that ended."""

    def _returns(self, capture: Capture) -> list[tuple[int, float]]:
        if self.reward is None or "rollout/episode" not in capture.names():
            return []
        steps = slice(0, len(self.length))
        ended = [column(capture, f"rollout/{name}", steps, self.env) for name in ("terminated", "truncated")]
        over = np.any([np.zeros(len(self.length), bool), *(flags > 0 for flags in ended if flags is not None)], axis=0)
        edges = pairwise([0, *self.begins.tolist(), len(self.length)])
        sums = [(stop - 1, float(np.nansum(self.reward[start:stop], dtype=np.float64))) for start, stop in edges]
        return [(step, total) for step, total in sums if over[step]]

    def within_episode(self, first: int, last: int) -> list[int]:
        """Return how many steps the episode of each step from `first` to before `last` has behind it."""
        steps = np.arange(first, last)
        begins = np.concatenate([[0], self.begins])
        found: list[int] = (steps - begins[np.searchsorted(begins, steps, side="right") - 1]).tolist()
        return found

    def within(self, first: int, last: int) -> dict[str, Any]:
        """Return boundaries and returns of the steps from `first` to before `last`."""
        begins = self.begins[(self.begins > first) & (self.begins < last)]
        ended = [(step, value) for step, value in self.returns if first <= step < last]
        return {"boundaries": begins.tolist(), "returns": [[step, float(f"{value:.7g}")] for step, value in ended]}

    def context(self, step: int) -> dict[str, Any]:
        """Return where the context of a decision begins, its tokens, and the slots at which episodes begin in it."""
        start = int(self.start[step])
        inside = self.begins[(self.begins > start) & (self.begins < step + self._last)]
        slots = (inside - start) * self._tokens + (not self._last)
        return {"step": step, "length": int(self.length[step]), "start": start, "boundaries": slots.tolist()}
