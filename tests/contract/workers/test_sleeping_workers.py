"""Worker processes that are stopped past their lease and woken."""

from __future__ import annotations

import signal

import pytest

import attnscope
from attnscope_server.root.paths import capture_path
from attnscope_server.serving import serve_background
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState
from worker_processes import SECONDS, everybody, fleet, places, wait_until

__all__ = ["fleet"]

pytestmark = pytest.mark.slow

SHORT = {"checkpoint": "AD-darkroom", "tasks": {"split": "test", "indices": [2, 7]}, "steps": 1000}


@pytest.mark.parametrize("reached", [True, False])
def test_a_worker_that_sleeps_past_its_lease_commits_nothing(service_settings, service, fleet, differing, reached):
    """The next worker's arrays stand: the first one wakes, hears that its attempt is over, and asks for another job."""
    where = service_settings(runners=("pull",), alive_seconds=0.5, lease_seconds=6.0)
    with serve_background(where) as running, attnscope.connect(running.url, running.key) as client:
        lent = fleet(running)
        further = ("--stores", str(where.data_root)) if reached else ()
        first = lent.start("first", *further)
        job = client.submit(**SHORT)
        wait_until(lambda: job.refresh().info.progress.steps_committed, lent.log())
        everybody(first, signal.SIGSTOP)
        lent.start("second", *further)
        wait_until(lambda: any(name.startswith("second.") for name in places(running)), lent.log())
        path = capture_path(where.data_root, str(job.id))
        wait_until(lambda: CaptureReader.open(path).attributes["attempt"] > 1, lent.log())
        everybody(first, signal.SIGCONT)
        assert job.wait(timeout=SECONDS).state is JobState.SUCCEEDED
        assert "the attempt is not this worker's any more" in (lent.folder / "first.log").read_text(encoding="utf-8")
        assert first.poll() is None
        with attnscope.connect(service.url, service.key) as local:
            whole = local.submit(job.info.spec).wait(timeout=SECONDS)
        assert differing(capture_path(service.settings.data_root, str(whole.id)), path) == []
        assert [place["from_step"] for place in CaptureReader.open(path).attributes["placed_on"]] == [0]
