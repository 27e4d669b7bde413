"""The arrays of a capture's compressions: when each took place, its latents, and what the compressor looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from attnscope_storage.kinds.capture.lengths import CHUNK_BYTES, long_entries
from attnscope_storage.layout.store_schema import ArraySpec, Axis, array_spec
from attnscope_storage.wire.packing import Rhythm, rhythm_of
from attnscope_storage.wire.policies import PolicyDescription

ATTENTION: Final = "compression/attention"
LATENTS: Final = "compression/latents"
STEP: Final = "compression/step"
SOURCES: Final = "compression/sources"
ENVS: Final = "compression/env"

ATTENTION_BYTES: Final = 256 * 2**20
"""Decoded bytes of the compressor's attention in one capture, at most: fewer environments are kept where it is more."""


@dataclass(frozen=True)
class CompressionDims:
    """The sizes of what a capture keeps of its compressions."""

    rhythm: Rhythm
    latents: int
    width: int
    layers: int
    heads: int
    envs: tuple[int, ...]
    """Env axis entries whose compressor's attention is kept."""

    @property
    def attention_bytes(self) -> int:
        """Bytes of the attention of one compression of one environment."""
        return 2 * self.layers * self.heads * self.latents * self.rhythm.most_sources


def compression_dims(policy: PolicyDescription, envs: tuple[int, ...]) -> CompressionDims | None:
    """Return the sizes of a policy's compressions; None of one that packs nothing."""
    rhythm = rhythm_of(policy)
    if rhythm is None:
        return None
    known = envs if policy.compressor_layers else ()
    return CompressionDims(
        rhythm, policy.latents, policy.width, policy.compressor_layers, policy.compressor_heads, known
    )


def compressor_envs(policy: PolicyDescription, envs: tuple[int, ...], steps: int) -> tuple[int, ...]:
    """Return the environments whose compressor's attention is kept: the first of them that `ATTENTION_BYTES` allow.

    Parameters
    ----------
    envs
        Env axis entries whose rows are kept as they are.
    steps
        Of the finished capture.
    """
    dims = compression_dims(policy, envs)
    if dims is None or not dims.envs:
        return ()
    each = dims.rhythm.compressions(steps) * dims.attention_bytes
    return envs[: ATTENTION_BYTES // each] if each else envs


def compression_arrays(dims: CompressionDims, steps: int, envs: int) -> Iterator[ArraySpec]:
    """Yield the arrays of ``compression/``; the first axis of those that grow is the compression."""
    count: Axis = ("compression", dims.rhythm.compressions(steps))
    latent: Axis = ("latent", dims.latents)

    def grows(name: str, dtype: str, *axes: Axis, chunk: tuple[int, ...], **attributes: object) -> ArraySpec:
        return array_spec(name, dtype, (count, *axes), growth="compression", chunk=chunk, **attributes)

    few = (long_entries(1, 4),)
    yield grows(STEP, "int32", chunk=few, long_name="step after which a compression took place")
    words = "tokens that were packed, the latents of before among them"
    yield grows(SOURCES, "int32", chunk=few, long_name=words)
    size = 4 * envs * dims.latents * dims.width
    held = (latent, ("width", dims.width))
    words = "latents as the next compression takes them"
    yield grows(LATENTS, "float32", ("env", envs), *held, chunk=(long_entries(1, size),), long_name=words)
    if not dims.envs:
        return
    axes: tuple[Axis, ...] = (
        ("compression_env", len(dims.envs)),
        ("compressor_layer", dims.layers),
        ("compressor_head", dims.heads),
        latent,
        ("source", dims.rhythm.most_sources),
    )
    entries = 1
    while 2 * entries * dims.attention_bytes <= CHUNK_BYTES:
        entries *= 2
    words = "attention of each latent to what was packed: older latents first, then tokens; NaN past the sources"
    yield grows(ATTENTION, "float16", *axes, chunk=(entries, 1), long_name=words)
    yield array_spec(ENVS, "int32", (("compression_env", len(dims.envs)),))
