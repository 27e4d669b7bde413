"""A third kind of job, registered once a half and only here, from a posted specification to a verified store."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.errors import JobCancelledError, RequestRefusedError
from attnscope.service import Service
from attnscope_server import kinds
from attnscope_server.cli import app
from attnscope_server.serving import serve_background
from attnscope_storage.errors import StoreKindError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState, contract
from attnscope_storage.wire.jobs import Job
from attnscope_storage.wire.union import UnknownResolved, UnknownSpecification

SUPPORT = Path(__file__).resolve().parents[2] / "support"
SPEC = {"kind": "count", "checkpoint": "AD-darkroom", "entries": 6, "label": "invented"}


@pytest.fixture(scope="module")
def counting():
    """Register the invented kind, and let a worker find its modules; afterwards nobody knows it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
        import_module("invented.kind")
        yield import_module("invented.contract")
        kinds.forget("count")
        contract.forget("count")
        for name in [name for name in sys.modules if name.startswith("invented")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def running(counting, service_settings):
    """Return a service on a real socket that knows the kind, with the real worker."""
    del counting
    with serve_background(service_settings()) as running:
        yield running


@pytest.fixture
def client(running):
    """Return a client of it."""
    with Service(Transport(Connection(running.url, running.key, "a test"))) as connected:
        yield connected


@pytest.fixture
def posted(running, client):
    """Return a function that posts a specification as JSON, and returns the job."""

    def post(**changes):
        headers = {"Authorization": f"Bearer {running.key}"}
        answer = httpx.post(f"{running.url}/v1/jobs", json=SPEC | changes, headers=headers)
        assert answer.status_code == 201, answer.text
        return client.job(answer.json()["id"])

    return post


def store_of(running, job) -> Path:
    """Return the folder of a job's store."""
    return running.settings.data_root / "captures" / f"{job.id}.zarr"


def held(job) -> psutil.Process:
    """Return the worker's process once the job has committed what it holds after."""
    while job.refresh().info.progress.steps_committed < 4:
        assert not job.state.final, job.info.failure
    workers = psutil.Process().children()
    [worker] = [one for one in workers if "attnscope_server.running.worker" in " ".join(one.cmdline())]
    return worker


def test_a_posted_job_ends_in_a_verified_store(running, client, posted, counting):
    """The service resolves, estimates and runs the kind; the worker's store holds what its contract promises."""
    guess = client.estimate(contract.contract_of("count").specification.model_validate(SPEC))
    job = posted().wait()
    assert isinstance(job.info.spec, counting.CountSpec)
    assert isinstance(job.info.resolved, counting.ResolvedCount)
    assert (job.info.progress.steps_committed, job.info.progress.steps_total) == (12, 12)
    reader = CaptureReader.open(store_of(running, job))
    assert (reader.kind, reader.complete, reader.steps_committed) == ("count", True, 6)
    assert np.array_equal(reader.array(counting.COUNTED)[5], counting.counted(5, 5))
    assert guess.bytes_raw == reader.array(counting.COUNTED)[:].nbytes
    report = verify(reader)
    assert (report.ok, report.steps, report.chunks) == (True, 6, 6)
    assert set(client.capabilities().job_kinds) == set(contract.contracts()) > {"capture", "trial", "count"}


def test_the_contract_checks_what_is_stored(running, posted, monkeypatch, counting):
    """A store that is not what its contract promises does not verify, on the command line either."""
    job, root = posted().wait(), str(running.settings.data_root)
    ran = CliRunner().invoke(app, ["verify", str(job.id), "--data-root", root])
    assert ran.exit_code == 0, ran.output
    monkeypatch.setattr(counting, "counted", lambda entry, actions: np.full(actions, entry, np.float32))
    ran = CliRunner().invoke(app, ["verify", str(job.id), "--data-root", root])
    assert ran.exit_code == 1
    assert "entry 1 was counted wrong" in ran.output


def test_a_killed_worker_resumes_the_job(running, posted):
    """After kill -9 of the worker the job goes on from its last commit to the same store."""
    whole, job = posted().wait(), posted(hold_after=2)
    held(job).kill()
    assert job.wait().state is JobState.SUCCEEDED
    assert job.info.attempts == 2
    left, right = (CaptureReader.open(store_of(running, one)).array("count/value")[:] for one in (whole, job))
    assert np.array_equal(left, right)


def test_a_cancelled_job_keeps_what_it_committed(running, posted):
    """Cancelled while it holds, the job ends, and its committed entries stay readable."""
    job = posted(hold_after=2)
    held(job)
    with pytest.raises(JobCancelledError):
        job.cancel().wait()
    reader = CaptureReader.open(store_of(running, job))
    assert (reader.steps_committed, reader.complete) == (2, False)
    assert verify(reader).ok


def test_a_client_that_does_not_know_the_kind_lists_it(running, posted):
    """The command line of a process without the kind shows name, state and progress, and opens no store of it."""
    job = posted().wait()
    told = os.environ | {"ATTNSCOPE_URL": running.url, "ATTNSCOPE_API_KEY": running.key, "COLUMNS": "200"}
    program = [sys.executable, "-c", "from attnscope.cli.main import main; main()"]

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *words], env=told, capture_output=True, text=True, check=False)

    listed = ran("list", "--kind", "count")
    assert listed.returncode == 0, listed.stderr
    [line] = [line for line in listed.stdout.splitlines() if line.startswith(str(job.id)[:8])]
    assert line.split()[:3] == [str(job.id)[:8], "count", "succeeded"]
    assert "12/12" in line
    assert "AD-darkroom" in line
    status = ran("status", str(job.id))
    assert "12/12 steps" in status.stdout, status.stderr
    refused = ran("summary", str(job.id))
    assert refused.returncode == 7, "as of what is not there"
    assert "reads no count" in refused.stderr


