"""The use of an owner's quotas: stored bytes, placement slots, places in the queue."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from attnscope_server.errors import refusal
from attnscope_server.records.tables import BUSY, JobRow, of_progress
from attnscope_storage.wire import JobState, ProblemCode


@dataclass(frozen=True)
class Usage:
    """The sums of one owner."""

    stored_bytes: int
    """Of every job whose store is there; of one that has not ended, at least what it is expected to take."""
    running: int
    waiting: int


def usage_of(session: Session, owner: str) -> Usage:
    """Return what an owner's jobs take."""
    written = of_progress("bytes_written")
    ended = JobRow.state.in_([state for state in JobState if state.final])
    expected = func.coalesce(JobRow.bytes_expected, 0)
    each = case((ended, written), (written > expected, written), else_=expected)
    mine = JobRow.owner == owner
    stored = session.scalar(select(func.sum(each)).where(mine, JobRow.removed_at.is_(None))) or 0
    counts = select(JobRow.state, func.count()).where(mine, JobRow.state.in_((*BUSY, JobState.QUEUED)))
    found: dict[str, int] = {row[0]: row[1] for row in session.execute(counts.group_by(JobRow.state))}
    return Usage(int(stored), sum(found.get(state, 0) for state in BUSY), found.get(JobState.QUEUED, 0))


@dataclass
class Room:
    """The quota of stored bytes, and what a new job is expected to take of it."""

    limit: int | None = None
    """None: any number of bytes."""
    more: int = 0
    """Known once the job is resolved."""


def refuse_over_quota(session: Session, owner: str, room: Room) -> None:
    """Refuse a job whose owner would store more than allowed.

    Raises
    ------
    ProblemError
        Too large: the owner's stored bytes and those of the new job are over the quota.
    """
    if room.limit is None:
        return
    total = usage_of(session, owner).stored_bytes + room.more
    if total > room.limit:
        detail = f"your jobs would store about {total} bytes, {room.more} of them this one; delete some that have ended"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=room.limit, requested=total)
