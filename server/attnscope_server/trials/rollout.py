"""A trial being run: its conditions, wave by wave, each paired with the uncompressed rollout.

Every rollout has the same environment seeds and the same random number at the same step in every condition, so that
conditions differ only by what their decisions saw. Knows nothing of jobs, stores or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Shaped

from attnscope_model.acting.outputs import output_of
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.acting.rooms import Environment, HostRooms
from attnscope_server.trials.acting import Recorded, roll_out, take_again
from attnscope_server.trials.axes import compression, lanes_of, repeated, trial_axis
from attnscope_server.trials.divergence import Diverged, DivergenceMeter, plain_logits, undiverged
from attnscope_server.trials.results import ConditionResult
from attnscope_server.trials.speed import SpeedMeter
from attnscope_server.trials.tally import Tally
from attnscope_server.trials.waves import waves_of
from attnscope_storage.wire import Phase
from attnscope_storage.wire.specifications.trials import Condition, ResolvedTrial, TrialSpec


class TrialRunner:
    """The conditions of a trial.

    Parameters
    ----------
    spec, resolved
        What was asked for, and what it means here.
    policy
        What decides.
    environments
        Makes the environments of an env axis, in its order.
    device
        Where decisions are taken.
    stopped
        Asked before every step.
    on_progress
        Told how many steps, of every condition of the wave, are done.
    others
        The policies of other checkpoints that act in the trial, by id.
    """

    def __init__(
        self,
        spec: TrialSpec,
        resolved: ResolvedTrial,
        policy: Policy,
        environments: Callable[[EnvAxis], Environment],
        device: torch.device,
        stopped: Callable[[], bool] = lambda: False,
        on_progress: Callable[[Phase, int], None] = lambda _phase, _steps: None,
        others: Mapping[str, Policy] = MappingProxyType({}),
    ) -> None:
        self._spec, self._resolved, self._policy, self._device = spec, resolved, policy, device
        self._environments, self._stopped, self._on_progress = environments, stopped, on_progress
        self._policies = [others.get(one.id, policy) for one in resolved.checkpoints] or [policy]
        self._axis = trial_axis(spec, resolved)
        self._temperature = spec.sampling.temperature if resolved.sampling == "sample" else None
        self._output = output_of(policy.description)
        self._baseline: Recorded | None = None
        self._divergence: DivergenceMeter | None = None

    def waves(self) -> list[tuple[int, ...]]:
        """Return the conditions of every wave; the same for the same specification."""
        return waves_of(self._resolved.conditions, len(self._axis.task))

    def restore(
        self, actions: Shaped[np.ndarray, "seed task step ..."], rewards: Float[np.ndarray, "seed task step"]
    ) -> None:
        """Take the uncompressed rollout again from its stored actions, before waves that were not run yet.

        Raises
        ------
        NotReproducibleError
            The environments give other rewards than those that are stored.
        RolloutStoppedError
            When `stopped` said so.
        """
        envs = len(self._axis.task)

        def at_step(step: int) -> None:
            self._refuse_stopped()
            self._on_progress("resuming", step)

        with torch.inference_mode(), closing(self._environments(self._axis)) as environment:
            flat = actions.reshape(envs, rewards.shape[2], *actions.shape[3:]), rewards.reshape(envs, -1)
            recorded = take_again(self._rooms(environment, self._axis), *flat, at_step)
        with torch.inference_mode():
            plain = PlainDecider(self._policy, envs, self._device)
            logits = plain_logits(
                plain, recorded, self._resolved.divergence_steps, lambda _step: self._refuse_stopped()
            )
        self._adopt(recorded, logits)

    def run(self, wave: tuple[int, ...]) -> Iterator[ConditionResult]:
        """Run a wave and give what each of its conditions gave, in their order.

        Raises
        ------
        RolloutStoppedError
            When `stopped` said so.
        """
        with torch.inference_mode():
            results = self._uncompressed() if wave == (0,) else self._compressed(wave)
        yield from results

    def _uncompressed(self) -> list[ConditionResult]:
        """Roll out condition 0."""
        decider = PlainDecider(self._policy, len(self._axis.task), self._device)
        tally = self._new_tally(1, self._policy)
        sampled: dict[int, torch.Tensor] = {}

        def at_step(step: int, logits: torch.Tensor) -> None:
            self._begin(step, 1)
            tally.plain(step, decider.window)
            if step in self._resolved.divergence_steps:
                sampled[step] = logits.clone()  # a policy may hand its own buffer out

        recorded = self._rolled(decider, self._axis, at_step)
        self._adopt(recorded, sampled)
        shape = (1, len(self._resolved.divergence_steps), len(self._axis.task))
        same = undiverged(self._policy.description, shape)
        return self._with_speeds(tally.results(recorded, same if sampled else None), self._policy, [None])

    def _compressed(self, wave: tuple[int, ...]) -> list[ConditionResult]:
        """Roll out the conditions of a wave, batch beside batch."""
        if self._baseline is None:
            raise ValueError("expected the wave of condition 0, or its stored actions, before any other")
        conditions = [self._resolved.conditions[index] for index in wave]
        decider = self._decider(conditions)
        tally = self._new_tally(len(wave), self._policy_of(conditions))

        def at_step(step: int, _logits: torch.Tensor) -> None:
            self._begin(step, len(wave))
            tally.compressed(step, decider)

        recorded = self._rolled(decider, repeated(self._axis, len(wave)), at_step)
        results = tally.results(recorded, self._diverged(conditions))
        setups = [compression(condition) for condition in conditions]
        return self._with_speeds(results, self._policy_of(conditions), setups)

    def _policy_of(self, conditions: list[Condition]) -> Policy:
        """Return the policy of a wave, which is of one checkpoint."""
        return self._policies[conditions[0].checkpoint]

    def _with_speeds(
        self, results: list[ConditionResult], policy: Policy, setups: Sequence[Compression | None]
    ) -> list[ConditionResult]:
        """Return the results with what decisions took, where that is asked for."""
        if not self._spec.speed.enabled or self._baseline is None:
            return results
        done = len(results) * self._resolved.steps
        before_arm = partial(self._measuring, done)
        meter = SpeedMeter(self._policy, self._device, self._baseline, self._spec.speed, before_arm, policy)
        return [
            replace(result, seconds=found.seconds, p50=found.p50, p95=found.p95)
            for result, found in zip(results, meter.measure(setups), strict=True)
        ]

    def _diverged(self, conditions: list[Condition]) -> Diverged | None:
        """Return how the conditions diverge on the uncompressed histories; None where nothing is sampled."""
        if self._divergence is None or not self._resolved.divergence_steps:
            return None
        decider = self._decider(conditions)
        done = len(conditions) * self._resolved.steps
        return self._divergence.measure(decider, len(conditions), lambda _step: self._measuring(done))

    def _adopt(self, recorded: Recorded, logits: dict[int, Float[torch.Tensor, "env action"]]) -> None:
        """Take a rollout for the uncompressed one that all others are paired with."""
        self._baseline = recorded
        self._divergence = DivergenceMeter(
            recorded, self._resolved.divergence_steps, logits, self._temperature, self._policy.description
        )

    def _new_tally(self, conditions: int, policy: Policy) -> Tally:
        seeds, tasks = len(self._spec.seeds), len(self._resolved.tasks)
        entries = max(one.description.transitions for one in self._policies)
        return Tally(self._resolved, policy.description, conditions, seeds, tasks, entries)

    def _rolled(
        self, decider: PlainDecider | CompressedDecider, axis: EnvAxis, at_step: Callable[[int, torch.Tensor], None]
    ) -> Recorded:
        with closing(self._environments(axis)) as environment:
            rooms = self._rooms(environment, axis)
            return roll_out(decider, rooms, axis, self._resolved.steps, self._temperature, self._output, at_step)

    def _rooms(self, environment: Environment, axis: EnvAxis) -> HostRooms:
        return HostRooms(environment, axis, self._resolved.environment_id)

    def _decider(self, conditions: list[Condition]) -> CompressedDecider:
        setups = [compression(condition) for condition in conditions]
        policy = self._policy_of(conditions)
        return CompressedDecider(policy, setups, torch.from_numpy(lanes_of(self._axis)), self._device)

    def _begin(self, step: int, conditions: int) -> None:
        self._refuse_stopped()
        self._on_progress("rolling", conditions * step)

    def _measuring(self, steps: int) -> None:
        self._refuse_stopped()
        self._on_progress("measuring", steps)

    def _refuse_stopped(self) -> None:
        if self._stopped():
            raise RolloutStoppedError("stopped within a wave")
