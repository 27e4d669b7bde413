"""One decision from its specification to its answer: request by request, or from the last one that is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack
from uuid import UUID

import torch

from attnscope_model.forward.fused import implementation
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.errors import SlotGivenBackError
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
from attnscope_server.deciding.phases.cards import document_of
from attnscope_server.deciding.phases.children import Children
from attnscope_server.deciding.phases.earlier import earlier_decisions
from attnscope_server.deciding.phases.parts import Part
from attnscope_server.deciding.phases.record import record_of
from attnscope_server.deciding.phases.rollouts import Stage
from attnscope_server.deciding.phases.working import Worker
from attnscope_server.deciding.state import Phase
from attnscope_storage.kinds.decision.contract import decision_schema
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded, encoded
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.parts import LISTED, child_id
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision
from attnscope_storage.writing.writer import CaptureWriter

DecisionOrder = Order[DecisionSpec, ResolvedDecision]
"""All that a decision needs to run."""

WRITER_BLOCKS = 2
"""Requests that the work and the writer share."""


def run(
    order: DecisionOrder,
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    **callbacks: Unpack[Callbacks],
) -> None:
    """Decide, going on from the last committed request.

    Raises
    ------
    RolloutStoppedError
        When `stopped` said so; the request that was not committed is dropped, what its own store committed is kept.
    SlotGivenBackError
        A look is over, and others may go first; called again, the decision goes on.
    """
    reader = committed(order.path)
    choose_attention(policy, device, reader, allowed=order.fused)
    done = 0 if reader is None else reader.steps_committed

    def advanced(share: float) -> None:
        callbacks["on_progress"]("rolling", round((done + min(share, 1.0)) * order.resolved.steps))

    stage = _stage(order, policy, device, callbacks["stopped"], advanced)
    children = Children(order, policy, checkpoint, device, callbacks["stopped"], advanced)
    worker = Worker(order.spec, order.resolved, policy, stage, children)
    if reader is not None and done:
        worker.record = record_of(decoded(reader.array(DOCUMENT)[done - 1]))
    else:
        worker.record = worker.record.after(earlier_decisions(order))
    schema = decision_schema(order.spec, order.resolved, policy.description)

    def new() -> tuple[dict[str, object], Arrays]:
        own = {"seeds": sorted(order.spec.seeds), "growing_window": "recompute"}
        store = UUID(order.path.stem)
        listed = {LISTED: {name: str(child_id(store, name)) for name in order.resolved.children}}
        return attributes_of(order, checkpoint, device, implementation(policy), own) | listed, {}

    watching = Watching(callbacks["on_commit"])
    with open_store(order, reader, schema, new, blocks=WRITER_BLOCKS, watching=watching) as writer:
        while not worker.record.over:
            looked = worker.record.driver.phase is Phase.LADDER
            part = worker.answer()
            worker.try_out(device)
            document = document_of(worker.record, order, checkpoint, children.existing())
            _submit(writer, part, encoded(document, writer.schema.arrays[DOCUMENT].shape[1]))
            done += 1
            if looked and not worker.record.over:
                writer.close(complete=False)
                raise SlotGivenBackError("a look is over: whoever waits may go first")
        callbacks["on_progress"]("finishing", done * order.resolved.steps)
        writer.close(complete=True)


def _stage(
    order: DecisionOrder,
    policy: Policy,
    device: torch.device,
    stopped: Callable[[], bool],
    advanced: Callable[[float], None],
) -> Stage:
    """Return where the policy acts."""
    spec, resolved = order.spec, order.resolved
    chosen = order.listings.listing(resolved.environment_id).preset(resolved.environment_kwargs)
    return Stage(
        policy=policy,
        environments=environments_of(order),
        name=resolved.environment_id,
        device=device,
        steps=resolved.steps,
        episodes=resolved.episodes,
        temperature=spec.sampling.temperature if resolved.sampling == "sample" else None,
        most_rewards=chosen.most_rewards,
        stopped=stopped,
        advanced=advanced,
    )


def _submit(writer: CaptureWriter, part: Part, document: Any) -> None:  # noqa: ANN401 - bytes as an array
    """Store one request."""
    block = writer.acquire()
    block.arrays[DOCUMENT][0] = document
    for name, values in part.arrays().items():
        block.arrays[name][0, : len(values)] = values
    block.steps = 1
    writer.submit(block)
