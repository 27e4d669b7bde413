"""A running job grows on the page, a cancelled one says so, and a service that is away is said and waited for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from attnscope.connecting.connection import Connection
from attnscope.connecting.retry import Backoff
from attnscope.connecting.transport import Transport
from attnscope.page import subjects
from attnscope.page.subjects import NothingCommittedError, Subject
from attnscope.service import Service


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch):
    """Look at the job whenever somebody asks."""
    monkeypatch.setattr(subjects, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(subjects, "REST_SECONDS", 0.0)


@pytest.fixture
def running(planted, serve):
    """Return a fake service with a running job that has committed 16 of 60 steps."""
    server = serve(planted(until=2))
    server.state = "running"
    return server


@pytest.fixture
def service(running) -> Iterator[Service]:
    """Return a connected service."""
    with Service(Transport(Connection(running.url, "right-key", "a test"), backoff=Backoff(attempts=1))) as connected:
        yield connected


@pytest.fixture
def subject(service) -> Subject:
    """Return that job as the page's subject."""
    return Subject.of_job(service.job("last"))


def test_a_running_job_grows(subject, running, planted):
    """Every commit is news; the end is, too."""
    first = subject.wait("", 0)
    assert (first["committed"], first["total"], first["state"], first["ended"]) == (16, 60, "running", False)
    assert subject.wait(first["mark"], 0)["mark"] == first["mark"]
    running.stored = planted(until=4)
    second = subject.wait(first["mark"], 60)
    assert (second["committed"], second["ended"]) == (32, False)
    with subject.reading() as capture:
        assert len(capture.rows) == 32
    running.stored, running.state = planted(), "succeeded"
    last = subject.wait(second["mark"], 60)
    assert (last["committed"], last["state"], last["words"], last["ended"]) == (60, "complete", "complete", True)


def test_a_cancelled_job_says_where_it_ended(subject, running):
    """Committed steps stay."""
    running.state = "cancelled"
    news = subject.wait("", 0)
    assert (news["words"], news["committed"], news["ended"]) == ("cancelled at step 16", 16, True)
    with subject.reading() as capture:
        assert capture.steps_committed == 16


def test_a_service_that_is_away_is_said_and_waited_for(subject, running, planted):
    """The steps that were there stay; the news say why, and when the service is back they go on."""
    before = subject.wait("", 0)
    running.down = True
    away = subject.wait(before["mark"], 60)
    assert running.url in away["lost"]
    assert away["committed"] == 16
    running.down, running.stored = False, planted(until=4)
    back = subject.wait(away["mark"], 60)
    assert (back["lost"], back["committed"]) == (None, 32)


def test_a_job_that_waits_has_nothing_yet(service, running, planted, tmp_path):
    """The page is there before the first commit, and shows it when it comes."""
    running.stored, running.state = tmp_path / "none", "queued"
    waiting = Subject.of_job(service.job("last"))
    assert waiting.wait("", 0)["committed"] == 0
    with pytest.raises(NothingCommittedError):
        waiting.about()
    running.stored, running.state = planted(until=2), "running"
    assert waiting.wait("", 0)["committed"] == 16
    assert waiting.about()["layers"] == [0, 1]


def test_a_folder_that_vanishes_is_said(planted, tmp_path):
    """The page says so as soon as it looks, and nothing more once the folder is back."""
    folder = shutil.copytree(planted(), tmp_path / "c.zarr")
    subject = Subject.of_folder(folder)
    assert subject.wait("", 0)["lost"] is None
    gone = folder.rename(tmp_path / "elsewhere")
    away = subject.wait(subject.wait("", 0)["mark"], 0)
    assert away["lost"] == "The folder c.zarr is not there any more."
    gone.rename(folder)
    assert subject.wait(away["mark"], 0)["lost"] is None


def test_no_key_is_told(subject, running):
    """Neither the key nor the address of the service stands in what the browser gets while all is well."""
    said = f"{subject.about()}{subject.wait('', 0)}"
    assert "right-key" not in said
    assert running.url not in said
