"""A made-up rollout that writes a small capture; what it writes at a step follows from the step alone.

Run as a program it is what a crashed worker is: ``rollout.py FOLDER [STAGE NTH]`` creates or resumes the capture and
kills itself with SIGKILL when the writer passes STAGE for the NTH time. It prints a line a commit.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.kinds.capture.compressions import CompressionDims
from attnscope_storage.kinds.capture.schema import RECENCY_WINDOWS, CaptureDims, CaptureSchema, build_schema
from attnscope_storage.shades import as_u8
from attnscope_storage.writing.blocks import StepBlock
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.writer import CaptureWriter, Commit


def dims(**changes: Any) -> CaptureDims:
    """Return the sizes of a small capture."""
    sizes: dict[str, Any] = {
        "steps": 22,
        "envs": 3,
        "layers": 2,
        "heads": 2,
        "slots": 8,
        "actions": 5,
        "observation_shape": (2,),
        "observation_dtype": "int32",
        "row_envs": (0, 2),
        "row_layers": (0, 1),
        "row_heads": (0, 1),
        "row_every": 1,
        "map_steps": (0, 9, 10, 21),
        "map_envs": (0, 2),
    }
    return CaptureDims(**(sizes | changes))


def schema(chunk_bytes: int = 256, **changes: Any) -> CaptureSchema:
    """Return the arrays of a small capture that commits every few steps (4 where nothing is changed)."""
    short = {"CHUNK_BYTES": chunk_bytes, "LEAST_STEPS": 1, "LONG_STEPS": 8}
    with mock.patch.multiple(lengths, **short):
        return build_schema(dims(**changes))


def attributes() -> dict[str, Any]:
    """Return root attributes as a service gives them."""
    policy = {
        "family": "ad-reference",
        "layers": 2,
        "heads": 2,
        "width": 16,
        "context_length": 8,
        "actions": 5,
        "causal": True,
        "positions": "learned-absolute",
        "query_slot": "last",
        "tokens_per_transition": 1,
        "observation": "cell",
        "parameters": 1234,
    }
    return {
        "job": "6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a11",
        "owner": "local",
        "spec": {"kind": "capture"},
        "resolved": {},
        "provenance": {"mask": "stated by user"},
        "policy": policy,
        "query_slot": "last",
        "tokens_per_transition": 1,
    }


def static(of: CaptureSchema) -> dict[str, np.ndarray]:
    """Return every array that does not grow."""
    sizes = of.dims
    values = {
        "stats/window": np.array(RECENCY_WINDOWS, np.int32),
        "context/token_kind": np.array([0] * (sizes.slots - 1) + [4], np.int8),
        "env/task": np.arange(sizes.envs, dtype=np.int32),
        "env/seed": np.zeros(sizes.envs, np.int64),
        "env/replica": np.zeros(sizes.envs, np.int32),
        "env/split": np.full(sizes.envs, 2, np.int8),
        "attention/row_env": np.array(sizes.row_envs or sizes.map_envs, np.int32),
        "attention/bin_env": np.array(sizes.bin_envs, np.int32),
        "attention/bin_edge": bin_edges(sizes.slots),
        "attention/curve_share": np.array(SHARES, np.float32),
        "attention/row_layer": np.array(sizes.row_layers, np.int32),
        "attention/row_head": np.array(sizes.row_heads, np.int32),
        "compression/env": np.array(sizes.compressions.envs if sizes.compressions else (), np.int32),
    }
    return {name: values[name] for name, spec in of.arrays.items() if spec.growth == "static"}


def fill(block: StepBlock, of: CaptureSchema, first: int, steps: int) -> None:
    """Fill a block with the steps from `first` on."""
    for row in range(steps):
        _fill_step(block, of.dims, first + row, row)
    block.steps = steps


def _fill_step(block: StepBlock, sizes: CaptureDims, step: int, row: int) -> None:
    rng = np.random.default_rng([7, step])
    length = min(step + 1, sizes.slots)
    weights = softmax(rng.normal(size=(sizes.envs, sizes.layers, sizes.heads, length), scale=2.0).astype(np.float32))
    values = statistics(weights) | {
        "context/length": length,
        "context/start": max(0, step + 1 - sizes.slots),
        "rollout/observation": rng.integers(0, 9, (sizes.envs, 2)),
        "rollout/next_observation": rng.integers(0, 9, (sizes.envs, 2)),
        "rollout/action": rng.integers(0, sizes.actions, sizes.envs),
        "rollout/reward": rng.random(sizes.envs),
        "rollout/episode": step // 5,
        "rollout/terminated": 0,
        "rollout/truncated": step % 5 == 4,
        "policy/logits": rng.normal(size=(sizes.envs, sizes.actions)),
    }
    if sizes.compressions is not None:
        values |= packed(block, sizes, sizes.compressions, step, row)
    for name, value in values.items():
        block.arrays[name][row] = value
    if step % sizes.row_every == 0:
        for name, value in kept(sizes, weights).items():
            block.arrays[name][row // sizes.row_every, ..., : value.shape[-1]] = value
        if "attention/row_step" in block.arrays:
            block.arrays["attention/row_step"][row // sizes.row_every] = step
    if step in sizes.map_steps:
        axes = (len(sizes.map_envs), len(sizes.row_layers), len(sizes.row_heads))
        whole = np.full((*axes, sizes.slots, sizes.slots), np.nan, np.float16)
        whole[..., :length, :length] = softmax(rng.normal(size=(*axes, length, length)))
        block.maps.append((step, whole))


def packed(
    block: StepBlock, sizes: CaptureDims, of: CompressionDims, step: int, row: int
) -> dict[str, np.ndarray | int]:
    """Fill in the compression that follows a step, and return what a packed context says of its slots."""
    before = of.rhythm.compressions(step)
    if of.rhythm.compressions(step + 1) > before:
        rng, place = np.random.default_rng([8, step]), before - of.rhythm.compressions(step - row)
        sources = of.rhythm.sources if before else of.rhythm.first_sources
        shape = (len(of.envs), of.layers, of.heads, of.latents, sources)
        block.arrays["compression/step"][place], block.arrays["compression/sources"][place] = step, sources
        block.arrays["compression/latents"][place] = rng.normal(size=(sizes.envs, of.latents, of.width))
        block.arrays["compression/attention"][place][..., :sources] = softmax(rng.normal(size=shape))
    names = ("context/transition_first", "context/transition_last", "context/summaries", "stats/summary")
    return dict.fromkeys(names, 0) | {"context/generation": before}


def kept(sizes: CaptureDims, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return a step's rows as they are stored: of the query that is last."""
    found = {}
    if sizes.row_envs is not None:
        picked = weights[np.ix_(sizes.row_envs, sizes.row_layers, sizes.row_heads)]
        found["attention/rows"] = as_u8(picked) if sizes.row_form == "u8" else picked
    if sizes.bin_envs:
        aged = weights[np.ix_(sizes.bin_envs, sizes.row_layers, sizes.row_heads)][..., ::-1]
        edges = bin_edges(sizes.slots)
        reached = edges[:-1][edges[:-1] < aged.shape[-1]]
        found["attention/bins"] = np.add.reduceat(aged, reached, axis=-1)
    if sizes.curve:
        own, history = weights[..., -1:], -np.sort(-weights[..., :-1], axis=-1)
        running = np.concatenate([np.zeros_like(own), history.cumsum(axis=-1)], axis=-1)
        most = history.shape[-1]
        budgets = [min(most, max(1, int(most * share + 1e-9))) if share else 0 for share in SHARES]
        found["attention/curve"] = (own + running[..., budgets])[:, sizes.row_layers][:, :, sizes.row_heads]
    return found


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return weights that sum to 1 along the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``stats/*`` of full-precision rows whose query is last."""
    others = weights[..., :-1]
    recency = [others[..., max(0, others.shape[-1] - window) :].sum(axis=-1) for window in RECENCY_WINDOWS]
    return {
        "stats/entropy": -(weights * np.log(weights)).sum(axis=-1),
        "stats/max": weights.max(axis=-1),
        "stats/effective": 1 / (weights**2).sum(axis=-1),
        "stats/sink": weights[..., 0],
        "stats/self": weights[..., -1],
        "stats/recency": np.stack(recency, axis=-1),
    }


def roll(writer: CaptureWriter, until: int | None = None) -> None:
    """Submit every block from where the writer stands to `until`, or to the end."""
    total, flush = writer.schema.dims.steps, writer.schema.flush_steps
    for first in range(writer.steps_committed, total if until is None else until, flush):
        block = writer.acquire()
        fill(block, writer.schema, first, min(flush, total - first))
        writer.submit(block)


def create(path: Path, of: CaptureSchema, **options: Any) -> CaptureWriter:
    """Create a capture, without the fsyncs that no test can see."""
    return CaptureWriter.create(path, of, attributes(), static(of), **({"durable": False} | options))


def write(path: Path, of: CaptureSchema | None = None, until: int | None = None) -> Path:
    """Write a capture to the end, or up to a whole commit and leave it unfinished."""
    with create(path, of or schema()) as writer:
        roll(writer, until)
        writer.close(complete=until is None)
    return path


def work(
    path: Path,
    of: CaptureSchema | None = None,
    at_stage: Callable[[str], None] | None = None,
    on_commit: Callable[[Commit], None] | None = None,
    tenure: Tenure | None = None,
) -> None:
    """Create the capture or resume it, and write it to the end, as a worker does."""
    of = of or schema()
    options: dict[str, Any] = {"durable": False, "at_stage": at_stage, "on_commit": on_commit, "tenure": tenure}
    exists = (path / "zarr.json").exists()
    with CaptureWriter.resume(path, of, **options) if exists else create(path, of, **options) as writer:
        roll(writer)
        writer.close(complete=True)


def main(path: str, stage: str = "", nth: str = "0", attempt: str = "") -> None:
    """Work, and die at the `nth` time that the writer passes `stage`; as an attempt at a job, stop there."""
    left = int(nth)
    end = signal.SIGSTOP if attempt else signal.SIGKILL

    def die(passed: str) -> None:
        nonlocal left
        left -= passed == stage
        if passed == stage and left == 0:
            signal.pthread_kill(threading.get_ident(), end)  # this very thread goes not one step further

    def tell(commit: Commit) -> None:
        print(commit.steps_committed, flush=True)  # noqa: T201

    work(Path(path), at_stage=die, on_commit=tell, tenure=Tenure(int(attempt)) if attempt else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
