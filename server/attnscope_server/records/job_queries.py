"""Jobs as they are read from the database; nothing here writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select

from attnscope_server.records.database import Database
from attnscope_server.records.fates import Fate, fates_of
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_rows import ids_in, readable, row_named, row_of, stored_job
from attnscope_server.records.listing import Cut, Held, JobFilter, Shown, list_jobs, page_of
from attnscope_server.records.tables import EventRow, JobRow
from attnscope_server.records.turns import places
from attnscope_server.records.usage import Usage, usage_of
from attnscope_storage.wire import AnySpec, JobState

NEWEST = 20
"""Newest jobs of a list among which one is sought that can be read."""


class JobQueries:
    """Questions about the jobs of one service."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    def get(self, job: UUID) -> StoredJob | None:
        """Return a job, deleted ones too; None where the id was never used."""
        with self._database.read() as session:
            row = row_of(session, job)
            return None if row is None else stored_job(row)

    def find(self, owner: str, name: UUID) -> StoredJob | None:
        """Return an owner's job, deleted ones too; None where that owner never used the name."""
        with self._database.read() as session:
            row = row_named(session, owner, name)
            return None if row is None else stored_job(row)

    def named(self, owner: str, name: UUID) -> tuple[UUID, bool] | None:
        """Return the id of an owner's job inside the service, and whether it is deleted, without reading the job."""
        query = select(JobRow.id, JobRow.deleted_at).where(JobRow.owner == owner, JobRow.name == str(name))
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
            return None if row is None else (UUID(row.id), row.deleted_at is not None)

    def referred(self, owner: str, spec: AnySpec) -> StoredJob | None:
        """Return the owner's job that a specification refers to, a deleted one too; None where there is none."""
        return None if spec.refers_to is None else self.find(owner, spec.refers_to)

    def before(self, owner: str, spec: AnySpec, alike: Sequence[str] = ()) -> tuple[StoredJob | None, StoredJob | None]:
        """Return the job that a specification refers to, and the owner's last job of that kind that succeeded.

        Parameters
        ----------
        alike
            Kinds of which a job stands for it while none of that kind has succeeded.
        """
        done = (
            self.newest(JobFilter(owner=owner, states=(JobState.SUCCEEDED,), kind=kind)) for kind in (spec.kind, *alike)
        )
        return self.referred(owner, spec), next((job for job in done if job is not None), None)

    def list(self, wanted: JobFilter, cut: Cut, shown: Shown, held: Held) -> tuple[list[bytes], str | None]:
        """Return a page of jobs as JSON, newest first, and the cursor of the next one.

        Parameters
        ----------
        shown
            Brings a job up to date before it is shown.
        held
            Reserves the bytes of memory that the page takes while it is made.
        """
        with self._database.read() as session:
            return list_jobs(session, wanted, cut, shown, held, self._now())

    def newest(self, wanted: JobFilter) -> StoredJob | None:
        """Return the newest job of a list that this version can read; None where there is none."""
        with self._database.read() as session:
            for listed in page_of(session, wanted, Cut(jobs=NEWEST, bytes=2**40)).jobs:
                for job in readable(filter(None, [session.get(JobRow, listed.sequence)])):
                    return job
        return None

    def queue_positions(self, *jobs: StoredJob) -> dict[UUID, int]:
        """Return the place of those of these jobs that are queued, as `claim` serves them; 0 is next."""
        waiting = [job for job in jobs if job.state is JobState.QUEUED]
        if not waiting:
            return {}
        with self._database.read() as session:
            return places(session, waiting, self._now())

    def usage(self, owner: str) -> Usage:
        """Return what an owner's jobs take of the quotas."""
        with self._database.read() as session:
            return usage_of(session, owner)

    def count_by_state(self) -> dict[JobState, int]:
        """Return how many jobs are in each state, deleted ones left out."""
        query = select(JobRow.state, func.count()).where(JobRow.deleted_at.is_(None)).group_by(JobRow.state)
        with self._database.read() as session:
            found = {JobState(state): count for state, count in session.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def in_state(self, *states: JobState) -> tuple[StoredJob, ...]:
        """Return every job in one of these states, oldest first."""
        query = select(JobRow).where(JobRow.state.in_(states)).order_by(JobRow.sequence)
        with self._database.read() as session:
            return tuple(readable(session.scalars(query).all()))

    def stored_of(self, owner: str, kind: str) -> tuple[UUID, ...]:
        """Return the ids of an owner's jobs of a kind that are not deleted, oldest first."""
        query = select(JobRow.id).where(JobRow.owner == owner, JobRow.kind == kind, JobRow.deleted_at.is_(None))
        with self._database.read() as session:
            return tuple(UUID(job) for job in session.scalars(query.order_by(JobRow.sequence)))

    def deleted_leftovers(self) -> tuple[UUID, ...]:
        """Return the deleted jobs whose captures may still be on disk."""
        query = select(JobRow.id).where(JobRow.deleted_at.is_not(None), JobRow.removed_at.is_(None))
        with self._database.read() as session:
            return tuple(ids_in(session.scalars(query)))

    def fates(self, owning: Collection[str], only: UUID | None = None) -> tuple[Fate, ...]:
        """Return what became of every job that there ever was, or of one; `owning` are kinds that own stores."""
        with self._database.read() as session:
            return fates_of(session, owning, only)

    def events(self, job: UUID) -> Sequence[tuple[JobState, datetime, str | None]]:
        """Return the states that a job went through, oldest first."""
        query = select(EventRow).join(JobRow).where(JobRow.id == str(job)).order_by(EventRow.sequence)
        with self._database.read() as session:
            return [(JobState(row.state), row.at, row.detail) for row in session.scalars(query)]
