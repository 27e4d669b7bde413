"""The rollout: one forward pass a step gives the action and the decision rows, and the writer stores them beside it.

Exactly the reference's evaluation (context grows from one token, slides when full, is never cleared between
episodes), but captured in the same pass. Knows nothing of jobs, queues or processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from attnscope_env import environment_seeds, terminal_observations
from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.sampling import ACTION_STREAM, choose_actions, uniforms
from attnscope_model.forward.fused import NUMBA, implementation
from attnscope_model.forward.policy import Policy
from attnscope_server.capturing.plan import EnvAxis
from attnscope_server.capturing.recording import AttentionRecorder
from attnscope_storage.blocks import StepBlock
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.reader import CaptureReader
from attnscope_storage.schema import CaptureSchema
from attnscope_storage.wire import CaptureSpec, Phase
from attnscope_storage.writer import CaptureWriter

TOLD_EVERY_SECONDS = 0.2
"""Seconds between two reports of progress."""


class RolloutStoppedError(AttnscopeError):
    """The rollout was told to stop."""


class NotReproducibleError(AttnscopeError):
    """The resumed environment gave other observations than those that are stored."""


@dataclass
class Rollout:
    """One capture being rolled out: policy, environments, context and the writer they feed."""

    spec: CaptureSpec
    axis: EnvAxis
    schema: CaptureSchema
    policy: Policy
    environment: VectorEnv[Any, Any, Any]
    writer: CaptureWriter
    device: torch.device
    stopped: Callable[[], bool] = lambda: False
    tell: Callable[[Phase, int], None] = lambda _phase, _steps: None

    def __post_init__(self) -> None:
        envs = self.schema.dims.envs
        self._decider = Decider(self.policy, envs, self.device, sums="elsewhere")  # the recorder looks at them
        self._observation = self._reset()
        self._episode = np.zeros(envs, np.int32)
        compiled = implementation(self.policy) == NUMBA  # as provenance has it, so that a resume takes the same
        self._recorder = AttentionRecorder(self.schema, self.policy.description.query_slot, compiled=compiled)
        self._told_at = 0.0

    def _reset(self) -> np.ndarray[Any, Any]:
        axis = self.axis
        seeds = environment_seeds(axis.seed, axis.task, axis.replica)
        observation, _ = self.environment.reset(seed=seeds)  # type: ignore[arg-type]  # gymnasium takes a list too
        return np.asarray(observation)

    def run(self, reader: CaptureReader | None = None) -> None:
        """Roll out to the last step, after re-stepping what `reader`'s capture holds already.

        Raises
        ------
        RolloutStoppedError
            When `stopped` said so; what is not committed is for the caller to drop.
        NotReproducibleError
            When the re-stepped environment differs from what is stored.
        """
        with torch.inference_mode():
            if reader is not None:
                self._replay(reader)
            total, flush = self.schema.dims.steps, self.schema.flush_steps
            for first in range(self.writer.steps_committed, total, flush):
                self._roll_block(first, min(first + flush, total))

    def _roll_block(self, first: int, last: int) -> None:
        """Roll out the steps of one commit and hand them to the writer."""
        block = self.writer.acquire()
        numbers = None
        if self.spec.sampling.mode == "sample":
            axis = self.axis
            numbers = uniforms(axis.seed, axis.task, axis.replica, first, last - first, ACTION_STREAM)
        for step in range(first, last):
            if self.stopped():
                raise RolloutStoppedError(f"stopped at step {step}")
            self._step(block, step, step - first, None if numbers is None else numbers[step - first])
            self._report("rolling", step + 1)
        block.steps = last - first
        self.writer.submit(block)

    def _step(self, block: StepBlock, step: int, row: int, numbers: np.ndarray[Any, Any] | None) -> None:
        window, stored = self._decider.window, block.arrays
        decision = self._decider.decide(self._observation, rows=True, maps=step in self._recorder.map_steps)
        actions = choose_actions(decision.logits, numbers, self.spec.sampling.temperature)
        self._recorder.record(block, step, row, decision)
        stored["context/length"][row] = window.length
        stored["context/start"][row] = window.start
        stored["policy/logits"][row] = decision.logits.cpu().numpy()
        self._act(actions, stored, row)

    def _act(self, actions: np.ndarray[Any, Any], stored: dict[str, np.ndarray[Any, Any]], row: int) -> None:
        """Step the environments and append the finished transition."""
        before = self._observation
        after, reward, terminated, truncated, infos = self.environment.step(actions)
        reached = terminal_observations(after, infos)
        for name, value in (
            ("observation", before),
            ("next_observation", reached),
            ("action", actions),
            ("reward", reward),
            ("episode", self._episode),
            ("terminated", terminated),
            ("truncated", truncated),
        ):
            stored[f"rollout/{name}"][row] = value
        self._advance(before, actions, reward, reached, after, terminated | truncated)

    def _advance(
        self,
        before: np.ndarray[Any, Any],
        actions: np.ndarray[Any, Any],
        reward: np.ndarray[Any, Any],
        reached: np.ndarray[Any, Any],
        after: np.ndarray[Any, Any],
        ended: np.ndarray[Any, Any],
    ) -> None:
        self._decider.append(before, actions, reward, reached)
        self._episode = self._episode + ended.astype(np.int32)
        self._observation = np.asarray(after)

    def _replay(self, reader: CaptureReader) -> None:
        """Take the committed steps again, with the stored actions and without the policy.

        The environment is stepped from its beginning and must reproduce every stored observation; the context takes
        the transitions one by one, through the code that a rollout uses, so that it ends with the same bits. A cache
        that the next step still needs is built again the same way, one decision a step.
        """
        committed, flush = self.writer.steps_committed, self.schema.flush_steps
        decides = self._decider.caches(committed)
        names = ("observation", "next_observation", "action", "reward")
        for first in range(0, committed, flush):
            last = min(first + flush, committed)
            stored = {name: reader.array(f"rollout/{name}")[first:last] for name in names}
            for row in range(last - first):
                if self.stopped():
                    raise RolloutStoppedError(f"stopped while resuming, at step {first + row}")
                if decides:
                    self._decider.decide(self._observation)
                self._replay_step(first + row, {name: values[row] for name, values in stored.items()})
                self._report("resuming", committed)

    def _replay_step(self, step: int, stored: dict[str, np.ndarray[Any, Any]]) -> None:
        before, actions = self._observation, stored["action"]
        after, reward, terminated, truncated, infos = self.environment.step(actions)
        reached = terminal_observations(after, infos)
        for name, value in (("observation", before), ("next_observation", reached), ("reward", reward)):
            if not np.array_equal(stored[name], np.asarray(value, dtype=stored[name].dtype)):
                raise NotReproducibleError(
                    f"the environment does not reproduce its {name} at step {step}: stored {stored[name].tolist()}, "
                    f"now {np.asarray(value).tolist()}"
                )
        self._advance(before, actions, reward, reached, after, terminated | truncated)

    def _report(self, phase: Phase, steps: int) -> None:
        now = time.monotonic()
        if now - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = now
            self.tell(phase, steps)
