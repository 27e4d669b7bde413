"""The words on a job that ended without storing anything: nothing that would make somebody wait for more."""

from __future__ import annotations

import pytest

import attnscope
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.wire import JobState


@pytest.fixture
def client(furnished):
    """Return a client of a service whose worker never reports."""
    with attnscope.connect(furnished.url, furnished.running.key) as service:
        yield service


def test_a_cancelled_job_is_not_said_to_have_nothing_yet(client):
    """Its capture is refused with the state that it ended in; a waiting one's with the word yet."""
    job = client.submit(checkpoint="AD-darkroom", steps=5)
    with pytest.raises(CaptureNotFoundError, match=r"has committed nothing yet \(it is (queued|running)\)"):
        job.capture()
    if job.cancel().state is JobState.CANCELLING:
        job.refresh(wait=30)
    with pytest.raises(CaptureNotFoundError, match=r"has committed nothing \(it is cancelled\)"):
        job.capture()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("running", "no step is committed yet: wait until the job has come so far"),
        ("cancelled", "no step is committed, and none will be: its job is cancelled"),
        (None, "no step is committed"),
    ],
)
def test_what_is_missing_follows_the_state(furnished, client, state, words):
    """Only of a job that goes on is something promised."""
    capture = client.job(furnished.job).capture()

    class Unfinished(type(capture)):
        complete, state = False, None

    Unfinished.state = state
    capture.__class__ = Unfinished
    assert capture.none_of("step") == words
