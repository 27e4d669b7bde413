"""The fates of all jobs that there ever were, as far as their stores are concerned: one short row a job."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from attnscope_server.records.tables import JobRow
from attnscope_storage.wire import JobState
from attnscope_storage.wire.parts import child_id

log = structlog.get_logger("attnscope.records")

FINAL: Final = frozenset(state for state in JobState if state.final)


@dataclass(frozen=True)
class Fate:
    """The fate of a job, as far as its stores are concerned."""

    job: UUID
    stores: tuple[UUID, ...]
    """The job's own store, and those that it may own."""
    told: bool
    """False where its record does not tell which stores it may own."""
    removed: bool
    """True where it was deleted and its stores were removed."""
    ended: bool
    """True where it has ended and is not deleted; False where its record does not tell."""
    clean: bool
    """True where it succeeded in its first attempt: then nothing of another commit was begun."""
    attempts: int


def fates_of(session: Session, owning: Collection[str], only: UUID | None = None) -> tuple[Fate, ...]:
    """Return the fate of every job, or of one; a record that cannot be read is logged, and hides no other.

    Parameters
    ----------
    owning
        Kinds of job that own further stores.
    """
    query = select(
        JobRow.id, JobRow.state, JobRow.attempts, JobRow.deleted_at.is_not(None), JobRow.removed_at.is_not(None)
    )
    further = select(JobRow.id, cast(JobRow.resolved, Text)).where(JobRow.kind.in_(owning))
    if only is not None:
        query, further = query.where(JobRow.id == str(only)), further.where(JobRow.id == str(only))
    owned = {job: _names_in(resolved) for job, resolved in session.execute(further)}
    found = []
    for job, state, attempts, deleted, removed in session.execute(query):
        try:
            store = UUID(job)
        except ValueError:  # so no store can be its own
            log.warning("the record of a job has no id", job=job)
            continue
        names, counted = owned.get(job, ()), isinstance(attempts, int)
        if names is None or not counted:
            log.warning("the record of a job cannot be read", job=job)
        found.append(
            Fate(
                job=store,
                stores=(store, *(child_id(store, name) for name in names or ())),
                told=names is not None,
                removed=removed,
                ended=state in FINAL and not deleted and counted,
                clean=state == JobState.SUCCEEDED and counted and attempts <= 1,
                attempts=attempts if counted else 0,
            )
        )
    return tuple(found)


def _names_in(resolved: str | None) -> tuple[str, ...] | None:
    """Return the names of the stores that a job may own, from its resolved form; None where it does not tell."""
    try:
        document = json.loads(resolved or "")
    except (ValueError, RecursionError):
        return None
    names = document.get("children", []) if isinstance(document, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else None
