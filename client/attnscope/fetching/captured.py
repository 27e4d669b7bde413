"""The arrays of a capture and the readings that need no service: lengths, transitions, episodes, returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from attnscope.absent import WORDS, imported_from, why_absent
from attnscope.errors import NotCapturedError
from attnscope.fetching.groups import ArrayGroup
from attnscope.fetching.rows import CapturedRows
from attnscope_storage.wire import CaptureSpec, ResolvedCapture


@dataclass(frozen=True)
class Summary:
    """The latents at the front of a context."""

    latents: int
    first: int
    """First transition that they stand for."""
    last: int
    """Last transition that they stand for."""
    generation: int
    """Compressions that they went through."""

    def __str__(self) -> str:
        return f"summary of transitions {self.first}–{self.last}, generation {self.generation}"


class CapturedArrays(CapturedRows):
    """The stored half of a capture; `attnscope.capture.Capture` adds maps of any step, and exports."""

    kind: ClassVar[str] = "capture"

    @property
    def rollout(self) -> ArrayGroup:
        """Observations, actions, rewards, episodes."""
        return ArrayGroup(self, "rollout")

    @property
    def stats(self) -> ArrayGroup:
        """Statistics of every decision row."""
        return ArrayGroup(self, "stats")

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

        A latent stands for no single transition and has -1; `summary` says for which it does.

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
        at, packed = self.row_env(env), self.summary(step, env)
        latents = 0 if packed is None else packed.latents
        n, start = self.length(step, env) - latents, int(self.context.start[step, at])
        history = start + np.arange(n - 1) // self.policy.tokens_per_transition
        query = start + (n - 1) // self.policy.tokens_per_transition
        transitions = np.insert(history, 0 if self.policy.query_slot == "first" else n - 1, query)
        return np.concatenate([np.full(latents, -1, np.int64), transitions])

    def summary(self, step: int, env: int = 0) -> Summary | None:
        """Return the latents of a context and the transitions that they stand for; None where it has none.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.
        """
        if "context/summaries" not in self.names():
            return None
        at = self.row_env(env)
        latents = int(self.context.summaries[step, at])
        if latents == 0:
            return None
        last = int(self.context.start[step, at]) - 1
        return Summary(latents, 0, last, int(self.context.generation[step, at]))

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
        every = self.transition_index(step, env)
        latents = int((every < 0).sum())
        transitions = every[latents:]
        first = int(transitions.min())
        episodes = self.rollout.episode[first : step + 1, self.row_env(env)][transitions - first]
        begins = np.flatnonzero(np.diff(episodes)) + 1 + latents
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
