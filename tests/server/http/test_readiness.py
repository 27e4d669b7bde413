"""Readiness: each thing that keeps jobs from being taken or run makes the service not ready."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from attnscope_server.http import readiness as readiness_module
from attnscope_server.http.readiness import Readiness, look
from attnscope_server.root.captures import Captures
from attnscope_server.root.housekeeping import Housekeeping
from attnscope_storage.layout.bucket import BucketPath


class Part:
    """A part of the service that says how it is."""

    def __init__(self) -> None:
        self.wrong: str | None = None

    def unwell(self) -> str | None:
        """Say what is wrong."""
        return self.wrong


@pytest.fixture
def state(where, jobs):
    """Return the parts that readiness looks at, all well."""
    return SimpleNamespace(
        settings=where,
        jobs=jobs,
        supervisor=Part(),
        housekeeping=Part(),
        replays=SimpleNamespace(process=Part()),
    )


def test_all_is_well(state):
    """A sound service is ready."""
    assert look(state) is None


@pytest.mark.parametrize("part", ["supervisor", "housekeeping", "replays"])
def test_a_thread_that_has_ended_is_told(state, part):
    """Whichever part has lost its thread or runner, the service says so."""
    found = state.replays.process if part == "replays" else getattr(state, part)
    found.wrong = f"the thread of {part} has ended"
    assert look(state) == found.wrong


def test_a_database_that_takes_no_writes_is_told(state, where):
    """Reads are not enough: a database that is taken away still reads."""
    where.database_path.rename(where.database_path.with_suffix(".away"))
    assert state.jobs.count_by_state()
    assert "database" in look(state)


def test_a_full_disk_is_told(state):
    """Less room than the settings name is not ready, and the numbers are said."""
    state.settings = state.settings.model_copy(update={"free_bytes": 2**62})
    assert f"{2**62} are needed" in look(state)


def test_a_good_answer_is_given_again_for_a_while(state):
    """An open route does not make the service write each time; a bad answer is looked at anew at once."""
    now, looks = [0.0], []
    state.jobs = SimpleNamespace(prove_writable=lambda: looks.append(now[0]))
    readiness = Readiness(lambda: now[0])
    assert [readiness.wrong(state) for _ in range(3)] == [None] * 3
    assert looks == [0.0]
    now[0] = 1.5
    state.supervisor.wrong = "it hangs"
    assert readiness.wrong(state) == "it hangs"
    state.supervisor.wrong = None
    assert readiness.wrong(state) is None


def test_a_bucket_that_is_silent_is_told(state, monkeypatch):
    """It is asked once in ten seconds while it answers, and at every question while it does not."""
    now, asked, said = [0.0], [], ["refused", None, None]
    state.settings = SimpleNamespace(
        stores=BucketPath("s3://b/p"), captures_folder=state.settings.captures_folder, free_bytes=1
    )

    def ask(place, seconds):
        asked.append((place.url, seconds))
        return said.pop(0)

    monkeypatch.setattr(readiness_module, "silent", ask)
    readiness = Readiness(lambda: now[0])
    assert readiness.wrong(state) == "the bucket of the captures does not answer"
    for _ in range(4):
        now[0] += 3
        assert readiness.wrong(state) is None
    now[0] += 3
    assert readiness.wrong(state) is None
    assert asked == [("s3://b/p", 3.0)] * 3


def test_housekeeping_outlives_any_error(jobs, where, monkeypatch):
    """A round that fails in a way nobody thought of leaves the thread alive, and the next round is done."""
    done = []
    keeping = Housekeeping(jobs, Captures(where.data_root), 0.001)

    def leftovers():
        done.append(None)
        if len(done) == 1:
            raise RuntimeError("nobody thought of this")
        keeping._stop.set()
        return ()

    monkeypatch.setattr(jobs, "deleted_leftovers", leftovers)
    keeping.start()
    keeping._thread.join(30)
    assert len(done) == 2
    assert keeping.unwell() is not None
