"""Liveness through the real service: stopped and stuck workers, another try, a locked database."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from contextlib import closing

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from attnscope.cli.app import app
from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.errors import ConflictError, JobFailedError
from attnscope.service import Service
from attnscope_storage.wire import JobState

SPEC = {"checkpoint": "AD-darkroom", "steps": 5, "tasks": {"goals": [(5, 4)]}}
DIES = "import sys; sys.stdin.readline(); sys.exit(9)"
NEVER_READY = "import time; time.sleep(600)"


def client_of(running) -> Service:
    """Return a client of a running service."""
    return Service(Transport(Connection(running.url, running.key, "a test")))


def details(running, job) -> list[str]:
    """Return why a job was interrupted, each time."""
    return [detail for state, _, detail in running.state.jobs.events(job.id) if state is JobState.INTERRUPTED]


def test_a_stopped_worker_is_noticed_and_its_job_tried_again(second_service):
    """SIGSTOP, as a debugger does it: shown as stalled without a rate, its worker ended, the job tried again."""
    times = {"alive_seconds": 0.2, "silent_seconds": 8.0, "stalled_seconds": 0.5}
    with second_service(**times) as running, client_of(running) as client:
        job = client.submit(**SPEC | {"steps": 20_000})
        while job.refresh(wait=0.1).info.progress.steps_done == 0:
            assert not job.state.final
        (worker,) = (one for one in psutil.Process().children() if "running.worker" in " ".join(one.cmdline()))
        os.kill(worker.pid, signal.SIGSTOP)
        while not (told := job.refresh(wait=0.1).info.progress).stalled:
            assert not job.state.final
        assert (told.steps_per_second, told.eta_seconds) == (None, None)
        assert told.last_sign_at is not None
        while job.refresh(wait=1.0).info.attempts < 2:
            assert not job.state.final
        assert details(running, job) == ["its worker gave no sign of life for 8 s"]
        job.cancel()
        while not job.refresh(wait=1.0).state.final:
            pass
        assert job.state is JobState.CANCELLED


def test_a_worker_that_is_never_ready_does_not_hold_its_job_for_good(second_service):
    """Each try is ended after the deadline; three of them fail the job with that reason."""
    stuck = {"worker_command": (sys.executable, "-c", NEVER_READY), "worker_start_seconds": 0.3}
    with second_service(**stuck) as running, client_of(running) as client:
        job = client.submit(**SPEC)
        with pytest.raises(JobFailedError, match=r"did not start within 0\.3 s"):
            job.wait(timeout=120)
        assert job.info.attempts == 3


def test_another_try(second_service, monkeypatch):
    """By client and by command, a failed job is queued again; one that waits is a conflict."""
    with second_service(worker_command=(sys.executable, "-c", DIES)) as running, client_of(running) as client:
        job = client.submit(**SPEC)
        with pytest.raises(JobFailedError):
            job.wait(timeout=60)
        assert job.retry().state in {JobState.QUEUED, JobState.RUNNING}
        with pytest.raises(ConflictError, match="cannot be tried again"):
            client.job(job.id).retry()
        with pytest.raises(JobFailedError):
            job.wait(timeout=60)
        assert job.info.attempts == 6
        monkeypatch.setenv("ATTNSCOPE_URL", running.url)
        monkeypatch.setenv("ATTNSCOPE_API_KEY", running.key)
        said = CliRunner().invoke(app, ["retry", str(job.id)])
        assert said.exit_code == 0, said.output
        assert str(job.id) in said.output


def test_reads_are_answered_while_a_crowd_of_writers_is_locked_out(second_service):
    """Behind another program's lock sixty submissions are refused, retryable, and no read waits for them."""
    deaf = {"worker_command": (sys.executable, "-c", NEVER_READY)}
    with second_service(**deaf) as running, httpx.Client(timeout=60) as http:
        header, url = {"Authorization": f"Bearer {running.key}"}, f"{running.url}/v1/jobs"
        answers, order = [], []

        def submit() -> None:
            answers.append(httpx.post(url, json={"kind": "capture", **SPEC}, headers=header, timeout=60))
            order.append("write")

        with closing(sqlite3.connect(running.settings.database_path)) as other:
            other.execute("BEGIN IMMEDIATE")
            crowd = [threading.Thread(target=submit) for _ in range(60)]
            for one in crowd:
                one.start()
            while running.state.jobs._database._since is None:
                pass
            for _ in range(20):
                assert http.get(url, headers=header).status_code == 200
                order.append("read")
            ready = http.get(f"{running.url}/readyz")
            assert (ready.status_code, "database" in ready.json()["detail"]) == (503, True)
            for one in crowd:
                one.join()
            other.rollback()
        assert {(one.status_code, one.json()["retryable"]) for one in answers} == {(503, True)}
        assert http.get(f"{running.url}/readyz").status_code == 200
