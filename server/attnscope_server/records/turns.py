"""The owner whose job is next: owners are served in turn, and a job's place in the queue follows from the same rule.

The next owner is the one with the fewest running jobs, then the one that was served longest ago, then the one whose
job waits longest. An owner's own jobs go in the order of their submission.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from attnscope_server.records.tables import JobRow
from attnscope_storage.wire import JobState

BUSY = (JobState.RUNNING, JobState.CANCELLING)
"""States of jobs that hold a placement slot."""


class Waiting(Protocol):
    """A job that waits, as far as its place in the queue depends on it."""

    @property
    @abstractmethod
    def id(self) -> UUID:
        """Its id inside the service."""
        ...

    @property
    @abstractmethod
    def owner(self) -> str:
        """The owner of the job."""
        ...

    @property
    @abstractmethod
    def sequence(self) -> int:
        """Order of its submission."""
        ...


@dataclass(frozen=True)
class Claim:
    """The request of a placement slot."""

    only: tuple[str, ...] | None = None
    """Kinds of job that the slot takes; None: every kind but `never`."""
    never: tuple[str, ...] = ()
    """Kinds of job that it does not take."""
    per_owner: int | None = None
    """Jobs of one owner that may run at once; None: any number."""
    runner: str | None = None
    slot: str | None = None
    hardware: str | None = None
    """Device of the slot as torch names it; None where that is not known, and any job may be tried there."""
    lease_seconds: float | None = None
    """Length of the attempt's lease; None where it needs none."""


@dataclass(frozen=True)
class Standing:
    """The turn of an owner whose jobs wait."""

    owner: str
    waiting: int
    first: int
    """Sequence of the owner's oldest waiting job."""
    running: int
    served: int
    """Turn in which the owner was last served; 0: never."""

    @property
    def turn(self) -> tuple[int, int, int]:
        """Key of the order in which owners are served: the smallest is next."""
        return (self.running, self.served, self.first)


def next_in_turn(session: Session, claim: Claim) -> JobRow | None:
    """Return the queued job that a slot takes next; None where none waits that it may take."""
    owners = standings(session, claim)
    able = [one for one in owners if claim.per_owner is None or one.running < claim.per_owner]
    if not able:
        return None
    first = min(able, key=lambda one: one.turn).first
    return session.get(JobRow, first)


def standings(session: Session, claim: Claim) -> tuple[Standing, ...]:
    """Return the standing of each owner who waits for such a slot."""
    query = select(JobRow.owner, func.count(), func.min(JobRow.sequence)).where(*_waiting(claim)).group_by(JobRow.owner)
    waiting = session.execute(query).all()
    if not waiting:
        return ()
    counts = select(JobRow.owner, func.count()).where(JobRow.state.in_(BUSY)).group_by(JobRow.owner)
    running: dict[str, int] = {row[0]: row[1] for row in session.execute(counts)}
    return tuple(
        Standing(owner, count, first, running.get(owner, 0), _served(session, owner)) for owner, count, first in waiting
    )


def places(session: Session, jobs: Sequence[Waiting]) -> dict[UUID, int]:
    """Return the place in the queue of those jobs that wait; 0 is next.

    It is the number of jobs that would be claimed before, if no running job ended and none were submitted.
    """
    owners = standings(session, Claim())
    mine = {one.owner: one for one in owners}
    ahead = _ahead(session, [job for job in jobs if job.owner in mine])
    return {job: nth + _before(mine[owner], nth, owners) for job, (owner, nth) in ahead.items()}


def _ahead(session: Session, jobs: Sequence[Waiting]) -> dict[UUID, tuple[str, int]]:
    """Return, for each job that waits, its owner and how many of the owner's own jobs go before it."""
    found = {}
    for job in jobs:
        query = select(func.count()).where(
            JobRow.state == JobState.QUEUED, JobRow.owner == job.owner, JobRow.sequence < job.sequence
        )
        found[job.id] = (job.owner, session.scalar(query) or 0)
    return found


def _before(mine: Standing, nth: int, owners: Sequence[Standing]) -> int:
    """Return how many jobs of other owners are claimed before an owner's `nth` waiting job.

    Each claim makes its owner run one job more, so the `nth` is claimed when the owner has `level` running ones. Until
    then every other owner has been brought up to that level, and those who are served before this owner go first.
    """
    level = mine.running + nth
    before = 0
    for other in owners:
        if other.owner == mine.owner:
            continue
        before += min(max(level - other.running, 0), other.waiting)
        comes = other.running <= level < other.running + other.waiting
        # Of two owners on one level, who joined it later was served longer ago.
        earlier = (-other.running, other.served, other.first) < (-mine.running, mine.served, mine.first)
        before += comes and earlier
    return before


def _served(session: Session, owner: str) -> int:
    return session.scalar(select(func.max(JobRow.served_turn)).where(JobRow.owner == owner)) or 0


def _waiting(claim: Claim) -> list[ColumnElement[Any]]:
    wanted: list[ColumnElement[Any]] = [JobRow.state == JobState.QUEUED]
    if claim.only is not None:
        wanted.append(JobRow.kind.in_(claim.only))
    if claim.never:
        wanted.append(JobRow.kind.not_in(claim.never))
    if claim.hardware is not None:
        began_on = JobRow.placed_on["device"].as_string()
        wanted.append(
            or_(
                began_on.is_(None),
                began_on == claim.hardware,
                JobRow.resume_elsewhere,
                JobRow.progress["steps_committed"].as_integer() == 0,
            )
        )
    return wanted
