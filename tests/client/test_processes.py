"""A capture in several processes: forked children share no connection, and pickles carry neither connection nor key."""

from __future__ import annotations

import gc
import os
import pickle  # noqa: TID251 - what a pool of workers does
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import attnscope
from attnscope.connecting.repeated import refuse_another
from attnscope.connecting.responses import Response
from attnscope.errors import UnauthenticatedError, UnexpectedAnswerError
from attnscope_storage.wire.echo import LONGEST, SELECTION_HEADER, echo_of

FORKS = """
import multiprocessing, sys
import numpy as np, attnscope

capture = attnscope.connect(sys.argv[1], "right-key").job("last").capture()
truth = {step: np.asarray(capture.rows[step, 0]) for step in range(30)}  # warms one kept-alive connection

def read(step):
    return step, np.asarray(capture.rows[step, 0])

wrong = 0
for _ in range(2):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for step, found in pool.imap_unordered(read, list(range(30)) * 2, chunksize=2):
            wrong += not np.array_equal(found, truth[step], equal_nan=True)
print(wrong)
"""


def run(program: str, *words: str) -> str:
    """Run a program with the packages of this process; return what it printed."""
    folders = os.pathsep.join(path for path in sys.path if path and Path(path).is_dir())
    environment = {**os.environ, "PYTHONPATH": folders}
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children_read_what_they_asked_for(fake, monkeypatch):
    """120 reads in workers that were forked beside a warm connection: each is the step that was asked for."""
    monkeypatch.setattr(fake.RequestHandlerClass, "protocol_version", "HTTP/1.1")
    assert run(FORKS, fake.url) == "0"


@pytest.fixture
def capture(fake):
    """Return the fake service's capture."""
    with attnscope.connect(fake.url, "right-key") as service:
        yield service.job("last").capture()


def test_a_pickled_capture_opens_itself_again(capture, fake):
    """The copy has a connection of its own, reads the same values, and the pickle holds no key."""
    content = pickle.dumps(capture)
    assert b"right-key" not in content
    copy = pickle.loads(content)  # noqa: S301 - our own
    assert copy._slicer._transport is not capture._slicer._transport
    asked = len(fake.asked)
    np.testing.assert_array_equal(copy.rows[5], capture.rows[5])
    assert copy.map(12).shape == (2, 2, 13, 13)
    assert len(fake.asked) > asked


def test_pickled_arrays_jobs_and_downloads_open_themselves_again(capture, stored, tmp_path, monkeypatch):
    """The parts of a capture can travel alone; a downloaded one is found from another folder, too."""
    rows = pickle.loads(pickle.dumps(capture.rows))  # noqa: S301 - our own
    np.testing.assert_array_equal(rows[3], capture.rows[3])
    monkeypatch.chdir(stored.parent)
    content = pickle.dumps(attnscope.open(stored.name))
    monkeypatch.chdir(tmp_path)
    copy = pickle.loads(content)  # noqa: S301 - our own
    np.testing.assert_array_equal(copy.rows[5], capture.rows[5])


def test_a_pickled_job_asks_again(fake, monkeypatch):
    """A handle that went to a worker process connects by itself, with the key that is found there."""
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    with attnscope.connect(fake.url, "right-key") as service:
        job = service.job("last")
        content = pickle.dumps(job)
    assert b"right-key" not in content
    copy = pickle.loads(content)  # noqa: S301 - our own
    assert (copy.id, copy.refresh().state) == (job.id, job.state)


AGAIN = """
import pickle, sys
from pathlib import Path
capture = pickle.loads(Path(sys.argv[1]).read_bytes())
print(float(capture.rows[5, 0, 0, 0, 0]))
"""


def test_another_process_needs_a_key_of_its_own(capture, tmp_path, monkeypatch):
    """It takes the key from where `connect` does; without one the service refuses, and says that none was sent."""
    (tmp_path / "capture.pickle").write_bytes(pickle.dumps(capture))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ATTNSCOPE_API_KEY", "right-key")
    assert float(run(AGAIN, str(tmp_path / "capture.pickle"))) == pytest.approx(1 / 6, abs=1e-3)
    monkeypatch.delenv("ATTNSCOPE_API_KEY")
    with pytest.raises(AssertionError, match="no API key was sent"):
        run(AGAIN, str(tmp_path / "capture.pickle"))
    assert issubclass(UnauthenticatedError, PermissionError)


def test_an_answer_to_another_question_is_refused(capture, monkeypatch):
    """The headers of the service's answer are held against what was asked."""
    transport = capture._slicer._transport
    request = transport.request

    def mixed(*words, **options):
        answer = request(*words, **options)
        headers = answer.headers.copy()
        headers[SELECTION_HEADER] = "step=7"
        return Response(answer.status, headers, answer.body)

    monkeypatch.setattr(transport, "request", mixed)
    with pytest.raises(UnexpectedAnswerError, match="answered another question"):
        capture.rows[5]
    with pytest.raises(UnexpectedAnswerError, match="answered another question"):
        capture.map(12)


def test_a_service_that_repeats_nothing_is_believed(capture):
    """An older one has no such headers."""
    answer = capture._slicer._transport.request("GET", "/v1/jobs")
    refuse_another(answer, {SELECTION_HEADER: "step=7"})


def test_a_selection_is_repeated_the_same_on_both_sides():
    """The order of the parameters does not matter, odd characters are spelled in ASCII, and a long one is short."""
    assert echo_of([("step", "1,2"), ("array", "a"), ("env", "0:4")]) == echo_of([("env", "0:4"), ("step", "1,2")])
    assert echo_of([("step", "٣\r\n")]).isascii()
    assert "\n" not in echo_of([("step", "1\n")])
    assert len(echo_of([("step", ",".join(map(str, range(4000))))])) < LONGEST


def test_a_copy_that_nobody_closes_closes_itself(capture):
    """A result of a worker process, which came out of a pickle, leaves no open connection behind."""
    copy = pickle.loads(pickle.dumps(capture))  # noqa: S301 - our own
    copy.rows[5]
    client = copy._slicer._transport._client
    assert not client.is_closed
    del copy
    gc.collect()
    assert client.is_closed
    capture.rows[6]
