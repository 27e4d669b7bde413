"""The owner whose job is next: owners are served in turn, and a job's place in the queue follows from the same rule.

The next owner is the one with the fewest running jobs, then the one that was served with the least running time, then
the one that was served longest ago, then the one whose job waits longest. An owner's own jobs go in the order of their
submission.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Double, Select, bindparam, func, or_, select
from sqlalchemy.orm import Session

from attnscope_server.records.served import CREDIT, most_served
from attnscope_server.records.tables import BUSY, JobRow, OwnerRow, of_progress
from attnscope_storage.wire import JobState


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
    device_kind: str | None = None
    """Kind of the slot's device; None where that is not known, and any job may be tried there."""
    lease_seconds: float | None = None
    """Length of the attempt's lease; None where it needs none."""
    owners: tuple[str, ...] | None = None
    """Owners whose jobs the slot takes; None: every owner's."""


Wish = tuple[tuple[str, ...] | None, tuple[str, ...], tuple[str, ...] | None, str | None, str | None]
"""The jobs that a slot takes: `only`, `never`, `owners`, `hardware` and `device_kind` of its claim."""


@dataclass(frozen=True)
class Turn:
    """The turn of an owner whose jobs wait."""

    owner: str
    first: int
    """Sequence of the owner's oldest waiting job."""
    running: int
    seconds: float
    """Running time that the owner was served with, that of running jobs included."""
    served: int
    """Turn in which the owner was last served; 0: never."""
    behind: bool
    """True where the owner has no stored time, or is behind the most served one by more than the credit."""

    @property
    def order(self) -> tuple[int, float, int, int]:
        """Key of the order in which owners are served: the smallest is next."""
        return (self.running, self.seconds, self.served, self.first)


@dataclass(frozen=True)
class Standing(Turn):
    """The turn of an owner, and the number of its jobs that wait."""

    waiting: int


def next_in_turn(session: Session, claim: Claim, at: datetime) -> Turn | None:
    """Return the turn of the owner whose job a slot takes next; None where none waits that it may take."""
    able = [one for one in _turns(session, claim, at) if claim.per_owner is None or one.running < claim.per_owner]
    return min(able, key=lambda one: one.order, default=None)


def waits(session: Session, claim: Claim, at: datetime) -> bool:
    """Return True where a job waits that a slot may take; whose turn it is costs more to know."""
    if claim.per_owner is not None:
        return next_in_turn(session, claim, at) is not None
    return session.scalar(_asking_any(_wish(claim))) is not None


def standings(session: Session, at: datetime) -> tuple[Standing, ...]:
    """Return the standing of each owner who waits, with the number of jobs that wait."""
    waiting = select(JobRow.owner, func.count()).where(JobRow.state == JobState.QUEUED).group_by(JobRow.owner)
    counts: dict[str, int] = {row[0]: row[1] for row in session.execute(waiting)}
    return tuple(Standing(**vars(one), waiting=counts[one.owner]) for one in _turns(session, Claim(), at))


def _turns(session: Session, claim: Claim, at: datetime) -> tuple[Turn, ...]:
    """Return the turn of each owner who waits for such a slot."""
    found = session.execute(_asking_turns(_wish(claim)), {"at": at.timestamp()})
    return tuple(
        Turn(
            owner,
            job,
            busy,
            max(charged or 0.0, most - CREDIT) + max(counted or 0.0, 0.0),
            turn or 0,
            behind=charged is None or charged < most - CREDIT,
        )
        for owner, job, busy, turn, charged, counted, most in found
        if job is not None
    )


def _wish(claim: Claim) -> Wish:
    return claim.only, claim.never, claim.owners, claim.hardware, claim.device_kind


@lru_cache(maxsize=256)
def _asking_any(wish: Wish) -> Select[int]:
    """Return the statement that finds any job that a slot takes, whoever is next."""
    return select(JobRow.sequence).where(JobRow.state == JobState.QUEUED, *_taken(wish)).limit(1)


@lru_cache(maxsize=256)
def _asking_turns(wish: Wish) -> Select[*tuple[Any, ...]]:
    """Return the statement that finds, for each owner who waits, the oldest job that a slot takes, and the turn.

    It seeks in indexes once an owner, however many jobs wait: owner after owner, then the oldest job of each. It is
    kept, because making it takes as long as running it.
    """
    owners = _waiting_owners()
    queued = (JobRow.state == JobState.QUEUED, JobRow.owner == owners.c.owner)
    first = select(JobRow.sequence).where(*queued, *_taken(wish)).order_by(JobRow.sequence).limit(1)
    running = select(func.count()).where(JobRow.owner == owners.c.owner, JobRow.state.in_(BUSY))
    served = select(func.max(JobRow.served_turn)).where(JobRow.owner == owners.c.owner)
    charged = select(OwnerRow.served_seconds).where(OwnerRow.owner == owners.c.owner)
    counted = select(func.sum(bindparam("at", type_=Double) - JobRow.served_from)).where(
        JobRow.owner == owners.c.owner, JobRow.state.in_(BUSY)
    )
    parts = (part.correlate(owners).scalar_subquery() for part in (first, running, served, charged, counted))
    return select(owners.c.owner, *parts, most_served()).where(owners.c.owner.is_not(None))


def _waiting_owners() -> CTE:
    """Return the owners who wait, one a row, then a row of none: each is the least one after the one before."""
    waits = JobRow.state == JobState.QUEUED
    owners = select(func.min(JobRow.owner).label("owner")).where(waits).cte("owners", recursive=True)
    following = select(func.min(JobRow.owner)).where(waits, JobRow.owner > owners.c.owner).correlate(owners)
    return owners.union_all(select(following.scalar_subquery()).where(owners.c.owner.is_not(None)))


def places(session: Session, jobs: Sequence[Waiting], at: datetime) -> dict[UUID, int]:
    """Return the place in the queue of those jobs that wait; 0 is next.

    It is the number of jobs that would be claimed before, if no running job ended and none were submitted.
    """
    owners = standings(session, at)
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
        # Of two owners on one level and of one time, who joined the level later was served longer ago.
        earlier = _on_a_level(other) < _on_a_level(mine)
        before += comes and earlier
    return before


def _on_a_level(one: Turn) -> tuple[float, int, int, int]:
    """Return the key of the order of owners who have come to run as many jobs as each other."""
    return (one.seconds, -one.running, one.served, one.first)


def _taken(wish: Wish) -> list[ColumnElement[Any]]:
    """Return the conditions of a queued job that a slot takes."""
    only, never, owners, hardware, device_kind = wish
    wanted: list[ColumnElement[Any]] = []
    if only is not None:
        wanted.append(JobRow.kind.in_(only))
    if never:
        wanted.append(JobRow.kind.not_in(never))
    if owners is not None:
        wanted.append(JobRow.owner.in_(owners))
    if device_kind is not None:
        wanted.append(or_(JobRow.device_kind.is_(None), JobRow.device_kind == device_kind))
    if hardware is not None:
        began_on = JobRow.placed_on["device"].as_string()
        wanted.append(
            or_(
                began_on.is_(None),
                began_on == hardware,
                JobRow.resume_elsewhere,
                of_progress("steps_committed") == 0,
            )
        )
    return wanted
