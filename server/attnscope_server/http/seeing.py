"""The reports of a worker as the service sees them: commits and bytes are those that the service finds, or published.

A worker's own numbers would fill the quota of an owner whose jobs it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from attnscope_server.http.state import State
from attnscope_server.pulling.messages import Told
from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import Advanced, Failed, Succeeded
from attnscope_storage.errors import AttnscopeError, CaptureNotFoundError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import ProblemCode, Progress, problem


class Seeing:
    """The view of one request's reports about one attempt; its store is looked at once, and only where it matters."""

    def __init__(self, state: State, job: StoredJob) -> None:
        self._state, self._job = state, job

    def all(self, reports: Iterable[Told]) -> list[Told]:
        """Return the reports as the service sees them.

        Success without a complete store here is a failure: the worker wrote somewhere else, or has not sent all.
        """
        return [self._seen(one) for one in reports]

    def _seen(self, report: Told) -> Told:
        if isinstance(report, Advanced):
            known = self._known
            if (report.steps_committed, report.bytes_written) == (known.steps_committed, known.bytes_written):
                return report
            steps, written = self._published
            done = max(report.steps_done, steps)
            return report.model_copy(update={"steps_done": done, "steps_committed": steps, "bytes_written": written})
        if not isinstance(report, Succeeded):
            return report
        try:
            # Not by the readers that are kept: what another machine wrote is seen for certain where a file is opened.
            if CaptureReader.open(self._state.captures.path(self._job.id)).complete:
                return report
            detail = "the worker says that the job is complete, and what is committed of it here is not"
        except CaptureNotFoundError:
            detail = (
                "the worker committed to a place that this service does not see: --stores must name the folder or "
                "bucket that the service itself writes to"
            )
        failure = problem(ProblemCode.STORAGE_UNWRITABLE, detail)
        return Failed(job=report.job, attempt=report.attempt, problem=failure)

    @cached_property
    def _published(self) -> tuple[int, int]:
        """Steps and bytes that are committed: as this service wrote them, or as the root document here tells them."""
        job, each = self._job, self._job.resolved.steps_each
        if (received := self._state.arrivals.received(job)) is not None:
            steps, written = received
            return steps * each, written
        try:
            root = CaptureReader.open(self._state.captures.path(job.id)).root
        except CaptureNotFoundError:
            return 0, 0
        except AttnscopeError:  # the bucket is away: signs of life are taken all the same, and no number changes
            return self._known.steps_committed, self._known.bytes_written
        return root.steps_committed * each, max(0, int(root.attributes.get("bytes_written", 0)))

    @property
    def _known(self) -> Progress:
        """The progress as it was seen last."""
        return self._state.supervisor.progress(self._job.id) or self._job.progress
