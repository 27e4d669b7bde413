"""The runner of the invented kind, which only a worker imports."""

from __future__ import annotations

import threading
from typing import Unpack

import torch

from attnscope_model.forward.policy import Policy
from attnscope_server.attempts.attributes import attributes_of
from attnscope_server.attempts.opening import Arrays, Watching, committed, open_store
from attnscope_server.attempts.order import Callbacks, Order
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_storage.wire import CheckpointInfo
from invented.contract import COUNTED, CountSpec, ResolvedCount, count_schema, counted


def run(
    order: Order[CountSpec, ResolvedCount],
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    **callbacks: Unpack[Callbacks],
) -> None:
    """Count from the last committed entry to the end."""
    schema = count_schema(order.spec, order.resolved, policy.description)
    reader = committed(order.path)
    first = reader is None

    def new() -> tuple[dict[str, object], Arrays]:
        return attributes_of(order, checkpoint, device, "none", {}), {}

    with open_store(order, reader, schema, new, blocks=2, watching=Watching(callbacks["on_commit"])) as writer:
        for entry in range(writer.steps_committed, order.resolved.entries):
            if first and entry == order.spec.hold_after:
                wait(callbacks)
            block = writer.acquire()
            block.arrays[COUNTED][0] = counted(entry, policy.description.actions)
            block.steps = 1
            writer.submit(block)
            callbacks["on_progress"]("rolling", 2 * (entry + 1))
        writer.close(complete=True)


def wait(callbacks: Callbacks) -> None:
    """Return never: raise once the job is told to stop, unless the worker is killed before."""
    while not callbacks["stopped"]():
        threading.Event().wait(0.01)
    raise RolloutStoppedError
