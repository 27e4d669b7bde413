"""The arrays of a capture: names, dtypes, axes, chunks and what absent data reads as.

A trial's are in `attnscope_storage.kinds.trial.schema`; the base of both is `attnscope_storage.layout.store_schema`.

Everything that knows an array's name gets it from here. Nothing here touches a disk.

The step axes grow with every commit. A commit is `CaptureSchema.flush_steps` environment steps: several chunks of
decision rows, and a part of the longer chunks of everything else (`attnscope_storage.kinds.capture.lengths`). In the
first version of the layout it was exactly one chunk of every growing array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from attnscope_storage.kinds.capture.attention import attention_arrays
from attnscope_storage.kinds.capture.compressions import compression_arrays
from attnscope_storage.kinds.capture.dims import RECENCY_WINDOWS, CaptureDims, Lengths, lengths_of
from attnscope_storage.kinds.capture.overview import SOURCES, Overview, overview_arrays, overview_stride
from attnscope_storage.layout.store_schema import (
    FIRST_VERSION,
    SPLITS,
    ArraySpec,
    Axis,
    Deriver,
    StoreSchema,
    array_spec,
)

__all__ = ["RECENCY_WINDOWS", "CaptureDims", "CaptureSchema", "build_schema", "row_sum_tolerance"]

TOKEN_KINDS: Final = ("transition", "state", "action", "reward", "query", "summary", "return")
"""Meaning of `context/token_kind`, by value."""


@dataclass(frozen=True)
class CaptureSchema(StoreSchema):
    """Every array of one capture."""

    kind: ClassVar[str] = "capture"
    dims: CaptureDims
    flush_steps: int
    """Environment steps of one commit."""
    arrays: Mapping[str, ArraySpec]

    @property
    def total(self) -> int:
        """Environment steps of the finished capture."""
        return self.dims.steps

    @property
    def version(self) -> int:
        """Version of the layout that the capture is written in."""
        return self.dims.version

    @property
    def row_every(self) -> int:
        """Steps from one stored decision row to the next."""
        return self.dims.row_every

    @property
    def map_steps(self) -> tuple[int, ...]:
        """Steps whose whole maps are stored."""
        return self.dims.map_steps

    def length(self, spec: ArraySpec, steps: int) -> int:
        """Return the length of an array's first axis once `steps` environment steps are committed."""
        match spec.growth:
            case "step":
                return steps
            case "row_step":
                return -(-steps // self.dims.row_every)
            case "sample":
                return sum(1 for step in self.dims.map_steps if step < steps)
            case "column":
                return spec.shape[0] if steps == self.dims.steps else steps // (overview_stride(self.dims) or 1)
            case "compression":
                return 0 if self.dims.compressions is None else self.dims.compressions.rhythm.compressions(steps)
            case "static":
                return spec.shape[0]

    def most(self, spec: ArraySpec) -> int:
        """Return how many entries of an array one commit adds at most; compressions may begin anywhere in it."""
        if spec.growth == "compression" and self.dims.compressions is not None:
            return -(-self.flush_steps // self.dims.compressions.rhythm.every)
        return super().most(spec)

    def deriver(self) -> Deriver | None:
        """Return what computes the overview of a long capture."""
        names = frozenset(SOURCES.keys() & self.arrays.keys())
        return Overview(self.dims, names) if names else None


def build_schema(dims: CaptureDims) -> CaptureSchema:
    """Return the arrays of a capture with these dimensions.

    A policy that packs its history adds which transitions each slot stands for, how many slots are latents, of which
    generation, and the mass on them; ``stats/recency``, age bins and curves then leave latents out.

    It adds its compressions too, with their latents and what the compressor looked at.

    Static arrays are ``env/*``, ``context/token_kind``, ``stats/window``, ``attention/row_env`` and, where layers or
    heads are a subset, ``attention/row_layer`` and ``attention/row_head``; every other array grows.
    """
    chunk = lengths_of(dims)
    specs = [*attention_arrays(dims, chunk), *_step_arrays(dims, chunk), *_static_arrays(dims)]
    if dims.compressions is not None:
        specs += compression_arrays(dims.compressions, dims.steps, dims.envs)
    arrays = {spec.name: spec for spec in specs}
    if dims.version > FIRST_VERSION:
        arrays |= {spec.name: spec for spec in overview_arrays(dims, arrays)}
    return CaptureSchema(dims=dims, flush_steps=chunk.flush, arrays=arrays)


def _step_arrays(dims: CaptureDims, chunk: Lengths) -> Iterator[ArraySpec]:
    step: Axis = ("step", dims.steps)
    env: Axis = ("env", dims.envs)
    layer: Axis = ("layer", dims.layers)
    head: Axis = ("head", dims.heads)
    features = len(dims.observation_shape)
    feature = tuple(
        ("feature" if features == 1 else f"feature_{i}", size) for i, size in enumerate(dims.observation_shape)
    )

    def grows(name: str, dtype: str, *axes: Axis, **attributes: object) -> ArraySpec:
        entry = np.dtype(dtype).itemsize * dims.envs * math.prod(size for _, size in axes)
        length = chunk.long(entry, chunk.flush)
        return array_spec(name, dtype, (step, env, *axes), growth="step", chunk=(length,), **attributes)

    for statistic, units in (("entropy", "nats"), ("max", "1"), ("effective", "tokens"), ("sink", "1"), ("self", "1")):
        yield grows(f"stats/{statistic}", "float32", layer, head, units=units)
    yield grows("stats/recency", "float32", layer, head, ("window", len(RECENCY_WINDOWS)), units="1")
    yield grows("context/length", "int32", units="tokens")
    start = (
        "transition index of slot 0" if not dims.latents else "transition index of the first slot behind the latents"
    )
    yield grows("context/start", "int32", long_name=start)
    if dims.latents:
        slot: Axis = ("slot", dims.slots)
        for end in ("first", "last"):
            words = f"{end} transition that the token in each slot stands for; -1 past the context"
            yield grows(f"context/transition_{end}", "int32", slot, long_name=words)
        yield grows("context/summaries", "int32", long_name="latents at the front of the context")
        yield grows("context/generation", "int32", long_name="compressions so far")
        yield grows("stats/summary", "float32", layer, head, units="1", long_name="mass on the latents")
    for name in ("observation", "next_observation"):
        yield grows(f"rollout/{name}", dims.observation_dtype, *feature)
    yield grows("rollout/action", dims.output.action_dtype, *dims.output.action_axis(dims.actions))
    yield grows("rollout/reward", "float32")
    yield grows("rollout/episode", "int32")
    yield grows("rollout/terminated", "int8")
    yield grows("rollout/truncated", "int8")
    output = dims.output
    yield grows(output.array, "float32", output.head_axis(dims.actions), **output.head_attributes())


def _static_arrays(dims: CaptureDims) -> Iterator[ArraySpec]:
    env: Axis = ("env", dims.envs)
    yield array_spec("stats/window", "int32", (("window", len(RECENCY_WINDOWS)),), units="tokens")
    kinds: dict[str, Any] = {"flag_values": list(range(len(TOKEN_KINDS))), "flag_meanings": " ".join(TOKEN_KINDS)}
    yield array_spec("context/token_kind", "int8", (("slot", dims.slots),), **kinds)
    yield array_spec("env/task", "int32", (env,), long_name="task index")
    yield array_spec("env/seed", "int64", (env,))
    yield array_spec("env/replica", "int32", (env,))
    splits: dict[str, Any] = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    yield array_spec("env/split", "int8", (env,), **splits)


def row_sum_tolerance(slots: int) -> float:
    """Return how far a stored row of `slots` float16 weights may sum from 1: 2⁻¹¹ + slots·2⁻²⁵."""
    return 2.0**-11 + slots * 2.0**-25
