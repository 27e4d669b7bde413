"""Evidence that grows: a decision from its gate to its answer, its screen and its capture as they come."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import pytest

from attnscope.errors import NotFoundError, RequestRefusedError
from attnscope.page.evidence import Answers, OfDecision, OfScreen
from attnscope.page.opened import DecisionSubject, subject_of
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.wire import JobState, Progress
from evidence import card_of, screened

JOB, SCREEN, CAPTURE = (UUID(int=one) for one in (1, 2, 3))


class Job:
    """A job of a made-up service, whose stores a test puts there."""

    def __init__(self, kind: str, name: UUID, **more):
        self.kind, self.id = kind, name
        self.state = JobState.RUNNING
        self.held: dict[str, object] = {}
        progress = Progress(steps_total=10, steps_done=2, phase="rolling")
        spec, resolved = SimpleNamespace(**more), SimpleNamespace(checkpoint_name="AD-planted@1")
        self.info = SimpleNamespace(state=self.state, progress=progress, failure=None, spec=spec, resolved=resolved)
        self.summary = SimpleNamespace(kind=kind)

    def refresh(self):
        """Return this job."""
        return self

    def _stored(self, kind: str):
        if kind not in self.held:
            raise CaptureNotFoundError("nothing is committed yet")
        return self.held[kind]

    def decision(self):
        """Return its store, where a test put one there."""
        return self._stored("decision")

    def screen(self):
        """Return its store, where a test put one there."""
        return self._stored("screen")

    def capture(self):
        """Return its store, where a test put one there."""
        return self._stored("capture")


class Store(SimpleNamespace):
    """A store that grows when a test says so."""

    def refresh(self):
        """Return this store."""
        return self


@pytest.fixture
def jobs():
    """Return a running decision and its two parts, by id."""
    return {str(JOB): Job("decision", JOB), str(SCREEN): Job("screen", SCREEN), str(CAPTURE): Job("capture", CAPTURE)}


@pytest.fixture
def service(jobs):
    """Return a service with the jobs that a test has not taken away."""

    def job(name):
        if str(name) not in jobs:
            raise NotFoundError(f"there is no job {name}")
        return jobs[str(name)]

    return SimpleNamespace(job=job)


def running_card():
    """Return the card of a decision that is under way."""
    return card_of(answer=None, sentence=None, chosen=None, rungs=(), looks=(), lines=("gate: it learns",))


def test_a_decision_is_followed_to_its_answer(service, jobs):
    """Nothing, then its progress in words, then its screen as rollouts come, then its looks; each changes the mark."""
    handle = jobs[str(JOB)]
    followed = OfDecision(service, handle)
    answers = Answers(followed, lambda: None)
    followed.look()
    marks = [followed.mark]
    assert answers.document()["decision"] is None
    parts = {"capture": CAPTURE, "screen": SCREEN}
    store = handle.held["decision"] = Store(requests_committed=1, parts=parts, card=running_card())
    followed.look()
    marks.append(followed.mark)
    told = answers.document()
    assert (told["decision"]["running"], told["decision"]["lines"], told["screen"]) == (True, ["gate: it learns"], None)
    held = jobs[str(SCREEN)].held["screen"] = Store(
        rollouts_committed=2, complete=False, job="s", resolved=SimpleNamespace(envs=range(8)), results=screened
    )
    followed.look()
    marks.append(followed.mark)
    assert answers.document()["screen"]["rollouts"] == [2, 8]
    held.rollouts_committed, held.complete = 8, True
    store.requests_committed, store.card = 9, card_of()
    handle.state = JobState.SUCCEEDED
    followed.look()
    marks.append(followed.mark)
    told = answers.document()
    assert told["decision"]["sentence"].startswith("Compress to")
    assert told["screen"]["rollouts"] == [8, 8]
    assert followed.still
    assert len(set(marks)) == len(marks)


def test_the_page_of_a_decision_takes_its_capture_when_it_is_there(service, jobs, planted):
    """Before, the page waits and tells the decision's progress; afterwards it shows the capture's steps."""
    import attnscope  # noqa: PLC0415 - loads zarr

    handle = jobs[str(JOB)]
    subject = DecisionSubject(handle, OfDecision(service, handle))
    subject._look_now()
    news = subject.news()
    assert (news["committed"], news["ended"], news["state"]) == (0, False, "running")
    assert news["words"].startswith("decision: running")
    handle.held["decision"] = Store(requests_committed=1, parts={"capture": CAPTURE}, card=running_card())
    jobs[str(CAPTURE)].held["capture"] = attnscope.open(planted())
    subject._look_now()
    assert subject.news()["committed"] == 60
    assert subject.about()["replays"]


def test_a_running_screen_is_followed(jobs):
    """Its mark is how many rollouts are committed; before the first there is nothing."""
    handle = jobs[str(SCREEN)]
    followed = OfScreen(handle)
    followed.look()
    assert (followed.mark, followed.evidence().screen, followed.still) == ("0", None, False)
    handle.held["screen"] = Store(
        rollouts_committed=3, complete=False, job="s", resolved=SimpleNamespace(envs=range(8)), results=screened
    )
    followed.look()
    assert (followed.mark, followed.evidence().rollouts) == ("3", (3, 8))


def test_a_part_that_is_gone_is_no_error(service, jobs):
    """A decision's stores may be deleted, or be of an earlier version that names none."""
    handle = jobs[str(JOB)]
    handle.held["decision"] = Store(requests_committed=1, parts={"screen": SCREEN, "capture": CAPTURE}, card=card_of())
    del jobs[str(SCREEN)], jobs[str(CAPTURE)]
    followed = OfDecision(service, handle)
    followed.look()
    assert (followed.capture(), followed.evidence().screen) == (None, None)
    assert followed.evidence().card is not None


def test_a_kind_without_a_page_is_refused(service, jobs):
    """A trial has a report, and the refusal says so."""
    jobs[str(UUID(int=4))] = Job("trial", UUID(int=4))
    with pytest.raises(RequestRefusedError, match="the page shows no trial: attnscope report"):
        subject_of(service, str(UUID(int=4)))
