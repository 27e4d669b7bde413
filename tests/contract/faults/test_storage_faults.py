"""Disks that fill, roots that refuse writes, chunks that rot, workers that are killed: what a user sees."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from attnscope.connecting.connection import Connection
from attnscope.connecting.retry import Backoff
from attnscope.connecting.transport import Transport
from attnscope.errors import (
    GoneError,
    JobFailedError,
    RemoteChunkDamagedError,
    RemoteChunkLostError,
    UnavailableError,
)
from attnscope.service import Service
from attnscope_server.cli import app
from attnscope_server.root.captures import Captures
from attnscope_server.serving import serve_background
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState, ProblemCode

FAULTY = """
import builtins, errno, os, signal, sys
from pathlib import Path
from attnscope_storage.layout import store
fault, written = Path(sys.argv[1]), 0

class HalfWritten:
    def __init__(self, file, error): self.file, self.error = file, error
    def __enter__(self): return self
    def __exit__(self, *_): self.file.close()
    def write(self, content):
        self.file.write(bytes(content)[: len(content) // 2])
        raise OSError(self.error, os.strerror(self.error))

def faulty_open(path, mode):
    global written
    kind, _, after = fault.read_text().partition(":")
    if kind == "none":
        written = 0
        return builtins.open(path, mode)
    written += 1
    if written <= int(after):
        return builtins.open(path, mode)
    if kind == "killed":
        fault.write_text("none")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "full":
        return HalfWritten(builtins.open(path, mode), errno.ENOSPC)
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))

store.open = faulty_open
from attnscope_server.running.worker import main
main()
"""
"""A worker whose disk does what a file says: ``full:n``, ``readonly:n`` or ``killed:n`` after n writes."""

OPTIONS = {"checkpoint": "AD-darkroom", "steps": 400, "tasks": {"goals": [(5, 4)]}, "maps": {"count": 0}}


def client_of(running, **options) -> Service:
    """Return a client of a running service."""
    return Service(Transport(Connection(running.url, running.key, "a test"), **options))


@pytest.fixture(scope="module")
def fault(tmp_path_factory) -> Path:
    """Return the file that tells the worker's disk what to do."""
    path = tmp_path_factory.mktemp("fault") / "fault"
    path.write_text("none")
    return path


@pytest.fixture(scope="module")
def faulty(fault, service_settings):
    """Return a service with the faulty worker."""
    with serve_background(service_settings(worker_command=(sys.executable, "-c", FAULTY, str(fault)))) as running:
        yield running


@contextmanager
def fault_of(file: Path, kind: str):
    """Let a fault last as long as the context."""
    file.write_text(kind)
    yield
    file.write_text("none")


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("full:130", ProblemCode.STORAGE_FULL, "no space left"),
        ("readonly:130", ProblemCode.STORAGE_UNWRITABLE, "Read-only"),
    ],
)
def test_a_disk_that_fails_in_the_middle_of_a_commit(faulty, fault, kind, code, words):
    """The job fails with the reason, what was committed verifies and is served, and the same worker runs the next."""
    with client_of(faulty) as client:
        with fault_of(fault, kind):
            job = client.submit(**OPTIONS)
            with pytest.raises(JobFailedError, match=words) as raised:
                job.wait(timeout=120)
        assert raised.value.problem.code is code
        reader = Captures(faulty.settings.data_root).open(job.id)
        assert 0 < reader.steps_committed < 400
        assert not reader.complete
        assert verify(reader).ok
        assert not list(Captures(faulty.settings.data_root).path(job.id).rglob("*.partial"))
        entropy = job.capture().stats.entropy[:]
        assert len(entropy) == reader.steps_committed
        assert np.isfinite(entropy).all()
        assert client.submit(**OPTIONS | {"steps": 20}).wait(timeout=120).state is JobState.SUCCEEDED
        (worker,) = (child for child in psutil.Process().children() if str(fault) in child.cmdline())
        assert worker.nice() == min(19, psutil.Process().nice() + 5)


def test_a_worker_killed_by_the_system_is_explained_and_replaced(faulty, fault):
    """SIGKILL, as the out-of-memory killer sends it: the event names memory, and the job ends by itself."""
    with client_of(faulty) as client:
        fault.write_text("killed:130")
        job = client.submit(**OPTIONS).wait(timeout=120)
        assert job.info.attempts == 2
        reader = Captures(faulty.settings.data_root).open(job.id)
        assert reader.complete
        assert verify(reader).ok
        told = {state: detail for state, _, detail in faulty.state.jobs.events(job.id)}
        assert "memory runs out" in told["interrupted"]


def test_a_checkpoint_whose_bytes_changed_is_not_run(faulty, fault):
    """The worker compares what it loads with the hash that names it."""
    assert fault.read_text() == "none"
    weights = faulty.state.registry.folder("AD-darkroom") / "model.safetensors"
    content = weights.read_bytes()
    with client_of(faulty) as client:
        # A checkpoint that the worker holds already was verified when it was loaded; a failed job makes it let go.
        with fault_of(fault, "full:0"), pytest.raises(JobFailedError):
            client.submit(**OPTIONS | {"steps": 20}).wait(timeout=120)
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(JobFailedError, match="not those that were registered") as raised:
            client.submit(**OPTIONS | {"steps": 20}).wait(timeout=120)
        assert raised.value.problem.code is ProblemCode.CHECKPOINT_UNREADABLE
        weights.write_bytes(content)
        assert client.submit(**OPTIONS | {"steps": 20}).wait(timeout=120).state is JobState.SUCCEEDED


