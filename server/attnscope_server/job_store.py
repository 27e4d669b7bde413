"""Jobs in the database: every change of state is one transaction, written before anybody is told."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from attnscope_server.database import Database, EventRow, JobRow
from attnscope_server.errors import refusal
from attnscope_server.jobs import StoredJob
from attnscope_storage.wire import (
    JOB_SPEC,
    CaptureSpec,
    JobState,
    Problem,
    ProblemCode,
    Progress,
    ResolvedCapture,
)

MAX_CURSOR_DIGITS = 18
"""Decimal digits of a cursor's number, so that it fits the database's integers."""


@dataclass(frozen=True)
class JobFilter:
    """Which jobs a page shows."""

    owner: str
    states: tuple[JobState, ...] = ()
    kind: str | None = None
    label: str | None = None


class JobStore:
    """The jobs of one service."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    def submit(
        self, job: UUID, owner: str, spec: CaptureSpec, resolved: ResolvedCapture, *, queue_limit: int
    ) -> tuple[StoredJob, bool]:
        """Queue a job, or return the one that has this id and the same specification already.

        Returns
        -------
        tuple
            The job, and whether it is new.

        Raises
        ------
        ProblemError
            The id is taken by another specification (conflict) or was deleted (gone), or the owner's queue is full.
        """
        with self._database.write() as session:
            row = _row(session, job)
            if row is not None:
                return _same(_job(row), owner, spec), False
            waiting = session.scalar(select(func.count()).where(JobRow.owner == owner, JobRow.state == JobState.QUEUED))
            if (waiting or 0) >= queue_limit:
                raise refusal(
                    ProblemCode.TOO_MANY_REQUESTS,
                    f"{waiting} jobs of yours wait already; wait for some or cancel them",
                    limit=queue_limit,
                    requested=(waiting or 0) + 1,
                )
            row = JobRow(
                id=str(job),
                owner=owner,
                kind=spec.kind,
                label=spec.label,
                state=JobState.QUEUED,
                spec=spec.model_dump(mode="json"),
                resolved=resolved.model_dump(mode="json"),
                progress=Progress(steps_total=resolved.steps).model_dump(mode="json"),
                created_at=self._now(),
                attempts=0,
                interruptions=0,
                interrupted_at_step=0,
            )
            session.add(row)
            session.flush()
            self._record(session, row, None)
            return _job(row), True

    def get(self, job: UUID) -> StoredJob | None:
        """Return a job, deleted ones too; None where the id was never used."""
        with self._database.read() as session:
            row = _row(session, job)
            return None if row is None else _job(row)

    def page(self, shown: JobFilter, limit: int, cursor: str | None) -> tuple[tuple[StoredJob, ...], str | None]:
        """Return a page of jobs, newest first, and the cursor of the next one."""
        query = select(JobRow).where(JobRow.owner == shown.owner, JobRow.deleted_at.is_(None))
        if shown.states:
            query = query.where(JobRow.state.in_(shown.states))
        if shown.kind is not None:
            query = query.where(JobRow.kind == shown.kind)
        if shown.label is not None:
            query = query.where(JobRow.label == shown.label)
        if cursor is not None:
            query = query.where(JobRow.sequence < _parse_cursor(cursor))
        query = query.order_by(JobRow.sequence.desc()).limit(limit + 1)
        with self._database.read() as session:
            jobs = tuple(_job(row) for row in session.scalars(query))
        more = len(jobs) > limit
        return jobs[:limit], _cursor(jobs[limit - 1].sequence) if more else None

    def queue_positions(self) -> dict[UUID, int]:
        """Return the place of every queued job; 0 is next."""
        query = select(JobRow.id).where(JobRow.state == JobState.QUEUED).order_by(JobRow.sequence)
        with self._database.read() as session:
            return {UUID(job): place for place, job in enumerate(session.scalars(query))}

    def in_state(self, *states: JobState) -> tuple[StoredJob, ...]:
        """Return every job in one of these states, oldest first."""
        query = select(JobRow).where(JobRow.state.in_(states)).order_by(JobRow.sequence)
        with self._database.read() as session:
            return tuple(_job(row) for row in session.scalars(query))

    def claim(self) -> StoredJob | None:
        """Give the oldest queued job to a worker; None where nothing waits."""
        query = select(JobRow).where(JobRow.state == JobState.QUEUED).order_by(JobRow.sequence).limit(1)
        with self._database.write() as session:
            row = session.scalar(query)
            return None if row is None else self._move(session, row, JobState.RUNNING, None)

    def move(self, job: UUID, state: JobState, detail: str | None = None, **changes: Any) -> StoredJob:  # noqa: ANN401 - fields of StoredJob
        """Bring a job into a state; `changes` are further fields of `StoredJob`.

        Raises
        ------
        TransitionError
            The job cannot go there from the state that it is in by now.
        """
        with self._database.write() as session:
            return self._move(session, _known(session, job), state, detail, **changes)

    def interrupt(self, job: UUID, committed: int, detail: str, *, counted: bool) -> StoredJob:
        """Mark a running job as interrupted when `committed` steps were safe."""
        with self._database.write() as session:
            row = _known(session, job)
            stored = _job(row).interrupt(self._now(), committed, counted=counted)
            return self._write(session, row, stored, detail)

    def record_progress(self, job: UUID, progress: Progress) -> None:
        """Keep how far a job is."""
        with self._database.write() as session:
            _known(session, job).progress = progress.model_dump(mode="json")

    def mark_deleted(self, job: UUID) -> None:
        """Hide an ended job for ever; its capture may still be on disk."""
        with self._database.write() as session:
            _known(session, job).deleted_at = self._now()

    def mark_removed(self, job: UUID) -> None:
        """Note that the capture of a deleted job is gone from disk."""
        with self._database.write() as session:
            _known(session, job).removed_at = self._now()

    def deleted_leftovers(self) -> tuple[UUID, ...]:
        """Return the deleted jobs whose captures may still be on disk."""
        query = select(JobRow.id).where(JobRow.deleted_at.is_not(None), JobRow.removed_at.is_(None))
        with self._database.read() as session:
            return tuple(UUID(job) for job in session.scalars(query))

    def events(self, job: UUID) -> Sequence[tuple[JobState, datetime, str | None]]:
        """Return the states that a job went through, oldest first."""
        query = select(EventRow).join(JobRow).where(JobRow.id == str(job)).order_by(EventRow.sequence)
        with self._database.read() as session:
            return [(JobState(row.state), row.at, row.detail) for row in session.scalars(query)]

    def _move(self, session: Session, row: JobRow, state: JobState, detail: str | None, **changes: Any) -> StoredJob:  # noqa: ANN401 - fields of StoredJob
        return self._write(session, row, _job(row).move(state, self._now(), **changes), detail)

    def _write(self, session: Session, row: JobRow, job: StoredJob, detail: str | None) -> StoredJob:
        row.state = job.state
        row.progress = job.progress.model_dump(mode="json")
        row.failure = None if job.failure is None else job.failure.model_dump(mode="json")
        row.started_at, row.finished_at = job.started_at, job.finished_at
        row.attempts, row.interruptions = job.attempts, job.interruptions
        row.interrupted_at_step = job.interrupted_at_step
        self._record(session, row, detail)
        return job

    def _record(self, session: Session, row: JobRow, detail: str | None) -> None:
        session.add(EventRow(job=row.sequence, at=self._now(), state=row.state, detail=detail))


