"""Jobs as the page shows them, one function a kind: a capture itself, a screen with its capture, a growing decision."""

from __future__ import annotations

from typing import Any

from attnscope.errors import RequestRefusedError
from attnscope.job import JobHandle
from attnscope.kinds.view import page_of
from attnscope.page.evidence import Answers, OfCapture, OfDecision, OfScreen
from attnscope.page.subjects import Subject, in_a_line
from attnscope.progress import describe
from attnscope.service import Service
from attnscope_storage.wire.contract import imported


def subject_of(service: Service, name: str) -> Subject:
    """Return what the page shows of a job.

    Raises
    ------
    RequestRefusedError
        The page has no view of jobs of its kind.
    """
    handle = service.job(name)
    page = page_of(handle.summary.kind)
    if not page:
        raise RequestRefusedError(f"the page shows no {handle.summary.kind}: attnscope report {handle.id} draws it")
    subject: Subject = imported(page)(service, handle)
    return subject


def capture_on_page(service: Service, handle: JobHandle) -> Subject:
    """Return a capture, beside the newest decision on its policy and the newest screen of it."""
    subject = Subject.of_job(handle)
    subject.answers = Answers(OfCapture(service, subject.captured), subject.captured)
    return subject


def screen_on_page(service: Service, handle: JobHandle) -> Subject:
    """Return the capture that was screened, beside this screen."""
    subject = Subject.of_job(service.job(handle.info.spec.refers_to or handle.id))
    subject.name = str(handle.id)
    subject.answers = Answers(OfScreen(handle), subject.captured)
    return subject


def decision_on_page(service: Service, handle: JobHandle) -> Subject:
    """Return a decision, from its gate to its answer, beside its capture."""
    subject = DecisionSubject(handle, OfDecision(service, handle))
    subject.look()
    return subject


class DecisionSubject(Subject):
    """A decision that is followed: its own progress, its answer, and its capture as soon as there is one."""

    def __init__(self, handle: JobHandle, followed: OfDecision) -> None:
        super().__init__(str(handle.id), f"attnscope.connect().job({f'{handle.id}/capture'!r}).capture()", None, None)
        self._decided, self._followed = handle, followed
        self.answers = Answers(followed, self.captured)

    def _look_now(self) -> None:
        super()._look_now()
        if self._handle is None:
            self._handle = self._followed.capture()
            if self._handle is not None:
                super()._look_now()

    def news(self) -> dict[str, Any]:
        """Return the news of the capture, with the state and the progress of the decision."""
        job = self._decided.info
        failed = f": {job.failure.detail}" if job.failure is not None else ""
        words = in_a_line(f"decision: {job.state.value if job.state.final else describe(job)}{failed}")
        told = {"state": job.state.value, "words": words, "ended": job.state.final}
        told["title"] = job.resolved.checkpoint_name
        return {**super().news(), **told}
