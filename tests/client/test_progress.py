"""A job's progress in one line, as terminals and notebooks show it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from attnscope.progress import ProgressDisplay, describe, in_a_notebook
from attnscope_storage.wire import Job, JobState, Progress


def job(state: JobState, **progress) -> Job:
    """Return a job of which only state and progress are known."""
    told = Progress(steps_total=100, steps_done=40, phase="rolling", **progress)
    return Job.model_construct(state=state, progress=told)


def test_a_running_job_shows_its_rate():
    """Phase, steps, rate and the time left."""
    assert describe(job(JobState.RUNNING, steps_per_second=7.25, eta_seconds=8.3)) == (
        "running  rolling  40/100 steps  7.2 steps/s  8 s left"
    )


def test_a_stalled_job_shows_its_last_sign_of_life():
    """It says when the job was last heard of, and neither a rate nor a time left."""
    at = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
    told = describe(job(JobState.RUNNING, stalled=True, last_sign_at=at))
    assert told == "running  rolling  40/100 steps  stalled, last sign of life 2026-03-01 12:30:05 UTC"


def test_a_service_that_tells_no_last_sign_is_read_too():
    """An older one, or a job that never said anything."""
    assert describe(job(JobState.RUNNING, stalled=True)) == "running  rolling  40/100 steps  stalled"


def running(done: int) -> Job:
    """Return a job that can be named."""
    told = Progress(steps_total=100, steps_done=done, phase="rolling")
    return Job.model_construct(id=UUID(int=7), state=JobState.RUNNING, progress=told)


def test_a_pipe_gets_a_line_for_each_tenth(capsys):
    """No bar is drawn over and over where nobody looks, and equal states are said once."""
    with ProgressDisplay(running(0), shown=True) as display:
        for done in (0, 1, 10, 11, 50):
            display.update(running(done))
    assert [line.split("  ")[3] for line in capsys.readouterr().err.splitlines()] == [
        "0/100 steps",
        "10/100 steps",
        "50/100 steps",
    ]


def test_nothing_is_shown_where_nothing_is_asked_for(capsys):
    """A wait in a script is silent."""
    with ProgressDisplay(running(0), shown=False) as display:
        display.update(running(50))
    assert capsys.readouterr() == ("", "")
    assert not in_a_notebook()


@pytest.mark.notebook
def test_a_cell_gets_one_bar_that_moves(monkeypatch, capsys):
    """The first state is displayed, the others take its place; what a service says is text."""
    shown: list[str] = []

    class Handle:
        def update(self, made):
            shown[-1] = made.data

    def display(made, *, display_id):
        assert display_id
        shown.append(made.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("attnscope.progress.in_a_notebook", lambda: True)
    with ProgressDisplay(running(0), shown=True) as bar:
        bar.update(running(10))
        last = running(50)
        bar.update(last.model_copy(update={"progress": last.progress.model_copy(update={"phase": "<b>"})}))
    (said,) = shown
    assert 'value="0.5000"' in said
    assert "&lt;b&gt;" in said
    assert capsys.readouterr() == ("", "")