def _row(session: Session, job: UUID) -> JobRow | None:
    return session.scalar(select(JobRow).where(JobRow.id == str(job)))


def _known(session: Session, job: UUID) -> JobRow:
    row = _row(session, job)
    if row is None:
        raise LookupError(f"no job {job}")
    return row


def _same(job: StoredJob, owner: str, spec: CaptureSpec) -> StoredJob:
    """Return `job` if it is this owner's and asks for the same, else say why not."""
    if job.owner != owner or job.spec != spec:
        # The same words in both cases: an id must not tell whether another owner uses it for the same.
        raise refusal(ProblemCode.CONFLICT, f"the id {job.id} is taken by another specification")
    if job.deleted_at is not None:
        raise refusal(ProblemCode.GONE, f"job {job.id} was deleted; its id stays reserved")
    return job


def _job(row: JobRow) -> StoredJob:
    return StoredJob(
        sequence=row.sequence,
        id=UUID(row.id),
        owner=row.owner,
        kind=row.kind,
        label=row.label,
        state=JobState(row.state),
        spec=JOB_SPEC.validate_python(row.spec),
        resolved=ResolvedCapture.model_validate(row.resolved),
        progress=Progress.model_validate(row.progress),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
        failure=None if row.failure is None else Problem.model_validate(row.failure),
        interruptions=row.interruptions,
        interrupted_at_step=row.interrupted_at_step,
        deleted_at=row.deleted_at,
    )


def _cursor(sequence: int) -> str:
    return base64.urlsafe_b64encode(f"v1:{sequence}".encode()).decode()


def _parse_cursor(cursor: str) -> int:
    try:
        version, _, sequence = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
        if version != "v1" or not sequence.isascii() or not sequence.isdigit() or len(sequence) > MAX_CURSOR_DIGITS:
            raise ValueError(cursor)  # noqa: TRY301 - one answer for every way it can be wrong
        return int(sequence)
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise refusal(ProblemCode.INVALID_REQUEST, "cursor: not one that this service gave") from error
