"""A resolved capture as arrays, and its cost: the env axis, the arrays that do not grow, bytes and operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from attnscope_model.forward.small_heads import fits, installed
from attnscope_server.acting.axis import EnvAxis
from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS, TOKEN_KINDS, CaptureSchema
from attnscope_storage.layout.store_schema import SPLITS, ArraySpec
from attnscope_storage.wire import CaptureSpec, PolicyDescription, ResolvedCapture
from attnscope_storage.wire.flops import compression_flops, forward_flops, packing_bytes
from attnscope_storage.wire.packing import rhythm_of

COMPILED_BYTES = 120 * 2**20
"""Bytes that numba and the attention that it compiled add to a worker, where a policy attends so."""

TILE_ENVS = 8
"""Contexts that one thread computes at a time, as in `attnscope_model.acting.deciding`, which imports torch."""

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
    """Return the floating-point operations of a whole capture, those of a compressor among them."""
    if policy.window == "compressed":
        return resolved.envs * _packing_flops(resolved.steps, policy)
    if policy.window in {"memory", "rolling"}:
        return resolved.envs * _remembering_flops(resolved.steps, policy)
    grown = min(resolved.steps, policy.context_length)
    growing = sum(forward_flops(policy, tokens) for tokens in range(1, grown + 1))
    full = (resolved.steps - grown) * forward_flops(policy, policy.context_length)
    return resolved.envs * (growing + full)


def _remembering_flops(steps: int, policy: PolicyDescription) -> float:
    """Return the operations of one rollout that computes one token a step beside what it kept, episodes without end.

    A memory of layers' inputs is mapped to keys and values at every step, in each head by a map of its own size.
    """
    grown = min(steps, policy.context_length)
    mapped = 4 * policy.layers * policy.width**2 / policy.heads if policy.window == "memory" else 0
    seen = sum(range(1, grown + 1)) + (steps - grown) * policy.context_length
    return steps * forward_flops(policy, 1, seen / steps) + mapped * seen


def _packing_flops(steps: int, policy: PolicyDescription) -> float:
    """Return the operations of one rollout of a policy that packs its history: contexts as they grow, compressions."""
    rhythm, per = rhythm_of(policy), policy.tokens_per_transition
    assert rhythm is not None  # noqa: S101 - the caller knows that it packs
    grown = min(steps, rhythm.first)
    total = sum(forward_flops(policy, seen * per + 1) for seen in range(grown))
    latents = [
        policy.latents if joined else 0 for joined in range(rhythm.every)
    ]  # none for the query that stands alone
    cycle = [forward_flops(policy, front + joined * per + 1) for joined, front in enumerate(latents)]
    cycles, rest = divmod(steps - grown, rhythm.every)
    total += cycles * sum(cycle) + sum(cycle[:rest])
    return total + compressions_flops(steps, policy)


def compressions_flops(steps: int, policy: PolicyDescription) -> float:
    """Return the operations of the compressions of one rollout in the policy's own evaluation; 0 where none packs."""
    rhythm = rhythm_of(policy)
    count = 0 if rhythm is None else rhythm.compressions(steps)
    if rhythm is None or not count:
        return 0.0
    first, later = (compression_flops(policy, sources) for sources in (rhythm.first_sources, rhythm.sources))
    if policy.packed_by is not None:
        first, later = policy.packed_by.flops_first, policy.packed_by.flops
    return first + (count - 1) * later


