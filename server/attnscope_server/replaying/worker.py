"""The replay worker: a process of low priority and one thread that rebuilds decisions on the CPU, beside busy jobs.

Orders come as JSON lines on standard input. Each is answered by one JSON line on standard output; of a map, its bytes
follow. It keeps the policies and chunks it used last, and ends with its service.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import structlog
import torch
from jaxtyping import Float

from attnscope_model.acting.influence import attention_rollout, leave_one_out, value_weighted
from attnscope_model.acting.latents import leave_one_latent_out
from attnscope_model.acting.replay import Replayed, check, read_moment, replay
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression.packing_policy import packing_policy
from attnscope_model.errors import CaptureInvalidError, NotReplayableError
from attnscope_model.forward.policy import Policy
from attnscope_server.failures import problem_of
from attnscope_server.replaying.messages import Ask, Map, Refused, ReplayReport
from attnscope_server.root.captures import Captures
from attnscope_server.running.child import become_child
from attnscope_server.running.messages import Ready
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.places import place_of
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.wire import ProblemCode

log = structlog.get_logger("attnscope.replay")

CPU: Final = torch.device("cpu")
NICENESS: Final = 10
"""Niceness of replays, which stand back behind jobs and the service."""

POLICIES_HELD: Final = 2
"""Policies kept in memory."""

REDUCE: Final = "memory ran out while this was replayed"
"""Detail of a replay that ran out of memory."""


@dataclass
class ReplayWorker:
    """Answers orders, one at a time."""

    root: Path
    """Data root of the service."""
    stores: StorePath
    """Data root or bucket that the captures lie below."""
    chunks: DecodedChunks = field(default_factory=DecodedChunks)
    _policies: OrderedDict[str, Policy] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._captures = Captures(self.stores)

    def answer(self, order: Ask) -> Float[np.ndarray, ...]:
        """Return what an order asks of a decision; every answer was checked against what is stored."""
        reader = self._captures.open(order.job)
        policy = self._policy(str(reader.attributes["resolved"]["checkpoint_id"]))
        if (by := reader.policy.packed_by) is not None:
            policy = packing_policy(policy, by)
        moment = read_moment(self.chunks, reader, order.step, order.env)
        with torch.inference_mode():
            replayed = replay(policy, moment, CPU)
            check(replayed, self.chunks, reader)
            found = _asked(policy, replayed, order)
        if not torch.isfinite(found).all():
            raise CaptureInvalidError(f"step {order.step}: the replayed {order.kind} are not finite")
        return np.asarray(found.numpy(), dtype=np.float32, order="C")

    def _policy(self, checkpoint: str) -> Policy:
        policy = self._policies.pop(checkpoint, None)
        if policy is None:
            while len(self._policies) >= POLICIES_HELD:
                self._policies.popitem(last=False)
            policy = load_policy(CheckpointRegistry(self.root / "checkpoints").folder(checkpoint), CPU)
        self._policies[checkpoint] = policy
        return policy


def _asked(policy: Policy, replayed: Replayed, order: Ask) -> torch.Tensor:
    layers = torch.tensor(order.layers, dtype=torch.long)
    heads = torch.tensor(order.heads, dtype=torch.long)
    match order.kind:
        case "weights":
            return replayed.maps[layers][:, heads]
        case "value-weighted":
            return value_weighted(policy, replayed)[layers][:, heads]
        case "rollout":
            return attention_rollout(replayed.maps)[layers]
        case "leave-one-out":
            left_out = torch.tensor(order.transitions, dtype=torch.long)
            return leave_one_out(policy, replayed, left_out, order.positions)
        case "leave-one-latent-out":
            return leave_one_latent_out(policy, replayed)
        case kind:
            raise NotReplayableError(f"there is no kind {kind!r}")


def serve(worker: ReplayWorker, orders: BinaryIO, reports: BinaryIO) -> None:
    """Answer orders until there are no more."""
    _report(reports, Ready())
    for line in orders:
        order = Ask.model_validate_json(line)
        try:
            found = worker.answer(order)
        except Exception as error:
            failure = problem_of(error, where="in the replay process", reduce=REDUCE)
            if failure.code is ProblemCode.INTERNAL:
                log.exception("a replay failed", job=str(order.job), step=order.step)
            _report(reports, Refused(id=order.id, problem=failure))
        else:
            content = found.tobytes()
            _report(reports, Map(id=order.id, shape=found.shape, bytes=len(content)), content)


def _report(reports: BinaryIO, message: ReplayReport, content: bytes = b"") -> None:
    reports.write(message.line + content)
    reports.flush()


def main() -> None:
    """Serve the service that started this process; the data root is the one argument."""
    reports = become_child()
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    torch.set_num_threads(1)
    serve(ReplayWorker(Path(sys.argv[1]), place_of(sys.argv[2])), sys.stdin.buffer, reports)


if __name__ == "__main__":
    main()
