"""Worker processes that are killed at random moments, and a service that is killed and starts anew under one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

import attnscope
import workload
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from worker_processes import SECONDS, Fleet, everybody, fleet, places, wait_until

__all__ = ["fleet"]

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ATTNSCOPE_KILLS", "10"))
WORKERS = 3

CAPTURE = {"checkpoint": "AD-darkroom", "tasks": {"split": "test", "indices": [2, 7]}, "steps": 2500}
SHORT = CAPTURE | {"steps": 1000}
TRIAL = {
    "kind": "trial",
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2]},
    "episodes": 2,
    "strategies": [{"name": "recency"}],
    "budgets": [40, 80],
}


def test_three_workers_and_ten_kills_lose_nothing(pulled, service, fleet, differing):
    """Workers that send and one that reaches the stores are killed at random: every job ends as on a local worker."""
    drawn, lent = random.Random(5), fleet(pulled)  # noqa: S311 - a test's order
    reach = ("--stores", str(pulled.settings.data_root))
    kinds = [(), (), reach]
    workers = {number: lent.start(f"w{number}", *kinds[number]) for number in range(WORKERS)}
    with attnscope.connect(pulled.url, pulled.key) as client, attnscope.connect(service.url, service.key) as local:
        jobs = [client.submit(**options) for options in (CAPTURE, CAPTURE | {"steps": 2000}, TRIAL)]
        for _ in range(KILLS):
            wait_until(lambda: places(pulled) or all(job.refresh().state.final for job in jobs), lent.log())
            time.sleep(drawn.uniform(0.0, 3.0))
            number = drawn.randrange(WORKERS)
            everybody(workers[number], signal.SIGKILL)
            workers[number].wait()
            workers[number] = lent.start(f"w{number}", *kinds[number])
        for job in jobs:
            deadline = time.monotonic() + SECONDS
            while not job.refresh().state.final:
                assert time.monotonic() < deadline, lent.log()
                if pulled.state.jobs.get(job.id).state is JobState.FAILED:
                    break
                time.sleep(0.2)
            assert job.state is JobState.SUCCEEDED, (job.info.failure, lent.log())
        for job in jobs:
            whole = local.submit(job.info.spec).wait(timeout=SECONDS)
            path = capture_path(pulled.settings.data_root, str(job.id))
            apart = differing(capture_path(service.settings.data_root, str(whole.id)), path)
            assert set(apart) <= workload.TIMED
            assert verify(CaptureReader.open(path)).ok


def test_a_job_goes_on_where_its_service_is_killed_and_starts_anew(server, tmp_path, monkeypatch):
    """Within the lease: the attempt is still the first when the job ends."""
    monkeypatch.setenv("ATTNSCOPE_SERVER_RUNNERS", "pull")
    client = server.start()
    port = int(server.url.rpartition(":")[2])
    key = subprocess.run(
        [sys.executable, "-c", "from attnscope_server.cli import main; main()", "key", "worker", "--every-owner"],
        env=os.environ | {"ATTNSCOPE_SERVER_DATA_ROOT": str(server.root)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    lent = Fleet(tmp_path, server.url, key)
    lent.start("far")
    try:
        job = client.submit(**SHORT)
        wait_until(lambda: job.refresh().info.progress.steps_committed, lent.log())
        server.kill()
        again = server.start(port).job(job.id)
        assert again.wait(timeout=SECONDS).state is JobState.SUCCEEDED, lent.log()
        assert again.info.attempts == 1
    finally:
        lent.end()
