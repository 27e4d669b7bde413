"""One screen from its specification to its store: judge every block of rollouts that is not committed yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Unpack

import numpy as np
import torch
from jaxtyping import Float

from attnscope_model.compression.packing_policy import packing_policy
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.fused import implementation
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.errors import NotReproducibleError, RolloutStoppedError
from attnscope_server.attempts.attributes import attributes_of
from attnscope_server.attempts.opening import Watching, choose_attention, committed, open_store
from attnscope_server.attempts.order import Callbacks, Order
from attnscope_server.root.paths import beside
from attnscope_server.screening.arms import arm_of
from attnscope_server.screening.bands import Ages
from attnscope_server.screening.decisions import chosen_steps
from attnscope_server.screening.judging import Plan, own_logits, screen_block
from attnscope_server.screening.measuring import Arrays
from attnscope_server.screening.resolving import setup_of
from attnscope_server.screening.signs import Signs
from attnscope_server.screening.stored import StoredHistories
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.kinds.screen.contract import screen_schema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CheckpointInfo, Phase
from attnscope_storage.wire.specifications.screens import ResolvedScreen, ScreenSpec
from attnscope_storage.writing.writer import CaptureWriter, Commit

ScreenOrder = Order[ScreenSpec, ResolvedScreen]
"""All that a screen needs to run."""

WRITER_BLOCKS: Final = 2
"""Blocks that judging and writer share."""

LOOSE: Final = 1e-3
"""Change of a stored logit in float32 of another batch or machine, at most; relative above 1."""

LOOSER: Final = 0.1
"""The same where the capture was computed in less than float32."""


def run(
    order: ScreenOrder, policy: Policy, checkpoint: CheckpointInfo, device: torch.device, **callbacks: Unpack[Callbacks]
) -> None:
    """Run a screen as a worker does, by the service's order."""
    run_screen(order, policy, checkpoint, device, **callbacks)


def _before_step(refuse_stopped: Callable[[], None], signs: Signs) -> None:
    """Stop where that is asked for, else show that the block is worked on."""
    refuse_stopped()
    signs.show()


def run_screen(
    order: ScreenOrder,
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Phase, int], None] = lambda _phase, _rollouts: None,
    on_commit: Callable[[Commit], None] | None = None,
    at_stage: Callable[[str], None] | None = None,
) -> None:
    """Run a screen to its end, from its last committed block where it has one.

    Raises
    ------
    RolloutStoppedError
        When `stopped` said so; what was not committed is dropped.
    CaptureInvalidError
        The capture is gone, or no longer holds what it held when the screen was submitted.
    NotReproducibleError
        The checkpoint does not give the logits that the capture stored.
    StorageError
        The store cannot be written; what was committed stays readable.
    """
    reader, resolved = committed(order.path), order.resolved
    choose_attention(policy, device, reader, allowed=order.fused)
    histories = _histories(order)
    plan = plan_of(order.spec, resolved)
    schema = screen_schema(order.spec, resolved, policy.description)
    own = policy if histories.packed_by is None else packing_policy(policy, histories.packed_by)

    def new() -> tuple[dict[str, object], Arrays]:
        own = {"capture_job": str(order.spec.capture)}
        attributes = attributes_of(order, checkpoint, device, implementation(policy), own)
        return attributes, _static(histories, plan)

    watching = Watching(on_commit, at_stage)
    writer = open_store(order, reader, schema, new, blocks=WRITER_BLOCKS, watching=watching)

    def refuse_stopped() -> None:
        if stopped():
            raise RolloutStoppedError("stopped within a block")

    with writer:
        done = writer.steps_committed
        for block in plan.blocks:
            if block.start < done:
                continue
            refuse_stopped()
            on_progress("measuring", block.start)
            signs = Signs(partial(on_progress, "measuring", block.start))
            before_step = partial(_before_step, refuse_stopped, signs)
            found = screen_block(policy, histories, plan, block, device, before_step)
            logits = found[policy.description.output.array]
            if histories.packed:
                logits = own_logits(own, histories.read(plan.rollouts[block]), plan.steps[block], device, before_step)
            _refuse_other(logits, histories, plan, block, order)
            _submit(writer, found, block.stop - block.start)
            on_progress("measuring", block.stop)
        on_progress("finishing", len(resolved.envs))
        writer.close(complete=True)


def plan_of(spec: ScreenSpec, resolved: ResolvedScreen) -> Plan:
    """Return what a resolved screen judges."""
    rollouts = np.array(resolved.envs)
    return Plan(
        arms=tuple(arm_of(setup_of(arm)) for arm in resolved.arms),
        rollouts=rollouts,
        steps=chosen_steps(resolved.steps, rollouts, spec.decisions, spec.seed),
        temperature=resolved.temperature,
        most_rewards=resolved.most_rewards,
        ages=_ages(resolved),
    )


def _ages(resolved: ResolvedScreen) -> Ages | None:
    """Return the parts that are left out one at a time."""
    if resolved.age_positions is None:
        return None
    return Ages(resolved.bands, resolved.episodes_back, resolved.age_positions)


def _histories(order: ScreenOrder) -> StoredHistories:
    """Return the capture's rollouts."""
    resolved = order.resolved
    try:
        reader = CaptureReader.open(beside(order.path, resolved.capture_store))
    except CaptureNotFoundError as error:
        raise CaptureInvalidError("the capture that this screen reads was deleted") from error
    return StoredHistories(reader, resolved.steps, rows=resolved.rows)


def _static(histories: StoredHistories, plan: Plan) -> Arrays:
    """Return the arrays of a screen that do not grow."""
    chosen = plan.rollouts
    labels = {"task": histories.task, "seed": histories.seed, "replica": histories.replica, "split": histories.split}
    return {"rollout/env": chosen.astype(np.int32)} | {f"rollout/{name}": of[chosen] for name, of in labels.items()}


def _submit(writer: CaptureWriter, found: Arrays, rollouts: int) -> None:
    """Store a block's numbers."""
    block = writer.acquire()
    if found.keys() != block.arrays.keys():
        raise ValueError(f"a block's numbers: expected {sorted(block.arrays)}, got {sorted(found)}")
    for name, values in found.items():
        block.arrays[name][:rollouts] = values
    block.steps = rollouts
    writer.submit(block)


def _refuse_other(
    logits: Float[np.ndarray, "rollout decision action"],
    histories: StoredHistories,
    plan: Plan,
    block: slice,
    order: ScreenOrder,
) -> None:
    """Refuse a checkpoint that decides otherwise than the capture says it did."""
    stored = histories.logits(plan.rollouts[block], plan.steps[block])
    loose = LOOSE if histories.dtype == "float32" else LOOSER
    near = np.abs(logits - stored) <= loose * np.maximum(1.0, np.abs(stored))  # false where either is NaN
    if not near.all():
        noun = histories.head.partition("/")[2]
        raise NotReproducibleError(
            f"the checkpoint gives {noun} up to {np.abs(logits - stored).max():.2g} away from those that the capture "
            f"of {order.resolved.checkpoint_name} stored: another checkpoint, or the capture was changed"
        )
