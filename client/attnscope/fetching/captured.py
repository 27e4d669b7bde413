"""The arrays of a capture and the readings that need no service: lengths, transitions, episodes, returns."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from attnscope.absent import WORDS, imported_from, why_absent
from attnscope.errors import AbsentArrayError, NotCapturedError, OutsideError
from attnscope.fetching.lazy import LazyArray
from attnscope.fetching.spread import SpreadRows, refuse_damaged
from attnscope.fetching.stored import Stored
from attnscope_storage.wire import CaptureSpec, ResolvedCapture


class ArrayGroup:
    """The arrays of one group as attributes: ``capture.stats.entropy``."""

    def __init__(self, capture: CapturedArrays, group: str) -> None:
        self._capture = capture
        self._group = group

    def __getattr__(self, name: str) -> LazyArray:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._capture[f"{self._group}/{name}"]
        except NotCapturedError as error:
            raise AbsentArrayError(error.message) from error

    def __dir__(self) -> list[str]:
        prefix = f"{self._group}/"
        return [name.removeprefix(prefix) for name in self._capture.names() if name.startswith(prefix)]


class CapturedArrays(Stored):
    """The stored half of a capture; `attnscope.capture.Capture` adds maps of any step, and exports."""

    kind: ClassVar[str] = "capture"

    @property
    def rows(self) -> LazyArray | SpreadRows:
        """Decision rows, float16 [step, row_env, layer, head, slot]; NaN past the context.

        Of a capture that stores age bins, the rows that the bins say, and the stored ones of the environments that have
        some: see `attnscope.fetching.spread`.
        """
        return self._spread() if self.row_form == "bins" else self["attention/rows"]

    @property
    def row_form(self) -> Literal["f16", "u8", "bins", "none"]:
        """The form of the decision rows that are stored: weights, bytes, age bins, or none."""
        names = self.names()
        if "attention/bins" in names:
            return "bins"
        if "attention/rows" not in names:
            return "none"
        return "u8" if "encoding" in self["attention/rows"].attributes else "f16"

    def row_envs(self) -> list[int] | None:
        """Return the entries of the env axis whose rows are stored; None where they are all, or no row is."""
        held = [name for name in ("attention/bin_env", "attention/row_env") if name in self.names()]
        return [int(env) for env in self[held[0]][:]] if held else None

    def exact_place(self, env: int) -> int | None:
        """Return where whole rows and maps of a stored environment stand on their axis; None where it has none.

        Parameters
        ----------
        env
            Place among the stored environments.
        """
        if "attention/bin_env" not in self.names():
            return env
        held = self["attention/row_env"][:].tolist() if "attention/row_env" in self.names() else []
        return held.index(self.row_env(env)) if self.row_env(env) in held else None

    def has_exact_rows(self, env: int) -> bool:
        """Return whether the rows of a stored environment are stored slot by slot.

        Parameters
        ----------
        env
            Place among the stored environments.
        """
        return "attention/rows" in self.names() and self.exact_place(env) is not None

    def _spread(self) -> SpreadRows:
        bins, committed = self["attention/bins"], self.steps_committed
        made = self.__dict__.get("_spread_rows")
        if made is None or len(made) != len(bins):
            every = self["attention/row_step"][:] if "attention/row_step" in self.names() else np.arange(committed)
            edges = np.asarray(self["attention/bin_edge"][:], np.int64)
            envs = np.asarray(self["attention/bin_env"][:], np.int64)
            length = self.context.length[:]
            refuse_damaged(bins.shape, edges, envs, length.shape[1])
            whole = self["attention/rows"] if "attention/rows" in self.names() else None
            exact = [None if whole is None else self.exact_place(place) for place in range(len(envs))]
            made = SpreadRows(
                bins,
                edges,
                length,
                (np.asarray(every, np.int64), envs),
                exact=(whole, exact),
                query_first=self.policy.query_slot == "first",
            )
            self.__dict__["_spread_rows"] = made
        return made

    @property
    def rollout(self) -> ArrayGroup:
        """Observations, actions, rewards, episodes."""
        return ArrayGroup(self, "rollout")

    @property
    def stats(self) -> ArrayGroup:
        """Statistics of every decision row."""
        return ArrayGroup(self, "stats")

    @property
    def context(self) -> ArrayGroup:
        """Context lengths and starts."""
        return ArrayGroup(self, "context")

    @property
    def env(self) -> ArrayGroup:
        """Task, seed, replica and split of each environment."""
        return ArrayGroup(self, "env")

    @property
    def spec(self) -> CaptureSpec:
        """The specification of the capture."""
        return self._attribute("spec", CaptureSpec)

    @property
    def resolved(self) -> ResolvedCapture:
        """The resolved job on the service: tasks, steps, sampled maps."""
        return self._attribute("resolved", ResolvedCapture)

    @property
    def steps_committed(self) -> int:
        """Steps that can be read."""
        return self._reader.steps_committed

    def map_steps(self) -> list[int]:
        """Return the steps whose whole maps are stored by now."""
        if "attention/map_step" not in self.names():
            return []
        return [int(step) for step in self["attention/map_step"][:]]

    def _places(self, axis: str, place: int | None) -> tuple[int, ...]:
        """Return the layers or heads at a place among the stored ones, all of them where it is None."""
        name = f"attention/row_{axis}"
        every = self[name][:].tolist() if name in self.names() else range(getattr(self.policy, f"{axis}s"))
        return tuple(every) if place is None else (every[place],)

    def row_env(self, env: int) -> int:
        """Return the entry of the env axis at a place among the stored environments.

        Parameters
        ----------
        env
            Place among the stored environments.

        Raises
        ------
        OutsideError
            Fewer environments are stored.
        """
        stored = self.row_envs()
        if stored is None:
            return env
        if not -len(stored) <= env < len(stored):
            raise OutsideError(f"env {env} is not stored; {len(stored)} environments are, counted from 0")
        return stored[env]

    def length(self, step: int, env: int = 0) -> int:
        """Return the tokens of the context, the query among them.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.

        Examples
        --------
        >>> capture.length(30)
        31
        """
        return int(self.context.length[step, self.row_env(env)])

    def lacks(self, name: str) -> str | None:
        """Return the sentence that says why something is absent; None where it is there.

        Parameters
        ----------
        name
            An array, ``returns``, or a field of the policy such as ``policy.width``; see `attnscope.absent`.
        """
        return None if name in self._said() else why_absent(name, self.kind, self.names(), self.provenance)

    def unsaid(self) -> list[str]:
        """Return in words everything that an imported capture leaves unknown; nothing of any other capture."""
        stated = self._said()
        return [words for name, words in WORDS.items() if name not in stated] if imported_from(self.provenance) else []

    def _said(self) -> set[str]:
        names, policy = set(self.names()), self.policy.model_dump()
        fields = {f"policy.{name}" for name, value in policy.items() if value is not None}
        returned = self._reader.attributes.get("episode_returns") is not None
        return names | fields | ({"returns"} if returned or {"rollout/reward", "rollout/episode"} <= names else set())

    def transition_index(self, step: int, env: int = 0) -> Int[np.ndarray, " slot"]:
        """Return the transition in each slot of a context; the query's own slot has the index of this step.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.

        Examples
        --------
        >>> capture.transition_index(3)
        array([0, 1, 2, 3])
        """
        n, start = self.length(step, env), int(self.context.start[step, self.row_env(env)])
        history = start + np.arange(n - 1) // self.policy.tokens_per_transition
        query = start + (n - 1) // self.policy.tokens_per_transition
        return np.insert(history, 0 if self.policy.query_slot == "first" else n - 1, query)

    def episode_boundaries(self, step: int, env: int = 0) -> Int[np.ndarray, " boundary"]:
        """Return the slots where an episode begins, slot 0 left out; none where episodes were not captured.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.
        """
        if "rollout/episode" not in self.names():
            return np.empty(0, np.int64)
        transitions = self.transition_index(step, env)
        first = int(transitions.min())
        episodes = self.rollout.episode[first : step + 1, self.row_env(env)][transitions - first]
        begins = np.flatnonzero(np.diff(episodes)) + 1
        return begins[begins > 1] if self.policy.query_slot == "first" else begins

    def returns(self) -> Float[np.ndarray, "env episode"]:
        """Return the return of every finished episode.

        Raises
        ------
        NotCapturedError
            An imported capture says neither returns nor rewards.

        Examples
        --------
        >>> capture.returns().shape  # environments, finished episodes
        (2, 3)
        """
        stored = self._reader.attributes.get("episode_returns")  # of an imported capture, which has no step's reward
        if stored is not None:
            return np.asarray(stored, np.float64)
        if (why := self.lacks("returns")) is not None:
            raise NotCapturedError(why)
        reward, episode = self.rollout.reward[:], self.rollout.episode[:]
        ended = (self.rollout.truncated[:] > 0) | (self.rollout.terminated[:] > 0)
        finished = int(ended.sum(axis=0).min())
        sums = np.zeros((reward.shape[1], finished))
        for number in range(finished):
            sums[:, number] = np.where(episode == number, reward, 0).sum(axis=0)
        return sums
