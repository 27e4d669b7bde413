"""The reference's own capture, `attention_history.pkl` and `attention_data.npz`, as a capture of ours.

What the files do not say is absent from the capture, not zero: actions, observations, per-step rewards, logits, tasks.
Whether the policy is causal is seen in the maps: a causal one has exactly nothing above the diagonal.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from jaxtyping import Float, Float64

from attnscope.foreign.refusals import ForeignFileError
from attnscope.foreign.stream import inner_lists
from attnscope.measures import (
    check_rows,
    entropy,
    inverse_participation,
    largest_weight,
    recency_mass,
    self_mass,
    sink_mass,
)
from attnscope_storage.schema import RECENCY_WINDOWS, TOKEN_KINDS, CaptureDims, CaptureSchema, build_schema
from attnscope_storage.writer import CaptureWriter

MAX_REWARDS_BYTES = 64 * 2**20
"""Size of the returns beside the maps, at most."""

KNOWN = frozenset(
    {
        "attention/rows",
        "attention/maps",
        "attention/map_step",
        "attention/row_env",
        "context/length",
        "context/start",
        "context/token_kind",
        "stats/entropy",
        "stats/max",
        "stats/effective",
        "stats/sink",
        "stats/self",
        "stats/recency",
        "stats/window",
    }
)
"""Arrays that the files tell; the episode joins them where steps divide evenly."""


@dataclass(frozen=True)
class Shape:
    """What a first look through the file finds."""

    steps: int
    layers: int
    heads: int
    slots: int


def look(path: Path) -> Shape:
    """Return the sizes in a file without reading a weight."""
    steps = layers = heads = slots = 0
    for arrays in inner_lists(path, contents=False):
        shapes = {array.shape for array in arrays}
        (shape,) = shapes if len(shapes) == 1 else ((),)
        if len(shape) != 4 or shape[0] != 1 or shape[2] != shape[3]:  # noqa: PLR2004 - one env, heads, queries, keys
            raise ForeignFileError(f"step {steps}: expected maps (1, heads, n, n) of one size, got {sorted(shapes)}")
        if steps and (len(arrays), shape[1]) != (layers, heads):
            raise ForeignFileError(f"step {steps} has {len(arrays)} layers × {shape[1]} heads, not {layers} × {heads}")
        layers, heads, slots, steps = len(arrays), shape[1], max(slots, shape[2]), steps + 1
    if steps == 0:
        raise ForeignFileError(f"{path.name} holds no step")
    return Shape(steps, layers, heads, slots)


def import_reference(
    history: Path,
    out: Path,
    rewards: Path | None = None,
    *,
    maps: int = 5,
    name: str | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Path:
    """Write a capture from the reference's files; memory holds one step of it at a time.

    Parameters
    ----------
    history
        `attention_history.pkl`: a list over steps of lists over layers of (1, heads, n, n) floats.
    out
        New folder.
    rewards
        `attention_data.npz`; None takes the one beside the history, if there is one.
    maps
        Whole maps to keep, evenly spaced; rows and statistics are kept of every step.
    name
        What to call the policy.
    tell
        Called with steps done and in all.

    Returns
    -------
    Path
        The folder of the capture.

    Raises
    ------
    ForeignFileError
        A file is not there, or not what it should be; nothing of it was executed.
    """
    for file in filter(None, (history, rewards)):
        if not file.is_file():
            raise ForeignFileError(f"there is no file at {file}")
    size = look(history)
    beside = rewards or history.with_name("attention_data.npz")
    returns = read_returns(beside) if beside.exists() or rewards else None
    every = np.unique(np.linspace(size.steps - 1, 0, maps).round().astype(int)) if maps else np.empty(0, int)
    horizon, left = divmod(size.steps, len(returns)) if returns is not None and len(returns) else (0, 1)
    schema = _schema(size, tuple(every.tolist()), with_episodes=horizon > 0 and left == 0)
    causal = _is_causal(history)
    attributes = _attributes(history, size, schema, name or history.parent.name or "foreign", causal)
    attributes["episode_returns"] = None if returns is None else [returns.tolist()]
    attributes["resolved"]["horizon"] = max(1, horizon)
    with CaptureWriter.create(out, schema, attributes, _static(schema)) as writer:
        _fill(writer, history, size, horizon, tell)
        writer.close(complete=True)
    return out


def _fill(writer: CaptureWriter, history: Path, size: Shape, horizon: int, tell: Callable[[int, int], None]) -> None:
    schema, block = writer.schema, writer.acquire()
    for step, arrays in enumerate(inner_lists(history)):
        whole = np.stack([np.asarray(array.value, np.float64)[0] for array in arrays])
        n = whole.shape[-1]
        place = step % schema.flush_steps
        for array_name, value in _decision(whole[None, :, :, -1, :], n).items():
            block.arrays[array_name][(place, 0, ..., slice(0, n)) if array_name == "attention/rows" else (place, 0)] = (
                value
            )
        block.arrays["context/length"][place] = n
        block.arrays["context/start"][place] = step + 1 - n
        if "rollout/episode" in block.arrays:
            block.arrays["rollout/episode"][place] = step // horizon
        if step in schema.map_steps:
            kept = np.full((1, size.layers, size.heads, size.slots, size.slots), np.nan, np.float16)
            kept[0, :, :, :n, :n] = whole
            block.maps.append((step, kept))
        block.steps = place + 1
        if block.steps == schema.flush_steps or step + 1 == size.steps:
            writer.submit(block)
            tell(step + 1, size.steps)
            if step + 1 < size.steps:
                block = writer.acquire()


def _decision(rows: Float64[np.ndarray, "1 layer head slot"], n: int) -> dict[str, Float[np.ndarray, ...]]:
    """Return the decision row and its statistics, after a check that it is attention at all."""
    length = np.array([n])
    check_rows(rows, length, 1e-3)
    measured = {
        "entropy": entropy(rows, length),
        "max": largest_weight(rows, length),
        "effective": inverse_participation(rows, length),
        "sink": sink_mass(rows, length),
        "self": self_mass(rows, length),
        "recency": recency_mass(rows, length, RECENCY_WINDOWS),
    }
    return {"attention/rows": rows[0], **{f"stats/{name}": value[0] for name, value in measured.items()}}


def read_returns(path: Path) -> Float64[np.ndarray, " episode"]:
    """Return the returns by episode of `attention_data.npz`; objects in it are not read.

    Raises
    ------
    ForeignFileError
        There are none in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("rewards.npy").file_size
        if size > MAX_REWARDS_BYTES:
            raise ForeignFileError(f"{path.name}: returns of {size} bytes")
        with np.load(path, allow_pickle=False) as data:
            returns = np.asarray(data["rewards"])
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ForeignFileError(f"{path.name} has no plain array 'rewards': {error}") from error
    if returns.ndim != 2 or len(returns) != 1 or returns.dtype.kind not in "fiu":  # noqa: PLR2004 - env, episode
        raise ForeignFileError(f"{path.name}: expected rewards (1, episodes), got {returns.dtype}{returns.shape}")
    return np.asarray(returns[0], np.float64)


