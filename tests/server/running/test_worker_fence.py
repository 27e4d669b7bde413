"""A whole worker that loses its lease: it stops, and the next attempt ends with the arrays of an uninterrupted one."""

from __future__ import annotations

import io
from uuid import UUID

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.resolving import resolve
from attnscope_server.running.channel import Pipes
from attnscope_server.running.messages import Advanced, Interrupted, Run, Succeeded
from attnscope_server.running.worker import Worker
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, MapsChoice, TaskChoice

JOB, WHOLE = UUID("6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a11"), UUID("6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a12")


class Told(Pipes):
    """A channel that keeps what is reported, and lets the lease run out at the first commit where a test says so."""

    def __init__(self, lapses: bool) -> None:
        super().__init__(io.BytesIO(), io.BytesIO())
        self.said, self._lapses = [], lapses

    def report(self, report) -> None:
        """Keep a report."""
        self.said.append(report)
        if self._lapses and isinstance(report, Advanced) and report.steps_committed:
            for lease in self.leases.values():
                lease.begun -= lease.seconds


@pytest.fixture
def ordered(where):
    """Return a function that makes the order of an attempt at a small capture."""
    torch.set_num_threads(1)
    registry = CheckpointRegistry(where.checkpoints_folder)
    registry.add_shipped()
    info = registry.get("AD-darkroom-seed42@1782")
    spec = CaptureSpec(checkpoint=info.id, steps=520, tasks=TaskChoice(goals=((5, 4),)), maps=MapsChoice(steps=()))
    about = {"name": JOB, "owner": "me", "module": "attnscope_server.capturing.kind", "spec": spec}
    about |= {"resolved": resolve(spec, registry), "data_root": where.data_root, "device": "cpu", "durable": False}
    about["stores"] = where.stores_address
    return lambda job, attempt: Run(job=job, attempt=attempt, threads=1, lease_seconds=600.0, **about)


def arrays(where, job) -> dict[str, np.ndarray]:
    """Return every array of a job's store."""
    reader = CaptureReader.open(where.captures_folder / f"{job}.zarr")
    return {name: np.asarray(reader.array(name)[:]) for name in reader.names()}


@pytest.mark.slow
def test_a_worker_that_loses_its_lease_stops_and_the_next_one_goes_on(where, ordered):
    """It says that it was interrupted; the second attempt ends with the arrays of a whole capture."""
    channel = Told(lapses=True)
    channel.take(ordered(JOB, 1))
    Worker(channel).run(channel.orders.get())
    assert isinstance(channel.said[-1], Interrupted)
    committed = CaptureReader.open(where.captures_folder / f"{JOB}.zarr").steps_committed
    assert 0 < committed < 520
    channel = Told(lapses=False)
    worker = Worker(channel)
    for job, attempt in ((JOB, 2), (WHOLE, 1)):
        channel.take(ordered(job, attempt))
        worker.run(channel.orders.get())
        assert isinstance(channel.said[-1], Succeeded)
    found, expected = arrays(where, JOB), arrays(where, WHOLE)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert np.array_equal(values, expected[name], equal_nan=values.dtype.kind == "f"), name
    attributes = CaptureReader.open(where.captures_folder / f"{JOB}.zarr").attributes
    assert attributes["attempt"] == 2
    assert [place["from_step"] for place in attributes["placed_on"]] == [0]
