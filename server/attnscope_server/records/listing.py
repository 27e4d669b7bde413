"""Pages of jobs: cut by number and by bytes of what is stored, then read one job at a time.

A page of whole jobs is never in memory as objects at once, since a large specification takes many times the bytes of
its JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement, Integer, Text, cast, func, literal, select
from sqlalchemy.orm import Session, defer

from attnscope_server.errors import RecordUnreadableError
from attnscope_server.records.cursors import cursor_of, parse_cursor
from attnscope_server.records.job_rows import stored_job
from attnscope_server.records.tables import JobRow
from attnscope_server.records.turns import places
from attnscope_storage.wire import JobState, JobSummary, Problem, Progress

log = structlog.get_logger("attnscope.records")

AMPLIFIED: Final = 24
"""Bytes of a job in memory, as objects, for each byte of its JSON, at most."""

ROW_BYTES: Final = 1000
"""Bytes of a job's JSON besides the columns that can be large."""


@dataclass(frozen=True)
class JobFilter:
    """The jobs that a page shows."""

    owner: str
    states: tuple[JobState, ...] = ()
    kind: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Cut:
    """The length of a page, its beginning, and the choice between whole jobs and summaries."""

    jobs: int
    bytes: int
    """Stored bytes of all jobs; the first is shown however large it is."""
    cursor: str | None = None
    whole: bool = True


@dataclass(frozen=True)
class Listed:
    """A job of a page, before it is read."""

    sequence: int
    id: UUID
    owner: str
    state: JobState
    bytes: int


@dataclass(frozen=True)
class Page:
    """The jobs of a page, newest first."""

    jobs: tuple[Listed, ...]
    next_cursor: str | None

    @property
    def memory_bytes(self) -> int:
        """Memory that the answer takes while it is made: its text twice, and its largest job as objects."""
        sizes = [job.bytes for job in self.jobs] or [0]
        return 2 * sum(sizes) + AMPLIFIED * max(sizes)


Shown = Callable[[UUID, JobSummary], BaseModel]
"""Brings a job or summary up to date before it is shown: asked with the id inside the service."""

Held = Callable[[int], AbstractContextManager[None]]
"""Reserves bytes of memory while its context lasts."""


def list_jobs(
    session: Session, wanted: JobFilter, cut: Cut, shown: Shown, held: Held, at: datetime
) -> tuple[list[bytes], str | None]:
    """Return the jobs of a page as JSON, and the cursor of the next page."""
    page = page_of(session, wanted, cut)
    waiting = [job for job in page.jobs if job.state is JobState.QUEUED]
    place = places(session, waiting, at) if waiting else {}
    answers = []
    with held(page.memory_bytes):
        for job in page.jobs:
            read = _whole(session, job.sequence) if cut.whole else _summary(session, job.sequence)
            if read is None:
                continue
            if job.id in place:
                progress = read.progress.model_copy(update={"queue_position": place[job.id]})
                read = read.model_copy(update={"progress": progress})
            answers.append(shown(job.id, read).model_dump_json().encode())
    return answers, page.next_cursor


def page_of(session: Session, wanted: JobFilter, cut: Cut) -> Page:
    """Return which jobs a page shows, without reading what can be large."""
    columns = (JobRow.spec, JobRow.resolved, JobRow.progress, JobRow.failure)
    size = sum(
        (func.coalesce(func.length(cast(column, Text)), 0) for column in columns[0 if cut.whole else 2 :]),
        start=literal(ROW_BYTES, Integer),
    )
    query = select(JobRow.sequence, JobRow.id, JobRow.owner, JobRow.state, size)
    query = query.where(*_conditions(wanted, cut.cursor))
    rows = session.execute(query.order_by(JobRow.sequence.desc()).limit(cut.jobs + 1)).all()
    listed: list[Listed] = []
    total = 0
    for sequence, job, owner, state, count in rows[: cut.jobs]:
        total += count
        if listed and total > cut.bytes:
            break
        listed.append(Listed(sequence, UUID(job), owner, JobState(state), count))
    more = len(rows) > len(listed)
    return Page(tuple(listed), cursor_of(listed[-1].sequence) if more else None)


def _conditions(wanted: JobFilter, cursor: str | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [JobRow.owner == wanted.owner, JobRow.deleted_at.is_(None)]
    if wanted.states:
        found.append(JobRow.state.in_(wanted.states))
    if wanted.kind is not None:
        found.append(JobRow.kind == wanted.kind)
    if wanted.label is not None:
        found.append(JobRow.label == wanted.label)
    if cursor is not None:
        found.append(JobRow.sequence < parse_cursor(cursor))
    return found


def _whole(session: Session, sequence: int) -> JobSummary | None:
    row = session.get(JobRow, sequence)
    if row is None:
        return None
    session.expunge(row)
    try:
        return stored_job(row).wire()
    except RecordUnreadableError as error:
        log.warning("the record of a job cannot be read", job=row.id, detail=error.message)
        return None


def _summary(session: Session, sequence: int) -> JobSummary | None:
    named = JobRow.resolved["checkpoint_name"].as_string()
    query = select(JobRow, named).where(JobRow.sequence == sequence)
    found = session.execute(query.options(defer(JobRow.spec), defer(JobRow.resolved))).one_or_none()
    if found is None:
        return None
    row, checkpoint_name = found
    session.expunge(row)
    try:
        return JobSummary(
            id=UUID(row.name),
            kind=row.kind,
            owner=row.owner,
            label=row.label,
            state=JobState(row.state),
            checkpoint_name=checkpoint_name,
            progress=Progress.model_validate(row.progress),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            attempts=row.attempts,
            failure=None if row.failure is None else Problem.model_validate(row.failure),
            expires_at=row.expires_at,
            pinned=row.pinned,
            placed_on=row.placed_on,
            resume_elsewhere=row.resume_elsewhere,
            device_kind=row.device_kind,
        )
    except ValidationError as error:
        log.warning("the record of a job cannot be read", job=row.id, wrong=error.error_count())
        return None
