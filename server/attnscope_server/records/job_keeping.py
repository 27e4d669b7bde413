"""The upkeep of jobs that are there: labels, expiry, deletion, and rows that this version cannot read."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from attnscope_server.errors import refusal
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_queries import JobQueries
from attnscope_server.records.job_rows import ids_in, known_row, stored_job
from attnscope_server.records.repairs import fail_unreadable
from attnscope_server.records.tables import JobRow, MetadataRow
from attnscope_storage.wire import JobChanges, JobState, ProblemCode


class JobKeeping(JobQueries):
    """The upkeep of the jobs of one service; nothing here moves a job through its states but by force."""

    def fail_unreadable(self) -> None:
        """Fail the jobs that wait or run and whose rows this version cannot read: they would stop the queue."""
        with self._database.write() as session:
            fail_unreadable(session, self._now())

    def prove_writable(self) -> None:
        """Write something that means nothing else, so that a database that takes no writes is noticed."""
        with self._database.write() as session:
            session.merge(MetadataRow(name="probed_at", value=self._now().isoformat()))

    def change(self, job: UUID, changes: JobChanges) -> StoredJob:
        """Change what an owner may change."""
        with self._database.write() as session:
            row = known_row(session, job)
            for name in changes.model_fields_set:
                setattr(row, name, getattr(changes, name))
            session.flush()
            return stored_job(row)

    def expire(self, now: datetime) -> tuple[UUID, ...]:
        """Mark the ended jobs as deleted whose time has come and that are not pinned; return them."""
        due = select(JobRow.id).where(
            JobRow.deleted_at.is_(None),
            JobRow.pinned.is_(False),
            JobRow.expires_at <= now,
            JobRow.state.in_([state for state in JobState if state.final]),
        )
        with self._database.write() as session:
            ids = tuple(session.scalars(due))
            for job in ids:
                session.execute(update(JobRow).where(JobRow.id == job).values(deleted_at=now))
            return tuple(ids_in(ids))

    def mark_deleted(self, job: UUID) -> None:
        """Hide an ended job for ever; its capture may still be on disk.

        Raises
        ------
        ProblemError
            The job has not ended (conflict): its owner may have asked for another try in the meantime.
        """
        with self._database.write() as session:
            row = known_row(session, job)
            if row.state in set(JobState) and not JobState(row.state).final:
                raise refusal(ProblemCode.CONFLICT, f"job {row.name} is {row.state}; cancel it first")
            row.deleted_at = self._now()

    def mark_removed(self, job: UUID) -> None:
        """Note that the capture of a deleted job is gone from disk."""
        self._update(job, removed_at=self._now())

    def _update(self, job: UUID, **values: Any) -> None:  # noqa: ANN401 - columns
        """Set columns of a job without reading it; its row may be long, and this happens often."""
        if not values:
            return
        changed = update(JobRow).where(JobRow.id == str(job)).values(**values)
        with self._database.write() as session:
            if session.connection().execute(changed).rowcount == 0:
                raise LookupError(f"no job {job}")