def test_what_an_unknown_kind_says_of_itself_is_kept(posted):
    """Without the contract, a job is still read: its own fields of the specification stay, whatever it resolved to."""
    told = posted().wait().info.model_dump(mode="json")
    known = contract.contract_of("count")
    contract.forget("count")
    try:
        job = Job.model_validate(told)
        other = Job.model_validate(told | {"resolved": {"tasks": "all of them"}})
    finally:
        contract.register(known)
    assert isinstance(job.spec, UnknownSpecification)
    assert job.spec.model_dump()["entries"] == 6
    assert isinstance(job.resolved, UnknownResolved)
    assert job.resolved.checkpoint_name.startswith("AD-darkroom")
    assert other.resolved == UnknownResolved()


def test_a_store_of_an_unknown_kind_is_refused_by_name(posted):
    """A client without a view of the kind says so, instead of failing on an array that is not there."""
    job = posted().wait()
    with pytest.raises(StoreKindError, match="reads no count"):
        job.stored()
    with pytest.raises(StoreKindError, match="is a count, not a capture"):
        job.capture()


def test_a_kind_that_nobody_registered_is_refused(client):
    """A specification of an unknown kind is a wrong request, and says which kinds there are."""
    with pytest.raises(RequestRefusedError, match=r"expected one of .*'count'"):
        client.submit(kind="nonesuch", checkpoint="AD-darkroom")


def test_two_kinds_cannot_share_a_name(counting):
    """A second contract or kind of a name is refused; the same one again is not."""
    again = contract.Contract(
        specification=counting.CountSpec,
        resolved=counting.ResolvedCount,
        schema=counting.count_schema,
        verify="invented.contract:check_count",
        words=contract.Words("entries", "entries"),
    )
    assert contract.register(counting.CONTRACT) is counting.CONTRACT
    with pytest.raises(ValueError, match="already"):
        contract.register(again)
    with pytest.raises(ValueError, match="already"):
        kinds.register(type(kinds.kind_of("count"))())
