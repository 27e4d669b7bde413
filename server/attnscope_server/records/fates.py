"""The fates of all jobs that there ever were, as far as their stores are concerned: one short row a job."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from attnscope_server.records.tables import JobRow
from attnscope_storage.wire import JobState
from attnscope_storage.wire.parts import child_id


@dataclass(frozen=True)
class Fate:
    """The fate of a job, as far as its stores are concerned."""

    job: UUID
    stores: tuple[UUID, ...]
    """The job's own store, and those that it may own."""
    removed: bool
    """True where it was deleted and its stores were removed."""
    ended: bool
    """True where it has ended and is not deleted."""
    clean: bool
    """True where it succeeded in its first attempt: then nothing of another commit was begun."""
    attempts: int


def fates_of(session: Session, owning: Collection[str], only: UUID | None = None) -> tuple[Fate, ...]:
    """Return the fate of every job, or of one.

    Parameters
    ----------
    owning
        Kinds of job that own further stores.
    """
    query = select(JobRow.id, JobRow.state, JobRow.attempts, JobRow.deleted_at, JobRow.removed_at)
    further = select(JobRow.id, JobRow.resolved).where(JobRow.kind.in_(owning))
    if only is not None:
        query, further = query.where(JobRow.id == str(only)), further.where(JobRow.id == str(only))
    owned = {job: tuple(resolved.get("children", ())) for job, resolved in session.execute(further)}
    final = {state for state in JobState if state.final}
    return tuple(
        Fate(
            job=UUID(job),
            stores=(UUID(job), *(child_id(UUID(job), name) for name in owned.get(job, ()))),
            removed=removed is not None,
            ended=state in final and deleted is None,
            clean=state == JobState.SUCCEEDED and attempts <= 1,
            attempts=attempts,
        )
        for job, state, attempts, deleted, removed in session.execute(query)
    )