def capture_memory(
    resolved: ResolvedCapture, policy: PolicyDescription, schema: CaptureSchema, *, compiled: bool = True
) -> float:
    """Return a guess of the bytes that a capture needs in a worker: weights, blocks, maps and activations.

    Parameters
    ----------
    compiled
        Whether workers may attend by the compiled kernel, where it is installed and the policy's heads fit.
    """
    filled = ("step", "row_step", "compression")
    growing = sum(array.nbytes for array in schema.arrays.values() if array.growth in filled)
    block = growing * min(1.0, schema.flush_steps / resolved.steps)
    tails = sum(_chunk_bytes(array) for array in schema.arrays.values() if _has_tail(array))
    tile = min(resolved.envs, TILE_ENVS)
    activations = 4 * (2 * resolved.envs + 12 * tile) * policy.context_length * policy.width  # the contexts, twice
    if policy.causal and policy.query_slot == "last":  # keys and values of every layer while the window grows
        activations += 8 * resolved.envs * policy.context_length * policy.width * policy.layers
    kernel = COMPILED_BYTES if compiled and fits(policy) and installed() else 0
    maps = map_memory(policy, schema) + _compressor_memory(resolved.envs, policy)
    return kernel + 4 * policy.parameters + WRITER_BLOCKS * block + tails + maps + activations


def map_memory(policy: PolicyDescription, schema: CaptureSchema) -> float:
    """Return the bytes of the whole maps that a rollout holds at a time.

    They are recorded as float16 where they wait to be written, beside one environment's layer in float32, its scores
    and its mask. Where some layers or heads are kept, those of all are recorded first.
    """
    dims = schema.dims
    if not dims.map_steps:
        return 0
    places = len(dims.kept_envs) * dims.slots**2
    every, kept = policy.layers * policy.heads, len(dims.row_layers) * len(dims.row_heads)
    waiting = WRITER_BLOCKS * schema.flush_steps
    held = max(sum(1 for step in dims.map_steps if first <= step < first + waiting) for first in dims.map_steps)
    beside = (8 * policy.heads + 1) * dims.slots**2
    return 2 * places * (held * kept + (every if kept < every else 0)) + beside


def _compressor_memory(envs: int, policy: PolicyDescription) -> float:
    """Return the bytes that one compression of all environments takes for a moment, its attention in every layer."""
    rhythm = rhythm_of(policy)
    return 0 if rhythm is None else envs * packing_bytes(policy, rhythm.most_sources)


def _has_tail(array: ArraySpec) -> bool:
    """Return whether an array's last chunk waits in memory until it is full; rows fill theirs with every commit."""
    return array.growth not in {"static", "sample"} and array.name != "attention/rows"


def _chunk_bytes(array: ArraySpec) -> int:
    """Return the decoded bytes of an array's last chunk, which the writer keeps until it is full."""
    return array.chunks[0] * math.prod(array.shape[1:]) * np.dtype(array.dtype).itemsize


def growing_window(policy: PolicyDescription) -> str:
    """Return how a capture's decisions are computed while the window grows."""
    if policy.window in {"memory", "rolling"}:
        return "kept as it was computed, exact"
    if policy.window == "compressed":
        return "recompute"
    return "key-value cache, exact" if policy.causal and policy.query_slot == "last" else "recompute"


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
        "attention/bin_env": np.array(dims.bin_envs, np.int32),
        "attention/bin_edge": bin_edges(dims.slots),
        "attention/curve_share": np.array(SHARES, np.float32),
        "attention/row_layer": np.array(dims.row_layers, np.int32),
        "attention/row_head": np.array(dims.row_heads, np.int32),
        "compression/env": np.array(dims.compressions.envs if dims.compressions else (), np.int32),
    }
    return {name: value for name, value in known.items() if name in schema.arrays}


def token_kinds(policy: PolicyDescription) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return the kind of each slot's token in a full context, by its place in `TOKEN_KINDS`; -1 is never filled."""
    history = [TOKEN_KINDS.index(kind) for kind in policy.token_kinds] * policy.transitions
    first = policy.token_kinds[: policy.query_tokens - 1]
    query = [*map(TOKEN_KINDS.index, first), TOKEN_KINDS.index("query")]
    kinds = [*history, *query] if policy.query_slot == "last" else [*query, *history]
    return np.array([*kinds, *[-1] * (policy.context_length - len(kinds))], np.int8)
