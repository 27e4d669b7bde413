"""The uncompressed rollouts that a capture stored, as a decision reads them: returns, episodes, and twins of arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from attnscope_server.deciding.statistics.episodes import first_binding_episode
from attnscope_server.trials.results import ConditionResult
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.flops import forward_flops


@dataclass(frozen=True, eq=False)
class CapturedRollouts:
    """The first steps of captured rollouts."""

    task: Int[np.ndarray, " rollout"]
    seed: Int[np.ndarray, " rollout"]
    action: Int[np.ndarray, "rollout step ..."]
    """With a further axis where an action is several choices."""
    reward: Float[np.ndarray, "rollout step"]
    ended: Bool[np.ndarray, "rollout step"]

    @classmethod
    def of(cls, reader: CaptureReader, steps: int) -> CapturedRollouts:
        """Return the first steps of a stored capture."""

        def one(name: str) -> np.ndarray:
            return np.asarray(np.swapaxes(reader.array(f"rollout/{name}")[:steps], 0, 1))

        ended = (one("terminated") > 0) | (one("truncated") > 0)
        task, seed = (np.asarray(reader.array(f"env/{name}")[:]) for name in ("task", "seed"))
        return cls(task, seed, one("action"), one("reward"), ended)

    @property
    def episode(self) -> Int[np.ndarray, "rollout step"]:
        """Number of the episode that every step belongs to."""
        return np.asarray(np.cumsum(self.ended, axis=1) - self.ended)

    @property
    def earned(self) -> Bool[np.ndarray, " rollout"]:
        """True where a rollout had any reward other than zero."""
        return np.asarray((self.reward != 0).any(axis=1))

    def returns(self, episodes: int) -> Float[np.ndarray, "rollout episode"]:
        """Return the returns of the first episodes; one that did not end is NaN."""
        sums = np.zeros((len(self.reward), max(int(self.episode.max()) + 1, episodes)))
        np.add.at(sums, (np.arange(len(self.reward))[:, None], self.episode), self.reward)
        done = self.ended.sum(axis=1)[:, None]
        return np.asarray(np.where(np.arange(sums.shape[1]) < done, sums, np.nan)[:, :episodes], np.float32)

    def begins(self, episodes: int) -> Int[np.ndarray, "rollout episode"]:
        """Return the step at which every episode begins; -1 where a rollout has no such episode."""
        found = np.full((len(self.reward), episodes), -1, np.int64)
        for number in range(episodes):
            there = (self.episode == number).any(axis=1)
            found[there, number] = (self.episode == number).argmax(axis=1)[there]
        return found

    def binds_from(
        self, begins: Int[np.ndarray, "rollout episode"], policy: PolicyDescription, tokens: int
    ) -> int | None:
        """Return the first episode at whose beginning every context holds more tokens than a budget; None without."""
        held = np.where(begins < 0, -1, np.minimum(begins, policy.transitions))
        return first_binding_episode(held * policy.tokens_per_transition, tokens)

    def places(self, tasks: Sequence[int], seeds: Sequence[int]) -> Int[np.ndarray, "seed task"] | None:
        """Return where the rollouts of tasks × seeds are; None where one is not there."""
        known = {key: index for index, key in enumerate(zip(self.task.tolist(), self.seed.tolist(), strict=True))}
        keys = [[(task, seed) for task in tasks] for seed in seeds]
        if not all(key in known for row in keys for key in row):
            return None
        return np.array([[known[key] for key in row] for row in keys])

    def twin(
        self, tasks: Sequence[int], seeds: Sequence[int], episodes: int, policy: PolicyDescription
    ) -> ConditionResult | None:
        """Return rollouts as the uncompressed condition of a trial has them; None where one was not captured."""
        places = self.places(tasks, seeds)
        if places is None:
            return None
        cost = cache(lambda tokens: forward_flops(policy, tokens, tokens))
        held = np.minimum(np.arange(self.reward.shape[1]), policy.transitions) * policy.tokens_per_transition
        flops = np.array([cost(int(tokens) + 1) for tokens in held])
        returns = np.nan_to_num(self.returns(episodes))[places]
        kept = self._means(held.astype(np.float64), episodes)[places]
        return ConditionResult(
            returns=returns,
            kept=kept,
            held=kept.copy(),
            flops=self._means(flops, episodes)[places],
            action=self.action[places].astype(np.int32),
            reward=self.reward[places].astype(np.float32),
        )

    def _means(self, of_step: Float[np.ndarray, " step"], episodes: int) -> Float[np.ndarray, "rollout episode"]:
        """Return the means over every episode's steps of a number that only the step determines."""
        episode = np.minimum(self.episode, episodes)
        sums, count = np.zeros((2, len(self.reward), episodes + 1))
        rows = np.arange(len(self.reward))[:, None]
        np.add.at(sums, (rows, episode), np.broadcast_to(of_step, episode.shape))
        np.add.at(count, (rows, episode), 1.0)
        return np.asarray((sums / np.maximum(count, 1))[:, :episodes], np.float32)


def by_task(values: Shaped[np.ndarray, "seed task ..."]) -> Shaped[np.ndarray, "rollout ..."]:
    """Return rollouts in the order task × seed."""
    turned = np.swapaxes(values, 0, 1)
    return np.asarray(turned.reshape(-1, *values.shape[2:]))


def nested(values: Shaped[np.ndarray, "task seed"]) -> tuple[tuple[float, ...], ...]:
    """Return an array as the state document holds it."""
    return tuple(tuple(float(one) for one in row) for row in values)
