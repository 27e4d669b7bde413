"""One capture from its specification to its store: load, open, roll out or resume, close.

The seam between a job (what a worker is told) and a rollout (what the engine does).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from attnscope_env import observation_layout
from attnscope_model.forward.fused import NUMBA, implementation, prefer_fused
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.capturing.attributes import attributes_of, growing_window
from attnscope_server.capturing.device_rollout import DeviceRollout
from attnscope_server.capturing.device_rooms import device_rooms
from attnscope_server.capturing.plan import WRITER_BLOCKS, env_axis
from attnscope_server.capturing.precision import precision, refuse_unavailable
from attnscope_server.capturing.rollout import Rollout
from attnscope_server.kinds import Heard, Order
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.kinds.capture.contract import capture_schema
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS, TOKEN_KINDS, CaptureSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, CheckpointInfo, Phase, PolicyDescription, ResolvedCapture
from attnscope_storage.writing.writer import CaptureWriter, Commit


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
    **heard: Unpack[Heard],
) -> None:
    """Run a capture as a worker does, by the service's order."""
    run_capture(CaptureOrder(**vars(order)), policy, checkpoint, device, **heard)


def run_capture(
    order: CaptureOrder,
    policy: Policy,
    checkpoint: CheckpointInfo,
    device: torch.device,
    *,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[Phase, int], None] = lambda _phase, _steps: None,
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
    refuse_unavailable(order.spec.dtype, device)
    reader = committed(order.path)
    choose_attention(policy, device, reader, allowed=order.fused)
    axis = env_axis(order.spec, order.resolved)
    environment = _environment(order, axis)
    schema = _schema(order, policy.description, environment)
    if reader is None:
        attributes = attributes_of(
            (order.job, order.owner),
            order.spec,
            order.resolved,
            checkpoint,
            device,
            implementation(policy),
            growing_window(checkpoint.policy),
            order.spec.dtype,
        )
        static = static_arrays(schema, axis, policy.description)
        writer = CaptureWriter.create(
            order.path,
            schema,
            attributes,
            static,
            durable=order.durable,
            blocks=WRITER_BLOCKS,
            on_commit=on_commit,
            at_stage=at_stage,
        )
    else:
        writer = CaptureWriter.resume(
            order.path, schema, durable=order.durable, blocks=WRITER_BLOCKS, on_commit=on_commit, at_stage=at_stage
        )
    with closing(environment), writer:
        kind = _kind(order, environment, device)
        rollout = kind(
            _decided(order),
            axis,
            schema,
            policy,
            environment,
            writer,
            device,
            stopped,
            tell,
            order.resolved.environment_id,
        )
        with precision(order.spec.dtype, device):
            rollout.run(reader)
        tell("finishing", schema.dims.steps)
        writer.close(complete=True)


def _decided(order: CaptureOrder) -> CaptureSpec:
    """Return the specification with what it left to the checkpoint filled in."""
    mode = order.spec.sampling.mode or order.resolved.sampling
    return order.spec.model_copy(update={"sampling": order.spec.sampling.model_copy(update={"mode": mode})})


def committed(path: Path) -> CaptureReader | None:
    """Return a reader of what an earlier attempt committed, None where there is nothing."""
    try:
        return CaptureReader.open(path)
    except CaptureNotFoundError:
        return None


def _kind(order: CaptureOrder, environment: VectorEnv[Any, Any, Any], device: torch.device) -> type[Rollout]:
    """Return the rollout that steps the environment where it is quickest."""
    wanted = device.type == "cuda" if order.on_device is None else order.on_device
    return DeviceRollout if wanted and device_rooms(environment, device) is not None else Rollout


def choose_attention(policy: Policy, device: torch.device, reader: CaptureReader | None, *, allowed: bool) -> None:
    """Take the faster attention where it fits; a job that is continued keeps the one that it began with."""
    if reader is None:
        prefer_fused(policy, device, allowed=allowed)
        return
    provenance: dict[str, object] = reader.attributes["provenance"]
    began = provenance["attention_implementation"]
    prefer_fused(policy, device, allowed=began == NUMBA)
    if implementation(policy) != began:
        raise NotReproducibleError(f"it began with {began}; here is only {implementation(policy)}")


def _environment(order: CaptureOrder, axis: EnvAxis) -> VectorEnv[Any, Any, Any]:
    resolved = order.resolved
    chosen = order.listings.listing(resolved.environment_id).preset(resolved.environment_kwargs)
    return chosen.make_vector([chosen.task(int(index)) for index in axis.task])


def _schema(order: CaptureOrder, policy: PolicyDescription, environment: VectorEnv[Any, Any, Any]) -> CaptureSchema:
    shape, dtype = observation_layout(environment.single_observation_space)
    return capture_schema(order.spec, order.resolved, policy, shape, dtype)


def static_arrays(schema: CaptureSchema, axis: EnvAxis, policy: PolicyDescription) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a capture that do not grow."""
    dims = schema.dims
    known: dict[str, np.ndarray[Any, Any]] = {
        "stats/window": np.array(RECENCY_WINDOWS, np.int32),
        "context/token_kind": token_kinds(policy),
        "env/task": axis.task,
        "env/seed": axis.seed,
        "env/replica": axis.replica,
        "env/split": axis.split,
        "attention/row_env": np.array(dims.row_envs or dims.map_envs, np.int32),
        "attention/row_layer": np.array(dims.row_layers, np.int32),
        "attention/row_head": np.array(dims.row_heads, np.int32),
    }
    return {name: value for name, value in known.items() if name in schema.arrays}


def token_kinds(policy: PolicyDescription) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return the kind of each slot's token in a full context, by its place in `TOKEN_KINDS`; -1 is never filled."""
    history = [TOKEN_KINDS.index(kind) for kind in policy.token_kinds] * policy.transitions
    query = [TOKEN_KINDS.index("query")]
    kinds = [*history, *query] if policy.query_slot == "last" else [*query, *history]
    return np.array([*kinds, *[-1] * (policy.context_length - len(kinds))], np.int8)
