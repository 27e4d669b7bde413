"""One trial from its specification to its store: run every wave of conditions, or those that are not committed yet.

The seam between a job (what a worker is told) and compressed rollouts (what a `WaveRunner` does).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, Unpack

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Int

from attnscope_model.forward.fused import implementation
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.attempts.attributes import attributes_of
from attnscope_server.attempts.opening import (
    Arrays,
    Watching,
    choose_attention,
    committed,
    environments_of,
    open_store,
)
from attnscope_server.attempts.order import Callbacks, Order
from attnscope_server.trials.policies import facts_of, other_policies
from attnscope_server.trials.results import ConditionResult
from attnscope_server.trials.rollout import TrialRunner
from attnscope_server.trials.sizing import WRITER_BLOCKS, static_arrays
from attnscope_storage.kinds.trial.contract import trial_schema
from attnscope_storage.kinds.trial.schema import DEPARTURE
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CheckpointInfo, Phase, ResolvedTrial, TrialSpec
from attnscope_storage.writing.writer import CaptureWriter, Commit

Environments = Callable[[EnvAxis], "VectorEnv[Any, Any, Any]"]
"""Makes the environments of an axis, in its order."""

OnProgress = Callable[[Phase, int], None]
"""Hears the phase, and the steps that a wave has taken: those of all its conditions together."""


class WaveRunner(Protocol):
    """A runner of conditions; `attnscope_server.trials.rollout.TrialRunner` is one."""

    @abstractmethod
    def waves(self) -> list[tuple[int, ...]]:
        """Return the conditions that are rolled out together, in the order of their indices; the first is 0 alone."""
        ...

    def restore(self, actions: Int[np.ndarray, "seed task step"], rewards: Float[np.ndarray, "seed task step"]) -> None:
        """Take back the uncompressed rollout from what is stored of it."""

    @abstractmethod
    def run(self, wave: tuple[int, ...]) -> Iterator[ConditionResult]:
        """Yield the results of a wave's conditions, in the order of their indices."""
        ...


class MakeRunner(Protocol):
    """Makes a runner of one trial."""

    @abstractmethod
    def __call__(
        self,
        spec: TrialSpec,
        resolved: ResolvedTrial,
        policy: Policy,
        environments: Environments,
        device: torch.device,
        stopped: Callable[[], bool],
        on_progress: OnProgress,
        others: Mapping[str, Policy],
    ) -> WaveRunner:
        """Return the runner."""
        ...


TrialOrder = Order[TrialSpec, ResolvedTrial]
"""All that a trial needs to run."""


def run(
    order: TrialOrder, policy: Policy, checkpoint: CheckpointInfo, device: torch.device, **callbacks: Unpack[Callbacks]
) -> None:
    """Run a trial as a worker does, by the service's order."""
    run_trial(order, policy, checkpoint, device, TrialRunner, **callbacks)


def run_trial(
    order: TrialOrder,
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    make: MakeRunner,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: OnProgress = lambda _phase, _steps: None,
    on_commit: Callable[[Commit], None] | None = None,
    at_stage: Callable[[str], None] | None = None,
) -> None:
    """Run a trial to its end, from its last committed condition where it has one.

    Parameters
    ----------
    on_progress
        Hears the phase, and the steps of all conditions so far.

    Raises
    ------
    RolloutStoppedError
        When `stopped` said so; what was not committed is dropped.
    NotReproducibleError
        When the environment does not reproduce what is stored of the uncompressed rollout.
    StorageError
        When the store cannot be written; what was committed stays readable.
    """
    reader = committed(order.path)
    choose_attention(policy, device, reader, allowed=order.fused)
    others, stated = other_policies(order, device, reader)
    progress = _Progress(on_progress, order.resolved.steps)
    runner = make(order.spec, order.resolved, policy, environments_of(order), device, stopped, progress.hear, others)
    waves = runner.waves()
    if list(chain(*waves)) != [condition.index for condition in order.resolved.conditions]:
        raise RuntimeError(f"expected waves that cover every condition in order, got {waves}")
    facts = [facts_of(checkpoint, policy), *stated] if order.resolved.checkpoints else []
    with trial_writer(order, checkpoint, device, policy, reader, Watching(on_commit, at_stage), facts) as writer:
        done = writer.steps_committed
        if reader is not None and done:
            on_progress("resuming", done * order.resolved.steps)
            runner.restore(reader.array("rollout/action")[0], reader.array("rollout/reward")[0])
        for wave in waves:
            if wave[-1] < done:
                continue
            progress.base = wave[0] * order.resolved.steps
            for index, result in zip(wave, runner.run(wave), strict=True):
                if index >= done:
                    submit(writer, result)
            if stopped():
                raise RolloutStoppedError
        on_progress("finishing", order.resolved.steps_total)
        writer.close(complete=True)


@dataclass
class _Progress:
    """Adds what the waves before took."""

    on_progress: OnProgress
    steps: int
    base: int = 0

    def hear(self, phase: Phase, steps: int) -> None:
        self.on_progress(phase, self.base + steps)


def trial_writer(
    order: TrialOrder,
    checkpoint: CheckpointInfo,
    device: torch.device,
    policy: Policy,
    reader: CaptureReader | None,
    watching: Watching,
    facts: Sequence[Mapping[str, Any]] = (),
) -> CaptureWriter:
    """Return the writer of a trial's store, made anew or continued where a reader of it is given.

    Parameters
    ----------
    facts
        Provenance of every checkpoint, where the trial has arms.
    """
    schema = trial_schema(order.spec, order.resolved, policy.description)
    schema = schema if reader is None else schema.of_store(reader.names())

    def new() -> tuple[dict[str, object], Arrays]:
        own: dict[str, object] = {"seeds": sorted(order.spec.seeds), "growing_window": order.spec.path}
        own |= {"checkpoints": list(facts)} if facts else {}
        attributes = attributes_of(order, checkpoint, device, implementation(policy), own)
        return attributes, static_arrays(schema, order.spec, order.resolved)

    return open_store(order, reader, schema, new, blocks=WRITER_BLOCKS, watching=watching)


def submit(writer: CaptureWriter, result: ConditionResult) -> None:
    """Store one condition's results.

    Raises
    ------
    ValueError
        They are not the arrays that this trial stores.
    """
    block, found = writer.acquire(), result.arrays()
    if DEPARTURE not in block.arrays:
        found.pop(DEPARTURE, None)  # an earlier version began the trial
    if found.keys() != block.arrays.keys():
        missing, other = sorted(block.arrays.keys() - found.keys()), sorted(found.keys() - block.arrays.keys())
        raise ValueError(f"a condition's results: missing {missing}, not in the schema {other}")
    for name, values in found.items():
        wanted = block.arrays[name][0]
        if values.shape != wanted.shape or not np.can_cast(values.dtype, wanted.dtype, casting="same_kind"):
            raise ValueError(f"{name}: expected {wanted.dtype}{wanted.shape}, got {values.dtype}{values.shape}")
        wanted[...] = values
    block.steps = 1
    writer.submit(block)
