"""Captures with planted attention, so that the right advice is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from attnscope_storage.kinds.capture import lengths
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS, CaptureDims, build_schema
from attnscope_storage.writing.writer import CaptureWriter

STEPS, SLOTS, EPISODE, LAYERS, HEADS = 90, 30, 15, 2, 2

Plant = Callable[[int, int, int, np.random.Generator], np.ndarray]
"""Takes step, env, context length and random numbers; returns scores [layer, head, length] that are soft-maxed."""


def uniform(_step: int, _env: int, length: int, _rng: np.random.Generator) -> np.ndarray:
    """Attention that chooses nothing."""
    return np.zeros((LAYERS, HEADS, length))


def recent(_step: int, _env: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Attention that falls by a factor a token of age, a little differently in every rollout."""
    return -0.35 * np.arange(length)[::-1] + rng.normal(0, 0.05, (LAYERS, HEADS, length))


def rising(_step: int, _env: int, length: int, _rng: np.random.Generator) -> np.ndarray:
    """Attention that grows with age."""
    return 0.02 * np.arange(length)[::-1] + np.zeros((LAYERS, HEADS, length))


def lasting(step: int, env: int, length: int, _rng: np.random.Generator) -> np.ndarray:
    """Attention to every seventh transition, as long as it is in the context: a few lasting heavy hitters."""
    transition = max(0, step - SLOTS + 1) + np.arange(length)
    return np.where((transition + env) % 7 == 0, 3.0, 0.0) + np.zeros((LAYERS, HEADS, length))


def write(
    path: Path, plant: Plant, envs: int = 8, tasks: int = 4, *, until: int = STEPS, rows: bool = True,
    random: float | None = None, earning: float = 1.0, split: str | None = "test", **changes: Any,
) -> Path:  # fmt: skip
    """Write a capture whose rows are planted, unfinished where `until` is less than its steps.

    Every episode of the first share `earning` of the rollouts returns 1, and those of uniform actions `random`, which
    is known where it is given, as are the tasks and their `split`.
    """
    policy = attributes(envs)["policy"] | changes
    per, slots = policy["tokens_per_transition"], policy["context_length"]
    sizes = {name: policy[name] for name in ("layers", "heads")}
    dims = CaptureDims(
        steps=STEPS, envs=envs, slots=slots, actions=5, observation_shape=(2,), observation_dtype="int32",
        row_envs=tuple(range(envs)) if rows else None, row_layers=tuple(range(sizes["layers"])),
        row_heads=tuple(range(sizes["heads"])), row_every=1, map_steps=(), map_envs=(), tokens_per_transition=per,
        **sizes,
    )  # fmt: skip
    # Several commits only where the capture stays unfinished: each costs time.
    with mock.patch.object(lengths, "CHUNK_BYTES", lengths.CHUNK_BYTES if until == STEPS else 4096):
        schema = build_schema(dims)
    static = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in schema.arrays.values() if spec.growth == "static"}
    if "attention/row_env" in static:
        static["attention/row_env"][:] = np.arange(envs)
    static["stats/window"][:] = RECENCY_WINDOWS
    static["env/task"][:] = np.arange(envs) % tasks
    found = attributes(envs) | {"policy": policy}
    cells = [{"index": task, "split": split, "split_index": task, "label": str(task)} for task in range(tasks)]
    if random is not None:
        found["resolved"] = found["resolved"] | {"tasks": [cell | {"random_return": random} for cell in cells]}
    with CaptureWriter.create(path, schema, found, static, durable=False) as writer:
        for first in range(0, until, schema.flush_steps):
            block = writer.acquire()
            block.steps = min(schema.flush_steps, STEPS - first)
            for place in range(block.steps):
                fill(block.arrays, place, first + place, envs, plant, slots, per)
                block.arrays["rollout/reward"][place, round(earning * envs) :] = 0
            writer.submit(block)
        writer.close(complete=until == STEPS)
    return path


