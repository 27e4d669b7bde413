"""Jobs as rows of the database: how a row is made, found, brought up to date, and read as a job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from attnscope_server.errors import RecordUnreadableError
from attnscope_server.records.job import StoredJob
from attnscope_server.records.tables import EventRow, JobRow
from attnscope_storage.wire import AnySpec, JobState, Problem, Progress, Resolved, resolved_as, specification_as

log = structlog.get_logger("attnscope.records")


def new_row(job: UUID, name: UUID, owner: str, spec: AnySpec, resolved: Resolved, at: datetime) -> JobRow:
    """Return the row of a job that is queued."""
    return JobRow(
        id=str(job),
        name=str(name),
        owner=owner,
        kind=spec.kind,
        label=spec.label,
        state=JobState.QUEUED,
        spec=spec.model_dump(mode="json"),
        resolved=resolved.model_dump(mode="json"),
        progress=Progress(steps_total=resolved.steps_total).model_dump(mode="json"),
        created_at=at,
        attempts=0,
        interruptions=0,
        interrupted_at_step=0,
        pinned=False,
        ran_seconds=0.0,
        resume_elsewhere=False,
    )


def write_state(row: JobRow, job: StoredJob) -> None:
    """Bring into a row what changes with a job's state."""
    row.state = job.state
    row.progress = job.progress.model_dump(mode="json")
    row.failure = None if job.failure is None else job.failure.model_dump(mode="json")
    row.started_at, row.finished_at = job.started_at, job.finished_at
    row.attempts, row.interruptions = job.attempts, job.interruptions
    row.interrupted_at_step, row.ran_seconds = job.interrupted_at_step, job.ran_seconds


def row_of(session: Session, job: UUID) -> JobRow | None:
    """Return the row of a job, None where there is none."""
    return session.scalar(select(JobRow).where(JobRow.id == str(job)))


def row_named(session: Session, owner: str, name: UUID) -> JobRow | None:
    """Return the row of the job that an owner calls so, None where there is none."""
    return session.scalar(select(JobRow).where(JobRow.owner == owner, JobRow.name == str(name)))


def known_row(session: Session, job: UUID) -> JobRow:
    """Return the row of a job.

    Raises
    ------
    LookupError
        There is no such job.
    """
    row = row_of(session, job)
    if row is None:
        raise LookupError(f"no job {job}")
    return row


def stored_job(row: JobRow) -> StoredJob:
    """Return the job that a row holds.

    Raises
    ------
    RecordUnreadableError
        It is not what this version writes: another one wrote it, or the database was changed by hand.
    """
    try:
        return _stored_job(row)
    except (ValueError, TypeError) as error:
        wrong = f"{error.error_count()} fields" if isinstance(error, ValidationError) else type(error).__name__
        raise RecordUnreadableError(
            f"the record of job {row.name} is not what this version of attnscope reads ({wrong}); the job and what it "
            "stored are left as they are: ask the operator to look, delete it, or submit it again"
        ) from error


def _stored_job(row: JobRow) -> StoredJob:
    return StoredJob(
        sequence=row.sequence,
        id=UUID(row.id),
        name=UUID(row.name),
        owner=row.owner,
        kind=row.kind,
        label=row.label,
        state=JobState(row.state),
        spec=specification_as(row.kind, row.spec),
        resolved=resolved_as(row.kind, row.resolved),
        progress=Progress.model_validate(row.progress),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
        failure=None if row.failure is None else Problem.model_validate(row.failure),
        interruptions=row.interruptions,
        interrupted_at_step=row.interrupted_at_step,
        expires_at=row.expires_at,
        pinned=row.pinned,
        deleted_at=row.deleted_at,
        last_heard_at=row.last_heard_at,
        ran_seconds=row.ran_seconds,
        lease_until=row.lease_until,
        runner=row.runner,
        slot=row.slot,
        placed_on=row.placed_on,
        resume_elsewhere=row.resume_elsewhere,
        device_kind=row.device_kind,
        key_id=row.token_key if row.token_attempt == row.attempts else None,
    )


def readable(rows: Iterable[JobRow]) -> Iterator[StoredJob]:
    """Yield the jobs that rows hold; one that this version cannot read is logged, and hides no other."""
    for row in rows:
        try:
            yield stored_job(row)
        except RecordUnreadableError as error:
            log.warning("the record of a job cannot be read", job=row.id, detail=error.message)


def ids_in(stored: Iterable[str]) -> Iterator[UUID]:
    """Yield the ids of jobs as they are stored; what is none is logged, and hides no other."""
    for one in stored:
        try:
            yield UUID(one)
        except ValueError:
            log.warning("the record of a job has no id", job=one)


def record_event(session: Session, row: JobRow, at: datetime, detail: str | None, state: JobState | None = None) -> int:
    """Write down the state that a job entered, after what came before; return the number of the event.

    Parameters
    ----------
    state
        None: the one that the row has by now.
    """
    event = EventRow(job=row.sequence, at=at, state=state or row.state, detail=detail)
    session.add(event)
    session.flush()
    return event.sequence
