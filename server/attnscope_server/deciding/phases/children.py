"""The stores that a decision owns: its capture, its screen, and a trial for each round of a race and for each look.

Each is made by the runner of its own kind: every verb of that kind reads it, and it goes on from its own last commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import torch
from jaxtyping import Shaped

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.policy import Policy
from attnscope_server.attempts.opening import Watching, committed
from attnscope_server.attempts.order import Callbacks, Order
from attnscope_server.capturing.job import run as run_capture
from attnscope_server.deciding.phases.specifying import Named, captured, screened, tried
from attnscope_server.deciding.phases.trying import Trying
from attnscope_server.root.paths import beside
from attnscope_server.screening.arms import Arm
from attnscope_server.screening.job import run as run_screen
from attnscope_server.trials.job import run as run_trial
from attnscope_server.trials.job import submit, trial_writer
from attnscope_server.trials.results import ConditionResult
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CheckpointInfo, Phase, TrialSpec
from attnscope_storage.wire.parts import CAPTURE, SCREEN, child_id
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision


@dataclass(frozen=True)
class Children:
    """The stores of one decision."""

    order: Order[DecisionSpec, ResolvedDecision]
    policy: Policy
    checkpoint: CheckpointInfo
    device: torch.device
    stopped: Callable[[], bool]
    advanced: Callable[[float], None]
    """Hears which share of the store that is made is done."""

    @property
    def store(self) -> UUID:
        """Id of the decision's own store."""
        return UUID(self.order.path.stem)

    def path(self, name: str) -> StorePath:
        """Return the place of a store by its name."""
        return beside(self.order.path, str(child_id(self.store, name)))

    def existing(self) -> dict[str, str]:
        """Return the ids of the stores that there are, by name."""
        names = self.order.resolved.children
        return {name: str(child_id(self.store, name)) for name in names if self.path(name).exists()}

    def capture(self) -> CaptureReader:
        """Return the capture, which is made where it is missing; another job's is opened as it is."""
        linked = self.order.resolved.capture_store
        if linked is not None:
            try:
                return CaptureReader.open(beside(self.order.path, linked))
            except CaptureNotFoundError as error:
                raise CaptureInvalidError("the capture that this decision reads was deleted") from error
        asked = captured(self.order.spec, self.order.resolved, self.checkpoint)
        return self._made(CAPTURE, asked, run_capture)

    def screen(self, arms: Sequence[Arm], most_rewards: int | None) -> CaptureReader:
        """Return the screen of the capture."""
        linked, capture = self.order.resolved.capture_store, self.capture()
        named = Named(UUID(str(capture.attributes["job"])), linked or str(child_id(self.store, CAPTURE)))
        asked = screened(self.order.spec, self.order.resolved, named, capture, arms, most_rewards)
        return self._made(SCREEN, asked, run_screen)

    def trial(self, tries: Trying, baseline: ConditionResult | None) -> CaptureReader:
        """Return the trial of a request; its uncompressed rollouts are the given ones, where these exist already."""
        asked = tried(self.order.spec, self.order.resolved, tries, self.checkpoint)
        if baseline is not None and committed(self.path(tries.name)) is None:
            order = self._order(tries.name, *asked)
            with trial_writer(order, self.checkpoint, self.device, self.policy, None, Watching()) as writer:
                submit(writer, baseline)
                writer.close(complete=False)
        return self._made(tries.name, asked, run_trial)

    def _order(self, name: str, spec: object, resolved: object) -> Order[Any, Any]:
        mine = self.order
        return Order(
            job=str(child_id(self.store, name)),
            owner=mine.owner,
            spec=spec,
            resolved=resolved,
            path=self.path(name),
            durable=mine.durable,
            listings=mine.listings,
            fused=mine.fused,
            part_of=(str(self.store), name),
            tenure=mine.tenure,
        )

    def _made(self, name: str, asked: tuple[Any, Any], runner: Callable[..., None]) -> CaptureReader:
        """Return a store, made or gone on with where it is not complete."""
        before = committed(self.path(name))
        if before is None or not before.complete:
            total = max(1, asked[1].steps_total)

            def on_progress(_phase: Phase, steps: int) -> None:
                self.advanced(steps / total)

            callbacks: Callbacks = {
                "stopped": self.stopped,
                "on_progress": on_progress,
                "on_commit": lambda _commit: None,
            }
            runner(self._order(name, *asked), self.policy, self.checkpoint, self.device, **callbacks)
        return CaptureReader.open(self.path(name))


def condition_of(reader: CaptureReader, index: int) -> ConditionResult:
    """Return the stored rollouts of one condition of a trial, without what was measured beside them."""

    def one(name: str) -> Shaped[np.ndarray, ...]:
        return np.asarray(reader.array(name)[index])

    return ConditionResult(
        returns=one("trial/return"),
        kept=one("trial/kept"),
        held=one("trial/held"),
        flops=one("trial/flops"),
        action=one("rollout/action"),
        reward=one("rollout/reward"),
    )


def specification_of(reader: CaptureReader) -> TrialSpec:
    """Return the specification that a trial was made by."""
    return TrialSpec.model_validate(reader.attributes["spec"])
