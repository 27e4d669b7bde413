"""A resolved capture as arrays: the env axis spelled out, and what it will cost."""

from __future__ import annotations

import numpy as np

from attnscope_model.forward.small_heads import fits, installed
from attnscope_server.acting.axis import EnvAxis
from attnscope_storage.layout.store_schema import SPLITS, StoreSchema
from attnscope_storage.wire import CaptureSpec, PolicyDescription, ResolvedCapture
from attnscope_storage.wire.flops import forward_flops

COMPILED_BYTES = 120 * 2**20
"""Bytes that numba and the attention that it compiled add to a worker, where a policy attends so."""

WRITER_BLOCKS = 3
"""Commits' worth of steps that rollout and writer share."""


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


def capture_flops(resolved: ResolvedCapture, policy: PolicyDescription) -> float:
    """Return the floating-point operations of a whole capture."""
    grown = min(resolved.steps, policy.context_length)
    growing = sum(forward_flops(policy, tokens) for tokens in range(1, grown + 1))
    full = (resolved.steps - grown) * forward_flops(policy, policy.context_length)
    return resolved.envs * (growing + full)


def capture_memory(
    resolved: ResolvedCapture, policy: PolicyDescription, schema: StoreSchema, *, compiled: bool = True
) -> float:
    """Return a guess of the bytes that a capture needs in a worker: weights, blocks, maps and activations.

    Parameters
    ----------
    compiled
        Whether workers may attend by the compiled kernel, where it is installed and the policy's heads fit.
    """
    growing = sum(array.nbytes for array in schema.arrays.values() if array.growth in {"step", "row_step"})
    block = growing * min(1.0, schema.flush_steps / resolved.steps)
    maps = sum(array.nbytes for array in schema.arrays.values() if array.growth == "sample")
    one_map = maps / max(1, len(resolved.map_steps))
    activations = 4 * resolved.envs * policy.context_length * policy.width * 12
    if policy.causal and policy.query_slot == "last":  # keys and values of every layer while the window grows
        activations += 8 * resolved.envs * policy.context_length * policy.width * policy.layers
    kernel = COMPILED_BYTES if compiled and fits(policy) and installed() else 0
    return kernel + 4 * policy.parameters + WRITER_BLOCKS * block + 3 * one_map + activations
