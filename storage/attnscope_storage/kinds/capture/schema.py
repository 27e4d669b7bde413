"""The arrays of a capture: names, dtypes, axes, chunks and what absent data reads as.

A trial's are in `attnscope_storage.kinds.trial.schema`; the base of both is `attnscope_storage.layout.store_schema`.

Everything that knows an array's name gets it from here. Nothing here touches a disk.

The step axes grow with every commit. A commit is `CaptureSchema.flush_steps` environment steps, which is exactly
one chunk of every growing array; only a finished capture's last chunk may be partial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from attnscope_storage.layout.store_schema import SPLITS, ArraySpec, Axis, Growth, StoreSchema, array_spec

RECENCY_WINDOWS: Final = (1, 5, 10, 20)
"""Windows of `stats/recency`, in tokens before the query."""

CHUNK_BYTES: Final = 256 * 1024
"""Decoded size, in bytes, that a chunk of decision rows reaches (so it lies between 0.25 and 0.5 MB)."""

MAX_FLUSH_STEPS: Final = 4096
"""Environment steps of a commit, at most."""

STATISTICS_FLUSH_STEPS: Final = 512
"""Environment steps of a commit, at most, where no rows are kept: more would be lost with an interrupted worker."""

TOKEN_KINDS: Final = ("transition", "state", "action", "reward", "query", "summary")
"""Meaning of `context/token_kind`, by value."""


@dataclass(frozen=True)
class CaptureDims:
    """The sizes that determine a capture's arrays."""

    steps: int
    envs: int
    layers: int
    heads: int
    slots: int
    """Tokens of a full context, the query among them."""
    actions: int
    observation_shape: tuple[int, ...]
    observation_dtype: str
    row_envs: tuple[int, ...] | None
    """Env axis entries whose rows are stored; None when rows are off (maps then cover every environment)."""
    row_layers: tuple[int, ...]
    row_heads: tuple[int, ...]
    row_every: int
    map_steps: tuple[int, ...]
    map_envs: tuple[int, ...]
    tokens_per_transition: int = 1


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
            case "static":
                return spec.shape[0]


def build_schema(dims: CaptureDims) -> CaptureSchema:
    """Return the arrays of a capture with these dimensions.

    Static arrays are ``env/*``, ``context/token_kind``, ``stats/window``, ``attention/row_env`` and, where layers or
    heads are a subset, ``attention/row_layer`` and ``attention/row_head``; every other array grows.
    """
    flush = _flush_steps(dims)
    specs = [*_attention_arrays(dims, flush), *_step_arrays(dims, flush), *_static_arrays(dims)]
    return CaptureSchema(dims=dims, flush_steps=flush, arrays={spec.name: spec for spec in specs})


def _attention_arrays(dims: CaptureDims, flush: int) -> Iterator[ArraySpec]:
    layer: Axis = ("layer" if len(dims.row_layers) == dims.layers else "row_layer", len(dims.row_layers))
    head: Axis = ("head" if len(dims.row_heads) == dims.heads else "row_head", len(dims.row_heads))
    slot: Axis = ("slot", dims.slots)
    if dims.row_envs is not None:
        growth: Growth = "step" if dims.row_every == 1 else "row_step"
        rows = flush // dims.row_every
        step: Axis = (growth, -(-dims.steps // dims.row_every))
        yield array_spec(
            "attention/rows",
            "float16",
            (step, ("row_env", len(dims.row_envs)), layer, head, slot),
            growth=growth,
            chunk=(rows, 1),
            long_name="attention of the deciding query",
        )
        if growth == "row_step":
            yield array_spec("attention/row_step", "int32", (step,), growth=growth, chunk=(rows,))
    if dims.map_steps:
        sample: Axis = ("sample", len(dims.map_steps))
        yield array_spec(
            "attention/maps",
            "float16",
            (sample, ("row_env", len(dims.map_envs)), layer, head, ("query", dims.slots), slot),
            growth="sample",
            chunk=(1, 1),
            long_name="whole attention maps",
        )
        yield array_spec("attention/map_step", "int32", (sample,), growth="sample", chunk=(1,))
    if dims.row_envs is not None or dims.map_steps:
        yield array_spec("attention/row_env", "int32", (("row_env", len(dims.row_envs or dims.map_envs)),))
        if layer[0] == "row_layer":
            yield array_spec("attention/row_layer", "int32", (layer,))
        if head[0] == "row_head":
            yield array_spec("attention/row_head", "int32", (head,))


def _step_arrays(dims: CaptureDims, flush: int) -> Iterator[ArraySpec]:
    step: Axis = ("step", dims.steps)
    env: Axis = ("env", dims.envs)
    layer: Axis = ("layer", dims.layers)
    head: Axis = ("head", dims.heads)
    features = len(dims.observation_shape)
    feature = tuple(
        ("feature" if features == 1 else f"feature_{i}", size) for i, size in enumerate(dims.observation_shape)
    )

    def grows(name: str, dtype: str, *axes: Axis, **attributes: object) -> ArraySpec:
        return array_spec(name, dtype, (step, env, *axes), growth="step", chunk=(flush,), **attributes)

    for statistic, units in (("entropy", "nats"), ("max", "1"), ("effective", "tokens"), ("sink", "1"), ("self", "1")):
        yield grows(f"stats/{statistic}", "float32", layer, head, units=units)
    yield grows("stats/recency", "float32", layer, head, ("window", len(RECENCY_WINDOWS)), units="1")
    yield grows("context/length", "int32", units="tokens")
    yield grows("context/start", "int32", long_name="transition index of slot 0")
    for name in ("observation", "next_observation"):
        yield grows(f"rollout/{name}", dims.observation_dtype, *feature)
    yield grows("rollout/action", "int32")
    yield grows("rollout/reward", "float32")
    yield grows("rollout/episode", "int32")
    yield grows("rollout/terminated", "int8")
    yield grows("rollout/truncated", "int8")
    yield grows("policy/logits", "float32", ("action", dims.actions), long_name="before temperature")


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


def _flush_steps(dims: CaptureDims) -> int:
    """Return a power of two times `row_every`, such that a chunk of rows holds at least `CHUNK_BYTES`.

    Without rows, a chunk of one statistic does, within `STATISTICS_FLUSH_STEPS`.
    """
    if dims.row_envs is None:
        row_bytes, most = 4 * dims.envs * dims.layers * dims.heads, STATISTICS_FLUSH_STEPS
    else:
        row_bytes, most = 2 * len(dims.row_layers) * len(dims.row_heads) * dims.slots, MAX_FLUSH_STEPS
    rows = _power_of_two(CHUNK_BYTES / row_bytes)
    rows = min(rows, _power_of_two(dims.steps / dims.row_every))
    while rows > 1 and rows * dims.row_every > most:
        rows //= 2
    return rows * dims.row_every


def _power_of_two(at_least: float) -> int:
    return 1 << max(0, math.ceil(math.log2(max(at_least, 1))))


def row_sum_tolerance(slots: int) -> float:
    """Return how far a stored row of `slots` float16 weights may sum from 1: 2⁻¹¹ + slots·2⁻²⁵."""
    return 2.0**-11 + slots * 2.0**-25
