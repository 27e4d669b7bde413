"""The writer alone: decision rows of 64 environments to disk, durable or not, and what they compress to."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.sizing import env_axis, static_arrays
from attnscope_storage.kinds.capture.contract import capture_schema
from attnscope_storage.kinds.capture.schema import CaptureSchema
from attnscope_storage.writing.writer import CaptureWriter
from benchmarks.rows import softmax_rows
from benchmarks.subject import Subject, subject
from benchmarks.timing import Cost, measured, rounds, shown, spread

BLOCKS = 6
"""Commits of a run."""


def write(schema: CaptureSchema, static: dict[str, Any], rows: np.ndarray, path: Path, *, durable: bool) -> Cost:
    """Write the same block again and again; return the cost until the last commit."""
    writer = CaptureWriter.create(path, schema, {}, static, durable=durable)
    with writer, measured() as cost:
        for _ in range(BLOCKS):
            block = writer.acquire()
            block.arrays["attention/rows"][:] = rows
            block.steps = schema.flush_steps
            writer.submit(block)
        writer.close(complete=True)
    return cost


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
        taken = rounds(
            {
                name: lambda durable=durable: write(
                    schema, static, rows, Path(folder) / f"{next(names)}.zarr", durable=durable
                )
                for name, durable in (("durable", True), ("not durable", False))
            },
            1 if quick else 3,
        )
    decoded = sum(array.nbytes for array in schema.arrays.values()) / 1e6
    results: dict[str, Any] = {"decoded_mb": decoded}
    for name, costs in taken.items():
        results[name] = {
            "mb_per_second": spread([decoded / cost.wall for cost in costs]),
            "mb_per_cpu_second": spread([decoded / cost.cpu for cost in costs]),
        }
        print(
            f"   {name:<12} {shown(results[name]['mb_per_second'], 0)} MB/s decoded, "
            f"{shown(results[name]['mb_per_cpu_second'], 0)} MB a second of processor time"
        )
    return results
