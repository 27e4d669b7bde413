"""The rollout beside the attention: the transitions of some steps; contexts, episodes and returns of an environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Int, Int64, Shaped

from attnscope.capture import Capture
from attnscope.page.frames import numbers

MOST_STEPS: Final = 1024
"""Steps of one answer, at most."""

MOST_FEATURES: Final = 8
"""Numbers of a state or an action that are spelled out, at most."""

MOST_EPISODES: Final = 1024
"""Episodes of one answer that are told one by one, at most."""

FIELDS: Final = ("observation", "action", "reward", "episode", "terminated", "truncated")
"""Arrays of the rollout that a transition is told by."""


ENDS: Final = ("terminated", "truncated")
"""Fields that say of a step that its episode ended there."""

KEPT: Final = ("context/length", "context/start", *(f"rollout/{name}" for name in ("reward", "episode", *ENDS)))
"""Arrays whose committed steps are kept; a commit adds its own to them."""

PACKED: Final = ("context/summaries", "context/generation")
"""The same of policies that pack their history."""

Steps = Shaped[np.ndarray, "step ..."]


def column(capture: Capture, name: str, steps: slice, env: int) -> Steps | None:
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

    Fields with more than `MOST_FEATURES` numbers a step are told by their sizes, under ``wide``.

    Parameters
    ----------
    rollout
        The environment.
    """
    last = min(last, first + MOST_STEPS, len(rollout.length))
    first = min(max(first, 0), last)
    steps = slice(first, last)
    told: dict[str, Any] = {"first": first, "last": last, "wide": {}}
    for name in FIELDS:
        array = f"rollout/{name}"
        sizes = capture[array].shape[2:] if array in capture.names() else None
        wide = sizes is not None and math.prod(sizes) > MOST_FEATURES
        if wide:
            told["wide"][name] = list(sizes or ())
        held = rollout.kept.get(array)
        values = None if wide else held[steps] if held is not None else column(capture, array, steps, rollout.env)
        told[name] = None if values is None else numbers(values)
    told["within"] = None if told["episode"] is None else rollout.within_episode(first, last)
    told["return"] = rollout.episode_returns(first, last) if rollout.returns else None
    return told


class Rollout:
    """The commits of one environment beside its attention.

    Parameters
    ----------
    place
        Place among the stored environments.
    before
        The same environment at an earlier commit: its steps are not read again.
    """

    def __init__(self, capture: Capture, place: int, before: Rollout | None = None) -> None:
        self.place, self.env = place, capture.row_env(place)
        self.kept: dict[str, Steps] = self._kept(capture, {} if before is None else before.kept)
        """Values of every committed step, by array; those that were captured."""
        self.length: Int[np.ndarray, " step"] = self.kept["context/length"]
        """Tokens of each context, the query among them."""
        self.start: Int[np.ndarray, " step"] = self.kept["context/start"]
        """Transition in the first slot of each context, or in the first one behind its latents."""
        self.summaries: Steps | None = self.kept.get("context/summaries")
        """Latents at the front of each context; None where the policy packs nothing."""
        self.generation: Steps | None = self.kept.get("context/generation")
        """Compressions so far; None where the policy packs nothing."""
        self.map_place = capture.exact_place(place)
        """Place of the environment among those with stored maps; None where it has none."""
        self.sampled = [] if self.map_place is None else capture.map_steps()
        """Steps whose maps are stored."""
        self.reward = self.kept.get("rollout/reward")
        self.blocks: dict[int, Mapping[str, Steps]] = {}
        """Statistics that were asked for, by block of steps."""
        self._tokens, self._last = capture.policy.tokens_per_transition, capture.policy.query_slot == "last"
        episode = self.kept.get("rollout/episode")
        unknown: Int64[np.ndarray, " episode"] = np.empty(0, np.int64)
        self.begins = unknown if episode is None else np.asarray(np.flatnonzero(np.diff(episode)) + 1, np.int64)
        """First step of each episode but the first."""
        self.returns = self._returns()
        """Last step and return of every episode that ended."""

    def _kept(self, capture: Capture, before: Mapping[str, Shaped[np.ndarray, "known ..."]]) -> dict[str, Steps]:
        """Return every committed step of the arrays that are kept; only what was not there before is read."""
        committed, found = capture.steps_committed, {}
        for name in (*KEPT, *(one for one in PACKED if one in capture.names())):
            known = before.get(name, np.empty(0))
            known = known if len(known) <= committed else known[:0]
            new = column(capture, name, slice(len(known), committed), self.env)
            if new is not None:
                found[name] = np.concatenate([known, new]) if len(known) else new
        return found

    def _returns(self) -> list[tuple[int, float]]:
        if self.reward is None or "rollout/episode" not in self.kept:
            return []
        ended = [flags for name in ENDS if (flags := self.kept.get(f"rollout/{name}")) is not None]
        over = np.any([np.zeros(len(self.length), bool), *(flags > 0 for flags in ended)], axis=0)
        edges = pairwise([0, *self.begins.tolist(), len(self.length)])
        sums = [(stop - 1, float(np.nansum(self.reward[start:stop], dtype=np.float64))) for start, stop in edges]
        return [(step, total) for step, total in sums if over[step]]

    def within_episode(self, first: int, last: int) -> list[int]:
        """Return how many steps the episode of each step from `first` to before `last` has behind it."""
        steps = np.arange(first, last)
        begins = np.concatenate([[0], self.begins])
        found: list[int] = (steps - begins[np.searchsorted(begins, steps, side="right") - 1]).tolist()
        return found

    def episode_returns(self, first: int, last: int) -> list[float | None]:
        """Return the return of the episode of each step from `first` to before `last`; None where it has not ended."""
        ends = [*(self.begins - 1).tolist(), len(self.length) - 1]
        totals = dict(self.returns)
        episodes = np.searchsorted(self.begins, np.arange(first, last), side="right")
        found = [totals.get(ends[episode]) for episode in episodes.tolist()]
        return [None if one is None else float(f"{one:.7g}") for one in found]

    def within(self, first: int, last: int) -> dict[str, Any]:
        """Return boundaries and returns of the steps from `first` to before `last`.

        Of many episodes there are no boundaries, and a return is the mean of so many adjacent episodes, ``episodes``.
        """
        begins = self.begins[(self.begins > first) & (self.begins < last)]
        ended = [(step, value) for step, value in self.returns if first <= step < last]
        each = -(-len(ended) // MOST_EPISODES)
        groups = [ended[at : at + each] for at in range(0, len(ended), each or 1)]
        means = [[group[-1][0], float(f"{sum(value for _, value in group) / len(group):.7g}")] for group in groups]
        few = begins.tolist() if len(begins) <= MOST_EPISODES else []
        return {"boundaries": few, "returns": means, "episodes": each}

    def context(self, step: int) -> dict[str, Any]:
        """Return where the context of a decision begins, its tokens, and the slots at which episodes begin in it."""
        start = int(self.start[step])
        inside = self.begins[(self.begins > start) & (self.begins < step + self._last)]
        slots = (inside - start) * self._tokens + (not self._last)
        told = {"step": step, "length": int(self.length[step]), "start": start}
        if self.summaries is not None and self.generation is not None:
            latents = int(self.summaries[step])
            slots = slots + latents
            told |= {"summaries": latents, "generation": int(self.generation[step])}
        return {**told, "boundaries": slots.tolist()}
