"""A resolved capture as arrays: the env axis spelled out, the schema it is stored with, what it will cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from attnscope_model.forward.small_heads import fits, installed
from attnscope_storage.schema import SPLITS, CaptureDims, CaptureSchema, build_schema
from attnscope_storage.wire import CaptureSpec, Estimate, PolicyDescription, ResolvedCapture

COMPRESSION = 1.5
"""Decoded bytes per stored byte: lossless float16 under zstd level 1, measured on synthetic rows."""

WORKER_BASE_BYTES = 450 * 2**20
"""Resident memory of a worker that has loaded torch and nothing else."""

COMPILED_BYTES = 120 * 2**20
"""What numba and the attention that it compiled add to it, where a policy attends so."""

WRITER_BLOCKS = 3
"""Commits' worth of steps that rollout and writer share."""


@dataclass(frozen=True)
class EnvAxis:
    """The env axis: task × seed × replica, in that nesting."""

    task: Int[np.ndarray, " env"]
    """Task indices, as `ResolvedCapture.tasks` gives them."""
    seed: Int[np.ndarray, " env"]
    replica: Int[np.ndarray, " env"]
    split: Int[np.ndarray, " env"]
    position: Int[np.ndarray, " env"]
    """Place of each environment's task in `ResolvedCapture.tasks`."""


def env_axis(spec: CaptureSpec, resolved: ResolvedCapture) -> EnvAxis:
    """Return the env axis of a capture."""
    position, seed, replica = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(len(resolved.tasks)), np.array(spec.seeds, np.int64), np.arange(spec.replicas), indexing="ij"
        )
    )
    splits = np.array([-1 if cell.split is None else SPLITS.index(cell.split) for cell in resolved.tasks], np.int8)
    tasks = np.array([cell.index for cell in resolved.tasks], np.int32)
    return EnvAxis(
        task=tasks[position],
        seed=seed,
        replica=replica.astype(np.int32),
        split=splits[position],
        position=position,
    )


def capture_schema(
    spec: CaptureSpec,
    resolved: ResolvedCapture,
    policy: PolicyDescription,
    observation_shape: tuple[int, ...] = (2,),
    observation_dtype: str = "int32",
) -> CaptureSchema:
    """Return the arrays that a capture is stored in."""
    return build_schema(
        CaptureDims(
            steps=resolved.steps,
            envs=resolved.envs,
            layers=policy.layers,
            heads=policy.heads,
            slots=policy.context_length,
            actions=policy.actions,
            observation_shape=observation_shape,
            observation_dtype=observation_dtype,
            row_envs=resolved.row_envs if spec.rows.enabled else None,
            row_layers=resolved.row_layers,
            row_heads=resolved.row_heads,
            row_every=spec.rows.every,
            map_steps=resolved.map_steps,
            map_envs=resolved.row_envs,
            tokens_per_transition=policy.tokens_per_transition,
        )
    )


def forward_flops(policy: PolicyDescription, tokens: int, seen: int | None = None) -> float:
    """Return the floating-point operations of one decision over `tokens` tokens, which attend to `seen`, or themselves.

    Counted for a plain decoder layer with a feed-forward of four widths; the last layer's one query row is not told
    apart, since the figure only scales one measured rate to another job.
    """
    d = policy.width
    return 2.0 * policy.layers * tokens * (12 * d * d + 2 * (tokens if seen is None else seen) * d)


def capture_flops(resolved: ResolvedCapture, policy: PolicyDescription) -> float:
    """Return the floating-point operations of a whole capture."""
    grown = min(resolved.steps, policy.context_length)
    growing = sum(forward_flops(policy, tokens) for tokens in range(1, grown + 1))
    full = (resolved.steps - grown) * forward_flops(policy, policy.context_length)
    return resolved.envs * (growing + full)


def estimate(
    spec: CaptureSpec,
    resolved: ResolvedCapture,
    policy: PolicyDescription,
    *,
    disk_free_bytes: int,
    flops_per_second: float | None = None,
    compiled: bool = True,
) -> Estimate:
    """Return what a capture will cost.

    Parameters
    ----------
    disk_free_bytes
        Free bytes where captures live.
    flops_per_second
        Rate of the last capture that ended on this service, in the unit of `capture_flops`; None before the first.
    compiled
        Whether workers may attend by the compiled kernel, where it is installed and the policy's heads fit.
    """
    schema = capture_schema(spec, resolved, policy)
    raw = sum(array.nbytes for array in schema.arrays.values())
    growing = sum(array.nbytes for array in schema.arrays.values() if array.growth in {"step", "row_step"})
    block = growing * min(1.0, schema.flush_steps / resolved.steps)
    maps = sum(array.nbytes for array in schema.arrays.values() if array.growth == "sample")
    one_map = maps / max(1, len(resolved.map_steps))
    activations = 4 * resolved.envs * policy.context_length * policy.width * 12
    if policy.causal and policy.query_slot == "last":  # keys and values of every layer while the window grows
        activations += 8 * resolved.envs * policy.context_length * policy.width * policy.layers
    base = WORKER_BASE_BYTES + (COMPILED_BYTES if compiled and fits(policy) and installed() else 0)
    memory = base + 4 * policy.parameters + WRITER_BLOCKS * block + 3 * one_map + activations
    return Estimate(
        resolved=resolved,
        bytes_raw=raw,
        bytes_on_disk=round(raw / COMPRESSION),
        worker_memory_bytes=round(memory),
        seconds=None if flops_per_second is None else capture_flops(resolved, policy) / flops_per_second,
        seconds_basis="no capture has ended on this service yet"
        if flops_per_second is None
        else "the rate of the last capture that ended here, scaled by the arithmetic of a forward pass",
        disk_free_bytes=disk_free_bytes,
    )