@pytest.fixture
def damaged(furnished):
    """Return a function that changes a chunk of the finished capture; all is put back after."""
    folder = Captures(furnished.running.settings.data_root).path(furnished.job)
    put_back = {}

    def change(key: str, content: bytes | None) -> bytes:
        path = folder / key
        put_back[path] = path.read_bytes()
        path.unlink() if content is None else path.write_bytes(content)
        return put_back[path]

    yield change
    for path, content in put_back.items():
        path.write_bytes(content)


def test_a_flipped_bit_is_reported_and_never_drawn(furnished, damaged):
    """Whichever bit of a chunk flips, a slice is refused and a bulk read raises; nothing wrong is drawn."""
    key = "stats/entropy/c.0.0.0.0"
    whole = damaged(key, b"")
    with client_of(furnished.running) as client:
        for place in range(0, len(whole), max(1, len(whole) // 12)):
            damaged(key, whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
            capture = client.job(furnished.job).capture()
            with pytest.raises(RemoteChunkDamagedError, match="entropy"):
                capture.stats.entropy[:]
            with pytest.raises(ChunkDamagedError):
                capture._reader.array("stats/entropy")[:]
        damaged(key, whole[: len(whole) // 2])
        with pytest.raises(RemoteChunkDamagedError):
            client.job(furnished.job).capture().stats.entropy[:]
        damaged(key, None)
        with pytest.raises(RemoteChunkLostError):
            client.job(furnished.job).capture().stats.entropy[:]
        damaged_path = Captures(furnished.running.settings.data_root).path(furnished.job) / key
        damaged_path.write_bytes(whole)
        assert np.isfinite(client.job(furnished.job).capture().stats.entropy[:]).all()


def test_a_database_that_refuses_writes_still_lets_read(furnished):
    """Locked by another program, submissions are 503 and retryable; polls, slices and chunks are answered."""
    header = furnished.key("local")
    spec = {"kind": "capture", "checkpoint": "AD-darkroom", "steps": 5}
    with closing(sqlite3.connect(furnished.running.settings.database_path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = furnished.http.post(f"{furnished.url}/v1/jobs", json=spec, headers=header)
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        for path in (f"jobs/{furnished.job}", f"captures/{furnished.job}/slice?array=env/task"):
            assert furnished.http.get(f"{furnished.url}/v1/{path}", headers=header).status_code == 200
        other.rollback()
    assert furnished.http.post(f"{furnished.url}/v1/jobs", json=spec, headers=header).status_code == 201


def test_a_database_taken_away_is_said(furnished):
    """Nothing is accepted that would be lost; when it is back, all goes on."""
    path, header = furnished.running.settings.database_path, furnished.key("local")
    away = path.with_suffix(".away")
    path.rename(away)
    quick = Backoff(attempts=1)
    with client_of(furnished.running, backoff=quick) as client, pytest.raises(UnavailableError, match="database"):
        client.submit(checkpoint="AD-darkroom", steps=5)
    away.rename(path)
    assert furnished.http.get(f"{furnished.url}/v1/jobs/{furnished.job}", headers=header).status_code == 200
    assert furnished.http.get(f"{furnished.url}/readyz").status_code == 200


def test_doctor_finds_what_is_wrong_and_says_what_to_do(service_settings, enter_finished_job, tmp_path):
    """A sound root is ok; each fault is a finding with a remedy; a lost database is made anew from the captures."""
    from uuid import uuid4  # noqa: PLC0415 - one use

    where, name = service_settings(), uuid4()
    enter_finished_job(where, name)
    run, root = CliRunner(), str(where.data_root)

    def doctor(*options) -> tuple[int, str]:
        result = run.invoke(app, ["doctor", "--data-root", root, *options])
        return result.exit_code, result.output

    code, said = doctor()
    assert (code, "PROBLEM" in said) == (0, False), said
    assert "40 steps" in said
    capture = Captures(where.data_root).path(name)
    chunk = capture / "stats/max/c.0.0.0.0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    where.data_root.chmod(0o755)
    shutil.copytree(capture, capture.with_name(f"{uuid4()}.zarr"))
    code, said = doctor()
    assert code == 1
    for words in ("chmod 700", "no job has this capture", "stats/max", "submit it again"):
        assert words in said
    chunk.write_bytes(content)
    where.data_root.chmod(0o700)
    where.database_path.rename(tmp_path / "backup")
    code, said = doctor()
    assert code == 1
    assert "--rebuild" in said
    code, said = doctor("--rebuild", "--yes")
    assert "2 captures entered anew" in said
    with serve_background(where) as running:
        header = {"Authorization": f"Bearer {running.key}"}
        jobs = httpx.get(f"{running.url}/v1/jobs", headers=header).json()["jobs"]
    assert [job["state"] for job in jobs] == ["succeeded"] * len(jobs)
    assert str(name) in {job["id"] for job in jobs}


def test_an_expired_capture_is_gone(service_settings, enter_finished_job):
    """Its job and its data are 410, for good; a pinned one stays."""
    from uuid import uuid4  # noqa: PLC0415 - one use

    where, due, pinned = service_settings(housekeeping_seconds=0.02), uuid4(), uuid4()
    for name in (due, pinned):
        enter_finished_job(where, name)
    with serve_background(where) as running, client_of(running) as client:
        client.job(pinned).keep(pinned=True)
        for name in (pinned, due):
            client.job(name).keep(until="2026-01-01T00:00:00Z")
        while True:
            try:
                client.job(due).refresh(wait=0.1)
            except GoneError:
                break
        header = {"Authorization": f"Bearer {running.key}"}
        for path in (f"captures/{due}/zarr/zarr.json", f"captures/{due}/slice?array=env/task", f"jobs/{due}"):
            assert httpx.get(f"{running.url}/v1/{path}", headers=header).status_code == 410
        assert client.job(pinned).info.pinned
        assert client.job(pinned).capture().steps_committed == 40
