"""One head over all steps of a long capture: requests and bytes in parts over the slice route, and as whole chunks.

A selection of more than `VIEW_BYTES` that takes a small part of every chunk comes in parts. Whole chunks, as such a
selection came before, are asked of the same service in the same run.
"""

from __future__ import annotations

import importlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from attnscope.connecting.connection import Connection
from attnscope.connecting.responses import Response
from attnscope.connecting.transport import Transport
from attnscope.fetching import lazy
from attnscope.service import Service
from attnscope_storage.kinds.capture.schema import CaptureDims, build_schema
from attnscope_storage.writing.writer import CaptureWriter
from benchmarks.rows import softmax_rows

planting: Any = importlib.import_module("tests.client.conftest")
"""The tests' service over HTTP, and the documents of a job."""

LAYERS, HEADS, SLOTS = 4, 4, 160
"""Of the reference."""


class Counted(Transport):
    """A transport that counts requests and the bytes of their answers."""

    requests = received = 0

    def request(self, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401 - as the transport's
        """Ask, and count."""
        answer = super().request(*arguments, **options)
        self.requests += 1
        self.received += len(answer.body)
        return answer


def write(path: Path, steps: int) -> None:
    """Write a finished capture of one environment whose rows are random."""
    every = (range(LAYERS), range(HEADS))
    dims = CaptureDims(
        steps=steps,
        envs=1,
        layers=LAYERS,
        heads=HEADS,
        slots=SLOTS,
        actions=5,
        observation_shape=(2,),
        observation_dtype="int32",
        row_envs=(0,),
        row_layers=tuple(every[0]),
        row_heads=tuple(every[1]),
        row_every=1,
        map_steps=(),
        map_envs=(0,),
    )
    schema = build_schema(dims)
    static = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in schema.arrays.values() if spec.growth == "static"}
    policy = {**planting.POLICY, "layers": LAYERS, "heads": HEADS, "context_length": SLOTS}
    resolved = {**planting.RESOLVED, "envs": 1, "steps": steps, "map_steps": []}
    attributes = {"job": planting.JOB, "owner": "o", "spec": planting.SPEC, "resolved": resolved, "policy": policy}
    attributes |= {"provenance": planting.PROVENANCE, "query_slot": "last", "tokens_per_transition": 1}
    with CaptureWriter.create(path, schema, attributes, static, durable=False) as writer:
        rows = softmax_rows((schema.flush_steps, 1, LAYERS, HEADS, SLOTS))
        for first in range(0, steps, schema.flush_steps):
            block = writer.acquire()
            block.steps = min(schema.flush_steps, steps - first)
            for name, values in block.arrays.items():
                values[: block.steps] = rows[: block.steps] if name == "attention/rows" else 0
            block.arrays["context/length"][:] = SLOTS
            writer.submit(block)
        writer.close(complete=True)


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Give the address of a service over a capture."""
    server = planting.FakeService(path)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()


def asked(url: str, sparse: int) -> dict[str, float]:
    """Select one head of every step; return what that asked for and received."""
    counted = Counted(Connection(url, "right-key", "the benchmark"))
    rows = Service(counted).job("last").capture().rows
    counted.requests = counted.received = 0
    with mock.patch.object(lazy, "SPARSE", sparse):
        found = rows[:, 0, 1, 1]
    return {"requests": counted.requests, "bytes": counted.received, "wanted": found.nbytes}


def run(*, quick: bool) -> dict[str, Any]:
    """Print requests and bytes of both ways."""
    steps = 5_000 if quick else 50_000
    results: dict[str, Any] = {"steps": steps}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(lazy, "VIEW_BYTES", lazy.VIEW_BYTES * steps // 50_000),
    ):
        path = Path(folder) / "long.zarr"
        write(path, steps)
        with served(path) as url:
            for name, sparse in (("in parts over the slice route", lazy.SPARSE), ("as whole chunks, as before", 2**40)):
                found = results[name] = asked(url, sparse)
                print(
                    f"   one head over {steps} steps, {name}: {found['requests']} requests, "
                    f"{found['bytes'] / 1e6:.1f} MB for {found['wanted'] / 1e6:.1f} MB wanted"
                )
    return results
