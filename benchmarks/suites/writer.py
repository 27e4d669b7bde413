"""The writer alone: rows of 64 environments to disk, durable or not, one file after the other or several at a time.

Beside it stands the time of the random numbers of as many environments, which a rollout draws before it steps.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np

from attnscope_model.acting.sampling import ACTION_STREAM, uniforms
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import DRAWN_STEPS
from attnscope_server.capturing.sizing import env_axis, static_arrays
from attnscope_storage.kinds.capture.contract import capture_schema
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.layout import store
from attnscope_storage.writing.writer import CaptureWriter
from benchmarks.rows import softmax_rows
from benchmarks.subject import Subject, subject
from benchmarks.timing import Cost, measured, ratios, rounds, shown, spread

BLOCKS = 6
"""Commits of a run."""

WAYS: Final = {
    "durable": (True, store.WRITERS),
    "durable, one file after the other": (True, 1),
    "not durable": (False, 1),
    "not durable, several at a time": (False, store.WRITERS),
}
"""By name: made durable, and files that are compressed and written at a time."""


def write(
    schema: CaptureSchema, static: dict[str, Any], rows: np.ndarray, path: Path, *, durable: bool, at_once: int
) -> Cost:
    """Write the same block again and again; return the cost until the last commit."""
    with contextlib.ExitStack() as ways:
        ways.enter_context(mock.patch.object(store, "WRITERS", at_once))
        if not durable and at_once > 1:
            ways.enter_context(mock.patch.object(store.DurableStore, "written", lambda _, calls: store.at_once(calls)))
        writer = ways.enter_context(CaptureWriter.create(path, schema, {}, static, durable=durable))
        with measured() as cost:
            for _ in range(BLOCKS):
                block = writer.acquire()
                block.arrays["attention/rows"][:] = rows
                block.steps = schema.flush_steps
                writer.submit(block)
            writer.close(complete=True)
    return cost


def drawing(envs: int) -> float:
    """Return the microseconds that the random numbers of one step take, drawn as a rollout draws them."""
    axis = np.arange(envs)
    with measured() as cost:
        uniforms(axis, axis, axis, 0, DRAWN_STEPS, ACTION_STREAM)
    return 1e6 * cost.cpu / DRAWN_STEPS


def prepared(it: Subject) -> tuple[CaptureSchema, dict[str, Any]]:
    """Return a schema of `BLOCKS` commits, and its static arrays."""
    spec = it.spec(64, 10_000)
    flush = capture_schema(spec, resolve(spec, it.registry), it.info.policy).flush_steps
    spec = it.spec(64, BLOCKS * flush)
    resolved = resolve(spec, it.registry)
    schema = capture_schema(spec, resolved, it.info.policy)
    return schema, static_arrays(schema, env_axis(spec, resolved), it.info.policy)


def run(*, quick: bool) -> dict[str, Any]:
    """Print decoded megabytes a second."""
    with tempfile.TemporaryDirectory() as folder:
        schema, static = prepared(subject(Path(folder), causal=False))
        rows = softmax_rows(schema.arrays["attention/rows"].shape)[: schema.flush_steps]
        names = iter(range(10_000))
        runs = {
            name: lambda durable=durable, at_once=at_once: write(
                schema, static, rows, Path(folder) / f"{next(names)}.zarr", durable=durable, at_once=at_once
            )
            for name, (durable, at_once) in WAYS.items()
        }
        taken = rounds(runs, 1 if quick else 3)
    decoded = sum(array.nbytes for array in schema.arrays.values()) / 1e6
    results: dict[str, Any] = {"decoded_mb": decoded}
    for name, costs in taken.items():
        results[name] = {
            "mb_per_second": spread([decoded / cost.wall for cost in costs]),
            "mb_per_cpu_second": spread([decoded / cost.cpu for cost in costs]),
        }
        print(
            f"   {name:<34} {shown(results[name]['mb_per_second'], 0)} MB/s decoded, "
            f"{shown(results[name]['mb_per_cpu_second'], 0)} MB a second of processor time"
        )
    for name, other in (("durable", "durable, one file after the other"), (list(WAYS)[3], "not durable")):
        results[f"{other} / {name}"] = ratios(taken[other], taken[name])
        print(f"   {other} ÷ {name}: {shown(results[f'{other} / {name}'])}")
    results["microseconds_of_random_numbers_a_step"] = drawing(64)
    print(f"   random numbers of 64 environments: {drawing(64):.1f} µs of processor time a step")
    return results
