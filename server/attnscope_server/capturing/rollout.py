"""The rollout: one forward pass a step gives the action and the decision rows, and the writer stores them beside it.

Exactly the reference's evaluation (context grows from one token, slides when full, is never cleared between
episodes), but captured in the same pass. Knows nothing of jobs, queues or processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from gymnasium.vector import VectorEnv

from attnscope_model.acting.deciding import Decision
from attnscope_model.acting.outputs import output_of
from attnscope_model.acting.packing import PackingDecider
from attnscope_model.acting.remembering import Deciding, deciding
from attnscope_model.forward.fused import TORCH, implementation
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.choices import HostArray, PolicyActor, host_choices
from attnscope_server.acting.errors import NotReproducibleError, RolloutStoppedError
from attnscope_server.acting.loop import Transition, act
from attnscope_server.acting.rooms import HostRooms
from attnscope_server.capturing.compressions import CompressionRecorder
from attnscope_server.capturing.listening import BlockRecorder, RetakenSteps
from attnscope_server.capturing.recording import AttentionRecorder
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, Phase
from attnscope_storage.writing.blocks import StepBlock
from attnscope_storage.writing.writer import CaptureWriter

__all__ = ["NotReproducibleError", "Rollout", "RolloutStoppedError"]

DRAWN_STEPS = 512
"""Steps whose random numbers are drawn at a time, where a commit is shorter."""

REPORT_SECONDS = 0.2
"""Seconds between two reports of progress."""


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
    on_progress: Callable[[Phase, int], None] = lambda _phase, _steps: None
    environment_id: str = "the environment"
    """Name of the environment in errors."""
    _reported_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._decider = self._new_decider()
        self._rooms = HostRooms(self.environment, self.axis, self.environment_id)
        compiled = implementation(self.policy) != TORCH  # as provenance has it, so that a resume takes the same
        self._attention = AttentionRecorder(self.schema, self.policy.description.query_slot, compiled=compiled)

    def _new_decider(self) -> Deciding:
        """Return the contexts; the recorder checks the sums of their rows."""
        dims, sliding = self.schema.dims, self.spec.sliding
        kept = dims.kept_envs
        return deciding(self.policy, dims.envs, self.device, sums="elsewhere", map_envs=kept, sliding=sliding)

    @property
    def _temperature(self) -> float | None:
        sampling = self.spec.sampling
        return sampling.temperature if sampling.mode == "sample" else None

    def run(self, reader: CaptureReader | None = None) -> None:
        """Roll out to the last step, after re-stepping what `reader`'s capture holds already.

        Raises
        ------
        RolloutStoppedError
            When `stopped` said so; what is not committed is for the caller to drop.
        NotReproducibleError
            When the re-stepped environment differs from what is stored.
        EnvironmentUnusableError
            When the environment gives a number that is not finite.
        """
        with torch.inference_mode():
            if reader is not None:
                self._take_again(reader)
            self._roll()

    def _roll(self) -> None:
        """Roll out what is not committed yet, a commit at a time."""
        total, flush = self.schema.dims.steps, self.schema.flush_steps
        output = output_of(self.policy.description)
        choices = host_choices(self.axis, self._temperature, output, max(flush, DRAWN_STEPS))
        actor = PolicyActor[HostArray](self._decider, choices, rows=True, map_steps=self._attention.map_steps)
        for first in range(self.writer.steps_committed, total, flush):
            block = self.writer.acquire()
            block.steps = min(flush, total - first)
            self._hear_compressions(block, first)
            act(range(first, first + block.steps), self._rooms, actor, self._recorder(block, first))
            self.writer.submit(block)

    def _hear_compressions(self, block: StepBlock, first: int) -> None:
        """Let the compressions of a block's steps be stored in it, where any are kept."""
        dims = self.schema.dims.compressions
        if dims is not None and isinstance(self._decider, PackingDecider):
            self._decider.heard = CompressionRecorder(dims, block, first)

    def _recorder(self, block: StepBlock, first: int) -> BlockRecorder[HostArray]:
        head = self.policy.description.output.array

        def attend(step: int, row: int, decision: Decision) -> None:
            self._attention.record(block, step, row, decision)
            block.arrays[head][row] = decision.logits.cpu().numpy()

        return BlockRecorder[HostArray](
            block.arrays, first, self._decider.window, attend, self.refuse_stopped, self.report_rolled
        )

    def _take_again(self, reader: CaptureReader) -> None:
        """Take the committed steps again, with the stored actions and without the policy.

        The environment is stepped from its beginning and must reproduce every stored observation; the context takes
        the transitions one by one, through the code that a rollout uses, so that it ends with the same bits. A cache
        that the next step still needs is built again the same way, one decision a step.
        """
        committed, flush = self.writer.steps_committed, self.schema.flush_steps
        retaken = RetakenSteps(
            reader,
            committed,
            flush,
            self._decider,
            lambda step: self.refuse_stopped(step, "while resuming, "),
            lambda: self.report("resuming", committed),
        )
        act(range(committed), self._rooms, retaken, retaken)

    def refuse_stopped(self, step: int, when: str = "") -> None:
        """Stop before a step where that was asked for."""
        if self.stopped():
            raise RolloutStoppedError(f"stopped {when}at step {step}")

    def report_rolled(self, step: int, _transition: Transition[Any]) -> None:
        """Report that a step is done."""
        self.report("rolling", step + 1)

    def report(self, phase: Phase, steps: int) -> None:
        """Report progress, at most every `REPORT_SECONDS`."""
        now = time.monotonic()
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self.on_progress(phase, steps)
