"""Jobs that wait for a kind of device, as their owner sees them."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.verbs.jobs import app
from attnscope.errors import RequestRefusedError
from attnscope_storage.wire import CaptureSpec, TaskChoice

SECONDS = 60.0
SPEC = CaptureSpec(checkpoint="AD-darkroom", steps=20, tasks=TaskChoice(split="test", indices=(2,)))


@pytest.fixture
def client(pulled):
    """Return a client of the service that has no device of its own."""
    with attnscope.connect(pulled.url, pulled.key) as connected:
        yield connected


def test_the_owner_reads_why_a_job_waits(pulled, lent, client):
    """The device of the worker that is there does not fit; the list says the same."""
    fast = client.submit(SPEC, device_kind="cuda")
    assert "nor a worker that asks for jobs" in fast.info.progress.waits_for
    with lent(pulled, name="far", stores=None):
        deadline = time.monotonic() + SECONDS
        while not pulled.state.supervisor.places():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert fast.refresh().info.progress.waits_for == "it asks for a cuda device; there is cpu"
        told = {job.id: job.summary.progress.waits_for for job in client.jobs()}
        assert told[fast.id] == fast.info.progress.waits_for
        assert pulled.state.jobs.get(fast.id).attempts == 0
        assert fast.cancel().info.progress.waits_for is None


def test_the_kind_of_device_may_be_changed(pulled, client, monkeypatch):
    """It is told with the job and at any time later; it is no part of the specification, and wrong ones are refused."""
    name = uuid4()
    first = client.submit(SPEC, job_id=name)
    assert first.info.device_kind is None
    again = client.submit(SPEC, job_id=name, device_kind="cuda")
    assert (again.id, again.info.device_kind, again.info.spec) == (first.id, "cuda", first.info.spec)
    assert client.submit(SPEC, job_id=name).info.device_kind == "cuda"
    monkeypatch.setenv("ATTNSCOPE_URL", pulled.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", pulled.key)
    for said, held in (("mps", "mps"), ("any", None), ("cuda", "cuda")):
        assert CliRunner().invoke(app, ["place", str(name), "--device-kind", said]).exit_code == 0
        assert first.refresh().info.device_kind == held
    assert CliRunner().invoke(app, ["place", str(name)]).exit_code == 2
    told = CliRunner().invoke(app, ["status", str(name)]).output
    assert "nor a worker that asks for jobs" in " ".join(told.split())
    with pytest.raises(RequestRefusedError, match="device_kind"):
        client.submit(SPEC, device_kind="abacus")
    asked = ["submit", "--checkpoint", "AD-darkroom", "--split", "test", "--tasks", "2", "--steps", "20"]
    assert CliRunner().invoke(app, [*asked, "--device-kind", "hpu"]).exit_code == 0
    (newest, *_) = client.jobs()
    assert newest.info.device_kind == "hpu"
    for job in (first, newest):
        job.cancel()
