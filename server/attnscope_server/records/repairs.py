"""Repairs of the job database: rows that cannot be read, and jobs entered anew from their captures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from attnscope_server.errors import RecordUnreadableError
from attnscope_server.records.job_rows import new_row, record_event, row_named, stored_job
from attnscope_server.records.tables import JobRow
from attnscope_storage.wire import AnySpec, JobState, ProblemCode, Resolved, problem

ENTERED = "entered anew from its capture"
"""Detail of the first event of such a job."""


@dataclass(frozen=True)
class Found:
    """A job as its capture tells of it."""

    job: UUID
    name: UUID
    owner: str
    spec: AnySpec
    resolved: Resolved
    complete: bool
    """True where the capture is complete."""
    attempts: int = 0
    """Attempt that wrote last: the next one must have a greater number."""


def fail_unreadable(session: Session, at: datetime) -> None:
    """Fail the jobs that wait or run and whose rows this version cannot read."""
    query = select(JobRow).where(JobRow.state.not_in([state for state in JobState if state.final]))
    for row in session.scalars(query).all():
        try:
            stored_job(row)
        except RecordUnreadableError as error:
            failure = problem(ProblemCode.RECORD_UNREADABLE, error.message)
            row.state, row.failure, row.finished_at = JobState.FAILED, failure.model_dump(mode="json"), at
            record_event(session, row, at, failure.detail)


def adopt(session: Session, found: Found, state: JobState, at: datetime) -> None:
    """Enter a job whose capture was found without one."""
    name = found.name if row_named(session, found.owner, found.name) is None else found.job  # a copy of another
    row = new_row(found.job, name, found.owner, found.spec, found.resolved, at)
    row.state, row.attempts = state, found.attempts
    if state.final:
        row.progress, row.finished_at = {**row.progress, "phase": "ended"}, at
    if state is JobState.SUCCEEDED:
        total = found.resolved.steps_total
        row.progress = {**row.progress, "steps_done": total, "steps_committed": total}
    if state is JobState.FAILED:
        detail = "it had failed; the reason is lost with the job database"
        row.failure = problem(ProblemCode.INTERNAL, detail).model_dump(mode="json")
    session.add(row)
    session.flush()
    record_event(session, row, at, ENTERED)