def _is_causal(history: Path) -> bool:
    """Return whether no map of the last steps looked at has anything above its diagonal."""
    causal = True
    for step, arrays in enumerate(inner_lists(history)):
        above = [np.triu(np.asarray(array.value)[0], 1).any() for array in arrays]
        causal = causal and not any(above)
        if not causal or step >= CAUSAL_STEPS:
            break
    return causal


CAUSAL_STEPS = 8
"""Steps whose maps are looked at for weights above the diagonal; the first step has none to have."""


def _schema(size: Shape, map_steps: tuple[int, ...], *, with_episodes: bool) -> CaptureSchema:
    dims = CaptureDims(
        steps=size.steps,
        envs=1,
        layers=size.layers,
        heads=size.heads,
        slots=size.slots,
        actions=1,
        observation_shape=(),
        observation_dtype="int32",
        row_envs=(0,),
        row_layers=tuple(range(size.layers)),
        row_heads=tuple(range(size.heads)),
        row_every=1,
        map_steps=map_steps,
        map_envs=(0,),
    )
    whole = build_schema(dims)
    known = KNOWN | ({"rollout/episode"} if with_episodes else set())
    return replace(whole, arrays={name: spec for name, spec in whole.arrays.items() if name in known})


def _static(schema: CaptureSchema) -> dict[str, np.ndarray[Any, Any]]:
    kinds = np.full(schema.dims.slots, TOKEN_KINDS.index("transition"), np.int8)
    kinds[-1] = TOKEN_KINDS.index("query")
    return {
        "stats/window": np.array(RECENCY_WINDOWS, np.int32),
        "context/token_kind": kinds,
        "attention/row_env": np.zeros(1, np.int32),
    }


def _attributes(history: Path, size: Shape, schema: CaptureSchema, name: str, causal: bool) -> dict[str, Any]:
    with history.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    unknown = "unknown"
    return {
        "job": str(UUID(digest[:32])),
        "owner": "imported",
        "spec": {"kind": "capture", "checkpoint": name[:200]},
        "resolved": {
            "checkpoint_id": digest,
            "checkpoint_name": name[:200],
            "environment_id": unknown,
            "preset": unknown,
            "horizon": 1,
            "tasks": [],
            "held_out": None,
            "envs": 1,
            "steps": size.steps,
            "map_steps": list(schema.dims.map_steps),
            "row_envs": [0],
            "row_layers": list(range(size.layers)),
            "row_heads": list(range(size.heads)),
        },
        "policy": {
            "family": unknown,
            "layers": size.layers,
            "heads": size.heads,
            "width": 0,
            "context_length": size.slots,
            "actions": 0,
            "causal": causal,
            "positions": "none",
            "query_slot": "last",
            "tokens_per_transition": 1,
            "observation": "vector",
            "parameters": 0,
        },
        "query_slot": "last",
        "tokens_per_transition": 1,
        "provenance": {
            "checkpoint": f"file {digest}",
            "checkpoint_name": name[:200],
            "family": unknown,
            "causal": causal,
            "causal_stated_by": "the maps: " + ("nothing above any diagonal" if causal else "weights above a diagonal"),
            "environment": unknown,
            "seeds": [unknown],
            "imported_from": history.name,
        },
    }