def fill(arrays: dict[str, np.ndarray], place: int, step: int, envs: int, plant: Plant, slots: int, per: int) -> None:
    """Fill one step."""
    length = min(per * step + 1, slots)
    for name, array in arrays.items():
        if name != "attention/rows":
            array[place] = 0
    for env in range(envs):
        rng = np.random.default_rng([env, step])
        score = plant(step, env, length, rng)
        weight = np.exp(score - score.max(axis=-1, keepdims=True))
        share = weight / weight.sum(axis=-1, keepdims=True)
        if "attention/rows" in arrays:
            kept = arrays["attention/rows"].shape[2:4]
            arrays["attention/rows"][place, env, ..., :length] = share[: kept[0], : kept[1]]
        for name, value in statistics(share).items():
            stored = arrays[f"stats/{name}"][place, env]
            stored[...] = value[: stored.shape[0], : stored.shape[1]]
        arrays["rollout/observation"][place, env] = rng.integers(0, 3, 2)
        arrays["rollout/action"][place, env] = rng.integers(0, 5)
    arrays["context/length"][place] = length
    arrays["context/start"][place] = step - (length - 1) // per
    arrays["rollout/episode"][place] = step // EPISODE
    arrays["rollout/truncated"][place] = step % EPISODE == EPISODE - 1
    arrays["rollout/reward"][place] = step % EPISODE == EPISODE - 1


def statistics(share: np.ndarray) -> dict[str, np.ndarray]:
    """Return the statistics of rows whose query is last, as a service stores them."""
    before = share[..., :-1]
    recent = [before[..., max(0, before.shape[-1] - window) :].sum(axis=-1) for window in RECENCY_WINDOWS]
    return {
        "entropy": -(share * np.log(np.where(share > 0, share, 1))).sum(axis=-1),
        "max": share.max(axis=-1),
        "effective": 1 / np.square(share).sum(axis=-1),
        "sink": share[..., 0],
        "self": share[..., -1],
        "recency": np.stack(recent, axis=-1),
    }


def attributes(envs: int) -> dict[str, Any]:
    """Return root attributes as a service gives them."""
    policy = {
        "family": "ad-reference", "layers": LAYERS, "heads": HEADS, "width": 16, "context_length": SLOTS, "actions": 5,
        "causal": True, "positions": "learned-absolute", "query_slot": "last", "tokens_per_transition": 1,
        "observation": "cell", "parameters": 100,
    }  # fmt: skip
    resolved = {
        "checkpoint_id": "c" * 64, "checkpoint_name": "AD-<b>toy</b>@1", "environment_id": "attnscope/Darkroom-v0",
        "preset": "darkroom-reference", "horizon": EPISODE, "tasks": [], "held_out": None, "envs": envs, "steps": STEPS,
        "map_steps": [], "row_envs": list(range(envs)), "row_layers": [0, 1], "row_heads": [0, 1],
    }  # fmt: skip
    provenance = {"checkpoint": "c" * 64, "causal": True, "causal_stated_by": "user"}
    job = "11111111-2222-4333-8444-555555555555"
    spec = {"kind": "capture", "checkpoint": "AD-toy"}
    found = {"job": job, "owner": "o", "spec": spec, "resolved": resolved, "policy": policy}
    return found | {"provenance": provenance, "query_slot": "last", "tokens_per_transition": 1}


@pytest.fixture(scope="session")
def captures(tmp_path_factory) -> dict[str, Path]:
    """Return the folders of captures by what is planted in them."""
    folder = tmp_path_factory.mktemp("planted")
    return {
        "uniform": write(folder / "uniform.zarr", uniform),
        "recent": write(folder / "recent.zarr", recent),
        "lasting": write(folder / "lasting.zarr", lasting),
        "one": write(folder / "one.zarr", recent, envs=1, tasks=1),
        "no rows": write(folder / "none.zarr", uniform, rows=False),
    }
