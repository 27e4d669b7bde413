"""One capture from its specification to its store: load, open, roll out or resume, close.

The seam between a job (what a worker is told) and a rollout (what the engine does).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from gymnasium.vector import VectorEnv

from attnscope_env import observation_layout
from attnscope_model.acting.remembering import remembers
from attnscope_model.compression.packing_policy import packing_policy
from attnscope_model.forward.fused import implementation
from attnscope_model.forward.policy import Policy
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
from attnscope_server.attempts.subject import as_it_acts
from attnscope_server.capturing.device_rollout import DeviceRollout
from attnscope_server.capturing.device_rooms import device_rooms
from attnscope_server.capturing.precision import precision, refuse_unavailable
from attnscope_server.capturing.rollout import Rollout
from attnscope_server.capturing.sizing import WRITER_BLOCKS, env_axis, growing_window, static_arrays
from attnscope_storage.kinds.capture.contract import capture_schema
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.layout.store_schema import SCHEMA_VERSION
from attnscope_storage.wire import CaptureSpec, CheckpointInfo, Phase, PolicyDescription, ResolvedCapture
from attnscope_storage.writing.writer import Commit


@dataclass(frozen=True)
class CaptureOrder(Order[CaptureSpec, ResolvedCapture]):
    """All that a capture needs to run."""

    on_device: bool | None = None
    """Step environments on the device, where they have a twin there; None: on a GPU."""


def run(
    order: Order[CaptureSpec, ResolvedCapture],
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    **callbacks: Unpack[Callbacks],
) -> None:
    """Run a capture as a worker does, by the service's order."""
    run_capture(CaptureOrder(**vars(order)), policy, checkpoint, device, **callbacks)


def run_capture(
    order: CaptureOrder,
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Phase, int], None] = lambda _phase, _steps: None,
    on_commit: Callable[[Commit], None] | None = None,
    at_stage: Callable[[str], None] | None = None,
) -> None:
    """Run a capture to its end, from its last commit where it has one.

    Raises
    ------
    RolloutStoppedError
        When `stopped` said so; what was not committed is dropped.
    PrecisionUnavailableError
        When the specification asks for a precision that the device has not.
    NotReproducibleError, CaptureInvalidError
        When the environment or the captured attention breaks its promise.
    StorageError
        When the store cannot be written; what was committed stays readable.
    """
    spec = order.spec
    refuse_unavailable(spec.dtype, device)
    reader = committed(order.path)
    choose_attention(policy, device, reader, allowed=order.fused)
    axis, packed_by = env_axis(spec, order.resolved), order.resolved.packed_by
    if packed_by is not None:
        policy = packing_policy(policy, packed_by)
    checkpoint = as_it_acts(checkpoint, spec, order.resolved)
    environment = environments_of(order)(axis)
    version = SCHEMA_VERSION if reader is None else reader.schema_version
    schema = _schema(order, policy.description, environment, version)
    description = order.resolved.acting(policy.description, sliding=spec.sliding)

    def new() -> tuple[dict[str, object], Arrays]:
        own = {"seeds": sorted(spec.seeds), "dtype": spec.dtype, "growing_window": growing_window(checkpoint.policy)}
        attributes = attributes_of(order, checkpoint, device, implementation(policy), own)
        return attributes, static_arrays(schema, axis, description)

    watching = Watching(on_commit, at_stage)
    writer = open_store(order, reader, schema, new, blocks=WRITER_BLOCKS, watching=watching)
    with closing(environment), writer:
        rollout = _kind(order, policy, environment, device)(
            _decided(order),
            axis,
            schema,
            policy,
            environment,
            writer,
            device,
            stopped,
            on_progress,
            order.resolved.environment_id,
        )
        with precision(spec.dtype, device):
            rollout.run(reader)
        on_progress("finishing", schema.dims.steps)
        writer.close(complete=True)


def _decided(order: CaptureOrder) -> CaptureSpec:
    """Return the specification with what it left to the checkpoint filled in."""
    mode = order.spec.sampling.mode or order.resolved.sampling
    return order.spec.model_copy(update={"sampling": order.spec.sampling.model_copy(update={"mode": mode})})


def _kind(
    order: CaptureOrder, policy: Policy, environment: VectorEnv[Any, Any, Any], device: torch.device
) -> type[Rollout]:
    """Return the rollout that steps the environment where it is quickest."""
    wanted = device.type == "cuda" if order.on_device is None else order.on_device
    if remembers(policy):
        return Rollout  # its contexts are of unequal length, which the blocks of a device do not hold
    return DeviceRollout if wanted and device_rooms(environment, device) is not None else Rollout


def _schema(
    order: CaptureOrder, policy: PolicyDescription, environment: VectorEnv[Any, Any, Any], version: int
) -> CaptureSchema:
    shape, dtype = observation_layout(environment.single_observation_space)
    return capture_schema(order.spec, order.resolved, policy, shape, dtype, version)
