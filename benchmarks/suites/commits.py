"""Commits of a research-size policy: files and milliseconds a step, each form of the rows beside the first layout.

The writer alone, durable, with made-up rows at L12 H12 T1024 and 8 environments. The first layout is written in the
same rounds: by its schema and the present writer, one file at a time, or by an older version's writer from its own
source, where ATTNSCOPE_OLDER names the ``storage`` folder of that source (``git worktree add`` makes one).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from attnscope_storage.ages import SHARES, bin_edges
from attnscope_storage.kinds.capture.dims import RECENCY_WINDOWS, CaptureDims
from attnscope_storage.kinds.capture.schema import CaptureSchema, build_schema
from attnscope_storage.layout import store
from attnscope_storage.layout.store_schema import FIRST_VERSION, ArraySpec
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.writing.writer import CaptureWriter
from benchmarks.rows import softmax_rows
from benchmarks.timing import Cost, measured, ratios, rounds, shown, spread

ENVS, LAYERS, HEADS, SLOTS = 8, 12, 12, 1024
STEPS = 1000
"""Steps of the capture whose files are counted."""

WRITTEN = {"first layout": 12, "f16": 256, "u8": 256, "bins": 256, "default": 256}
"""Steps that are written in a round: as many as the longest chunk of a statistic, which each commit adds to."""


def dims(form: str, steps: int) -> CaptureDims:
    """Return the sizes of a capture whose rows have this form."""
    every = tuple(range(ENVS))
    sizes = CaptureDims(
        steps=steps,
        envs=ENVS,
        layers=LAYERS,
        heads=HEADS,
        slots=SLOTS,
        actions=5,
        observation_shape=(2,),
        observation_dtype="int32",
        row_envs=every,
        row_layers=tuple(range(LAYERS)),
        row_heads=tuple(range(HEADS)),
        row_every=1,
        map_steps=(),
        map_envs=every,
    )
    reduced = {"bin_envs": every, "curve": True}
    changes: dict[str, dict[str, Any]] = {
        "first layout": {"version": FIRST_VERSION},
        "f16": {},
        "u8": {"row_form": "u8"},
        "bins": {"row_envs": None, **reduced},
        "default": {"row_envs": every[:2], **reduced},
    }
    return replace(sizes, **changes[form])


def files(schema: CaptureSchema) -> int:
    """Return the chunk files of a finished capture."""
    return sum(
        math.prod(-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
        for array in schema.arrays.values()
    )


def one_step() -> dict[str, np.ndarray]:
    """Return the values of one step of every array that weighs something."""
    rows = softmax_rows((ENVS, LAYERS, HEADS, SLOTS))
    edges = bin_edges(SLOTS)
    shades = np.rint(254 * np.sqrt(rows.astype(np.float32))).astype(np.uint8)
    aged = np.add.reduceat(rows[..., ::-1].astype(np.float32), edges[:-1], axis=-1).astype(np.float16)
    running = -np.sort(-rows.astype(np.float32), axis=-1)
    curve = np.cumsum(running, axis=-1)[..., [max(0, int(SLOTS * share) - 1) for share in SHARES]].astype(np.float16)
    drawn = np.random.default_rng(1)
    values = {"f16": rows, "u8": shades, "attention/bins": aged, "attention/curve": curve}
    for name in ("entropy", "max", "effective", "sink", "self"):
        values[f"stats/{name}"] = drawn.random((ENVS, LAYERS, HEADS), np.float32)
    values["stats/recency"] = drawn.random((ENVS, LAYERS, HEADS, len(RECENCY_WINDOWS)), np.float32)
    values["policy/logits"] = drawn.random((ENVS, 5), np.float32)
    return values


def static(spec: ArraySpec) -> np.ndarray:
    """Return an array that does not grow."""
    return np.zeros(spec.shape, spec.dtype)


@dataclass(frozen=True)
class Run:
    """One layout, written again and again."""

    form: str
    folder: Path
    values: Mapping[str, np.ndarray]

    def __call__(self) -> Cost:
        """Write the steps of a round; return the cost until the last commit."""
        schema, steps = build_schema(dims(self.form, STEPS)), WRITTEN[self.form]
        path = self.folder / f"{self.form}.zarr"
        shutil.rmtree(path, ignore_errors=True)
        held = {spec.name: static(spec) for spec in schema.arrays.values() if spec.growth == "static"}
        # The first layout's writer wrote one file after the other.
        at_once = 1 if schema.version == FIRST_VERSION else store.WRITERS
        with (
            mock.patch.object(store, "WRITERS", at_once),
            CaptureWriter.create(path, schema, {}, held) as writer,
            measured() as cost,
        ):
            for first in range(0, steps, schema.flush_steps):
                block = writer.acquire()
                block.steps = min(schema.flush_steps, steps - first)
                for name, place in block.arrays.items():
                    value = self.values.get(schema.dims.row_form if name == "attention/rows" else name)
                    place[: block.steps] = 0 if value is None else value[: place.shape[1]]
                writer.submit(block)
            writer.close(complete=False)
        return cost


@dataclass(frozen=True)
class Older:
    """The first layout, written by an older version in a process of its own."""

    source: str

    def __call__(self) -> Cost:
        """Write the steps of a round; return the cost until the last commit."""
        command = [sys.executable, "-m", "benchmarks.older_writer", str(WRITTEN["first layout"])]
        surroundings = os.environ | {"PYTHONPATH": self.source}
        ran = subprocess.run(command, env=surroundings, capture_output=True, check=True)
        return Cost(**json.loads(ran.stdout))


def reading(path: Path) -> dict[str, float]:
    """Return milliseconds of one decision's rows, and of one statistic of every step and environment."""
    reader = CaptureReader.open(path)
    found = {}
    for name, key in (("attention/rows", (reader.steps_committed - 2, 0)), ("stats/entropy", ())):
        if name in reader.names():
            with measured() as cost:
                reader.array(name)[key or slice(None)]
            found[name] = 1000 * cost.wall
    return found


def run(*, quick: bool) -> dict[str, Any]:
    """Print files and milliseconds a step by layout."""
    values, results = one_step(), {}
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[], Cost]] = {form: Run(form, Path(folder), values) for form in WRITTEN}
        if source := os.environ.get("ATTNSCOPE_OLDER"):
            runs["first layout"] = Older(source)
        taken = rounds(runs, 1 if quick else 3)
        kept = {form: Path(folder) / f"{form}.zarr" for form in WRITTEN}
        read = {form: reading(path) for form, path in kept.items() if path.exists()}
    each = {form: [Cost(c.wall / WRITTEN[form], c.cpu / WRITTEN[form]) for c in costs] for form, costs in taken.items()}
    for form, costs in each.items():
        schema = build_schema(dims(form, STEPS))
        results[form] = {
            "steps_a_commit": schema.flush_steps,
            "files_per_1000_steps": files(schema),
            "milliseconds_a_step": spread([1000 * cost.wall for cost in costs]),
            "processor_milliseconds_a_step": spread([1000 * cost.cpu for cost in costs]),
            "first_layout_over_this": ratios(each["first layout"], costs),
            "milliseconds_read": read.get(form),
        }
        print(
            f"   {form:<13} {schema.flush_steps:>3} steps a commit, {files(schema):>6} files per 1,000 steps, "
            f"{shown(results[form]['milliseconds_a_step'], 1)} ms a step, "
            f"first layout ÷ this {shown(results[form]['first_layout_over_this'], 1)}, read {read.get(form)}"
        )
    return results
