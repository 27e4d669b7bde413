"""Jobs in the database: every change of state is one transaction, written before anybody is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from attnscope_server.errors import TransitionError, refusal
from attnscope_server.records.database import Database
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_keeping import JobKeeping
from attnscope_server.records.job_rows import (
    known_row,
    new_row,
    record_event,
    row_named,
    row_of,
    stored_job,
    write_state,
)
from attnscope_server.records.served import begin, charge, join
from attnscope_server.records.tables import BUSY, JobRow
from attnscope_server.records.turns import Claim, next_in_turn, waits
from attnscope_server.records.usage import Room, refuse_over_quota
from attnscope_storage.wire import AnySpec, JobState, ProblemCode, Progress, Resolved

ANY: Final = Claim()
"""Claims whatever is next."""

Resolve = Callable[[AnySpec, StoredJob | None], Resolved]
"""Returns the meaning of a specification, given the stored job that it refers to."""

RANDOM: Final = 4
"""Version of the ids that are drawn by chance; the ids of parts have another (`attnscope_storage.wire.parts`)."""

STAMPED_WITHIN: Final = timedelta(seconds=5)
"""Distance of an expiry from the job's end and retention, at most, where retention set it and not the owner."""


class JobStore(JobKeeping):
    """The jobs of one service.

    Parameters
    ----------
    retention
        How long the capture of an ended job is kept where its owner says nothing; None is for ever.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        retention: timedelta | None = None,
    ) -> None:
        super().__init__(database, now)
        self._retention = retention

    def submit(
        self,
        name: UUID,
        owner: str,
        spec: AnySpec,
        resolve: Resolve,
        *,
        queue_limit: int,
        room: Room | None = None,
        device_kind: str | None = None,
    ) -> tuple[StoredJob, bool]:
        """Queue a job, or return the one of this owner that has this name and the same specification already.

        Parameters
        ----------
        resolve
            Returns the meaning of the specification, given the stored job that it refers to, or raises. It is called
            outside of any transaction, and only where the name is new to the owner: a repetition is answered even if
            the checkpoint is gone by now.
        room
            The owner's quota of stored bytes; `resolve` says in it what the job takes. None: any.
        device_kind
            Kind of device that a new job waits for; None: any.

        Returns
        -------
        tuple
            The job, and whether it is new.

        Raises
        ------
        ProblemError
            The id is taken by another specification (conflict) or was deleted (gone), or the owner's queue is full, or
            the owner would store more than allowed (too large).
        """
        room = room or Room()
        if (known := self.find(owner, name)) is not None:
            return _same(known, spec), False
        resolved = resolve(spec, self.referred(owner, spec))
        with self._database.write() as session:
            row = row_named(session, owner, name)
            if row is not None:
                return _same(stored_job(row), spec), False
            waiting = self._refuse_full(session, owner, queue_limit)
            refuse_over_quota(session, owner, room)
            if not waiting:
                join(session, owner)
            # Another owner's job of that name must not show, so this one lives elsewhere; and no name that is computed,
            # as those of a decision's parts are, may lead to a store that is there.
            job = name if name.version == RANDOM and row_of(session, name) is None else uuid4()
            row = new_row(job, name, owner, spec, resolved, self._now())
            row.bytes_expected, row.device_kind = room.more, device_kind
            session.add(row)
            session.flush()
            record_event(session, row, self._now(), None)
            return stored_job(row), True

    def claim(self, claim: Claim = ANY) -> StoredJob | None:
        """Give a placement slot the job whose turn it is; None where nothing waits that it takes."""
        with self._database.read() as session:  # most looks find nothing, and need not wait for a writer
            if not waits(session, claim, self._now()):
                return None
        with self._database.write() as session:
            turn = next_in_turn(session, claim, self._now())
            if turn is None:
                return None
            row, at = session.get_one(JobRow, turn.first), self._now()
            job = stored_job(row).move(JobState.RUNNING, at)
            # The event first, whose number the row keeps: so the row is written once.
            row.served_turn = record_event(session, row, at, None, job.state)
            begin(session, row, at, behind=turn.behind)
            write_state(row, job)
            row.runner, row.slot, row.lease_until = claim.runner, claim.slot, self._after(claim.lease_seconds)
            return job.evolve(runner=row.runner, slot=row.slot, lease_until=row.lease_until)

    def renew(self, job: UUID, attempt: int, seconds: float) -> None:
        """Let the lease of a running attempt begin anew.

        Raises
        ------
        TransitionError
            The job has another attempt by now, or does not run.
        """
        mine = (JobRow.id == str(job), JobRow.attempts == attempt, JobRow.state.in_(BUSY))
        anew = update(JobRow).where(*mine).values(lease_until=self._after(seconds))
        with self._database.write() as session:
            if session.connection().execute(anew).rowcount == 0:
                row = known_row(session, job)
                raise TransitionError(f"job {row.name} is {row.state} in its attempt {row.attempts}, not {attempt}")

    def place(self, job: UUID, placed_on: dict[str, Any]) -> None:
        """Keep what a job's attempt runs on."""
        self._update(job, placed_on=placed_on)

    def retry(self, job: UUID, *, queue_limit: int) -> StoredJob:
        """Queue a job again that failed, was cancelled or interrupted; it goes on from its last commit.

        Raises
        ------
        ProblemError
            The job's state forbids it (conflict), it was deleted (gone), or the owner's queue is full.
        """
        with self._database.write() as session:
            row = known_row(session, job)
            try:
                stored = stored_job(row).retry()
            except TransitionError as error:
                raise refusal(ProblemCode.CONFLICT, error.message) from error
            if row.deleted_at is not None:
                raise refusal(ProblemCode.GONE, f"job {row.name} was deleted or had expired")
            if not self._refuse_full(session, row.owner, queue_limit):
                join(session, row.owner)
            if self._retention is not None and row.expires_at is not None and row.finished_at is not None:
                stamped = abs(row.expires_at - row.finished_at - self._retention) < STAMPED_WITHIN
                row.expires_at = None if stamped else row.expires_at  # the next end stamps it anew
                stored = stored.evolve(expires_at=row.expires_at)
            return self._write(session, row, stored, "its owner asked for another try")

    def move(self, job: UUID, state: JobState, detail: str | None = None, **changes: Any) -> StoredJob:  # noqa: ANN401 - fields of StoredJob
        """Bring a job into a state; `changes` are further fields of `StoredJob`.

        Raises
        ------
        TransitionError
            The job cannot go there from the state that it is in by now.
        """
        with self._database.write() as session:
            row = known_row(session, job)
            return self._write(session, row, stored_job(row).move(state, self._now(), **changes), detail)

    def interrupt(
        self, job: UUID, committed: int, detail: str, *, counted: bool, until: datetime | None = None
    ) -> StoredJob:
        """Mark a running job as interrupted when `committed` steps were safe.

        Parameters
        ----------
        until
            Until when its time is charged to its owner; None: until now.
        """
        with self._database.write() as session:
            row = known_row(session, job)
            charge(session, row, until or self._now())
            stored = stored_job(row).interrupt(self._now(), committed, counted=counted)
            return self._write(session, row, stored, detail)

    def record(
        self,
        job: UUID,
        progress: Progress | None,
        *,
        heard_at: datetime | None = None,
        ran_seconds: float | None = None,
    ) -> None:
        """Keep how far a job is, when it was last heard of, and how long it ran; None leaves what is there."""
        told = None if progress is None else progress.model_dump(mode="json")
        values = {"progress": told, "last_heard_at": heard_at, "ran_seconds": ran_seconds}
        self._update(job, **{name: value for name, value in values.items() if value is not None})

    def _after(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self._now() + timedelta(seconds=seconds)

    def _refuse_full(self, session: Session, owner: str, limit: int) -> int:
        """Return how many jobs of an owner wait, or refuse another one."""
        query = select(func.count()).where(JobRow.owner == owner, JobRow.state == JobState.QUEUED)
        waiting = session.scalar(query) or 0
        if waiting >= limit:
            detail = f"{waiting} jobs of yours wait already; wait for some or cancel them"
            raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=limit, requested=waiting + 1)
        return waiting

    def _write(self, session: Session, row: JobRow, job: StoredJob, detail: str | None) -> StoredJob:
        write_state(row, job)
        if job.state.final and row.expires_at is None and self._retention is not None:
            row.expires_at = self._now() + self._retention
        if job.state not in BUSY:
            row.lease_until = None
            charge(session, row, self._now())
        record_event(session, row, self._now(), detail)
        return job


def _same(job: StoredJob, spec: AnySpec) -> StoredJob:
    """Return `job` if it asks for the same, else say why not."""
    if job.spec != spec:
        raise refusal(ProblemCode.CONFLICT, f"the id {job.name} is taken by another specification of yours")
    if job.deleted_at is not None:
        raise refusal(ProblemCode.GONE, f"job {job.name} was deleted or had expired; its id stays reserved")
    return job
