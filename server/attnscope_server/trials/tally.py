"""The tokens that the conditions of a wave kept and the operations that they took, added up episode by episode."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import starmap

import numpy as np
from jaxtyping import Float, Float64, Int

from attnscope_model.acting.context import ContextWindow
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_server.trials.acting import Recorded
from attnscope_server.trials.divergence import Diverged
from attnscope_server.trials.results import ConditionResult
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.flops import forward_flops
from attnscope_storage.wire.specifications.trials import ResolvedTrial


class Tally:
    """The running sums of a wave.

    Parameters
    ----------
    conditions
        Conditions of the wave.
    seeds, tasks
        Sizes of the axes of a condition's rollouts.
    entries
        Kept tokens that a decision has room for in the store; a policy's transitions where None.
    """

    def __init__(
        self,
        resolved: ResolvedTrial,
        policy: PolicyDescription,
        conditions: int,
        seeds: int,
        tasks: int,
        entries: int | None = None,
    ) -> None:
        self._resolved = resolved
        self._per = policy.tokens_per_transition
        self._shape = (conditions, seeds, tasks)
        envs = conditions * seeds * tasks
        steps = resolved.steps
        self._kept, self._held, self._flops = (np.zeros((envs, steps)) for _ in range(3))
        moments = (2, conditions, len(resolved.kept_steps), tasks, entries or policy.transitions)
        self._moments = np.full(moments, -1, np.int32)
        self._cost: Callable[[int, int], float] = cache(lambda tokens, seen: forward_flops(policy, tokens, seen))

    def plain(self, step: int, window: ContextWindow) -> None:
        """Count an uncompressed decision."""
        self._kept[:, step] = self._held[:, step] = window.held * self._per
        self._flops[:, step] = self._cost(window.length, window.length)
        if step in self._resolved.kept_steps:
            whole = np.arange(window.start, window.seen)
            self._moments[:, :, self._resolved.kept_steps.index(step), :, : window.held] = whole

    def compressed(self, step: int, decider: CompressedDecider) -> None:
        """Count the decisions that were just taken."""
        kept = decider.kept()
        self._kept[:, step] = np.concatenate([batch.tokens_each(self._per) for batch in kept])
        self._held[:, step] = decider.held * self._per
        self._flops[:, step] = [sum(starmap(self._cost, work)) for work in decider.computed()]
        self._flops[:, step] += decider.beside()
        if step in self._resolved.kept_steps:
            moment = self._resolved.kept_steps.index(step)
            tasks = self._shape[2]
            for condition, batch in enumerate(kept):
                for end, name in enumerate(("first", "last")):
                    values = batch.facts[name][:tasks].cpu().numpy()
                    for task, count in enumerate(batch.counts[:tasks]):
                        self._moments[end, condition, moment, task, :count] = values[task, :count]

    def results(
        self,
        recorded: Recorded,
        diverged: Diverged | None,
    ) -> list[ConditionResult]:
        """Return every condition's results."""
        reward = np.stack(recorded.reward, axis=1)
        action = np.stack(recorded.action, axis=1)
        action = action.astype(np.float32 if action.dtype.kind == "f" else np.int32)
        episode = _episodes(np.stack(recorded.ended, axis=1))
        sums = [self._by_episode(values, episode) for values in (reward, self._kept, self._held, self._flops)]
        decisions = np.maximum(self._by_episode(np.ones(reward.shape), episode), 1)
        means = [values / decisions for values in sums[1:]]
        returns, kept, held, flops = (values.astype(np.float32) for values in (sums[0], *means))
        shape = (*self._shape, -1)
        seeds, tasks = self._shape[1:]
        found = []
        for condition in range(self._shape[0]):
            known = {} if diverged is None else {name: of for name, of in vars(diverged).items() if of is not None}
            apart = {name: of[condition] for name, of in known.items()}
            moments = self._moments[:, condition] if self._resolved.kept_steps else (None, None)
            found.append(
                ConditionResult(
                    returns=returns.reshape(shape)[condition],
                    kept=kept.reshape(shape)[condition],
                    held=held.reshape(shape)[condition],
                    flops=flops.reshape(shape)[condition],
                    action=action.reshape(*shape, *action.shape[2:])[condition],
                    reward=reward.reshape(shape)[condition],
                    kept_first=moments[0],
                    kept_last=moments[1],
                    **{name: values.reshape(-1, seeds, tasks) for name, values in apart.items()},
                )
            )
        return found

    def _by_episode(
        self, values: Float[np.ndarray, "env step"], episode: Int[np.ndarray, "env step"]
    ) -> Float64[np.ndarray, "env episode"]:
        """Return the sums over every episode of the trial; steps of later ones are left out."""
        episodes = self._resolved.steps // self._resolved.horizon
        sums = np.zeros((len(values), episodes + 1))
        np.add.at(sums, (np.arange(len(values))[:, None], np.minimum(episode, episodes)), values)
        return sums[:, :episodes]


def _episodes(ended: np.ndarray) -> Int[np.ndarray, "env step"]:
    """Return the episode of every step, counted from 0."""
    before = np.cumsum(ended, axis=1)
    return np.asarray(np.concatenate([np.zeros((len(ended), 1), np.int64), before[:, :-1]], axis=1), np.int64)
