"""The running time that owners were served with, by which their turns go: counted while a job runs, charged at its end.

Seconds on any placement slot count alike. An owner who begins to wait gets no credit for the time before.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from attnscope_server.records.tables import BUSY, JobRow, OwnerRow
from attnscope_storage.wire import JobState

LEAST: Final = 1.0
"""Seconds that an attempt is charged with, at least: its placement takes about so long, whatever it computes."""

CREDIT: Final = 86_400.0
"""Seconds by which an owner who waits may be behind the owner who was served most, at most; more is forgotten."""


def begin(session: Session, row: JobRow, at: datetime, *, behind: bool) -> None:
    """Let the time of an attempt count from now on, and forget what its owner was behind beyond the credit.

    Parameters
    ----------
    behind
        As the owner's `Turn` says it: False where nothing is to be forgotten, so that nothing is asked.
    """
    if behind:
        most = session.scalar(select(most_served())) or 0.0
        mine = of_owner(session, row.owner)
        mine.served_seconds = max(mine.served_seconds, most - CREDIT)
    row.served_from = at.timestamp()


def charge(session: Session, row: JobRow, until: datetime) -> None:
    """Charge the time of an attempt that has ended to its owner; nothing where none counts."""
    if row.served_from is None:
        return
    seconds = max(LEAST, until.timestamp() - row.served_from)
    row.served_from = None
    of_owner(session, row.owner).served_seconds += seconds


def join(session: Session, owner: str) -> None:
    """Bring an owner who has no job in the queue to the level of those who are served now, unless one runs.

    The level is that of the most served of the owners whose jobs run, so a newcomer does not go before everybody who
    has been here for long. Where no job runs, it is that of the least served of those who wait.
    """
    if session.scalar(select(_in(JobRow.owner == owner, *BUSY))):
        return
    run = _in(JobRow.owner == OwnerRow.owner, *BUSY)
    wait = _in(JobRow.owner == OwnerRow.owner, JobState.QUEUED)
    found = session.execute(select(OwnerRow.served_seconds, run, wait)).all()
    most = max((seconds for seconds, _, _ in found), default=0.0)
    busy = [seconds for seconds, runs, _ in found if runs]
    waiting = [seconds for seconds, _, waits in found if waits]
    level = max(busy) if busy else min(waiting, default=most)
    mine = of_owner(session, owner)
    mine.served_seconds = max(mine.served_seconds, level, most - CREDIT)


def of_owner(session: Session, owner: str) -> OwnerRow:
    """Return the row of an owner, made where there is none."""
    row = session.get(OwnerRow, owner)
    if row is None:
        row = OwnerRow(owner=owner, served_seconds=0.0)
        session.add(row)
        session.flush()
    return row


def most_served() -> ColumnElement[float]:
    """Return the seconds of the owner who was served most, 0 where none was."""
    return func.coalesce(select(func.max(OwnerRow.served_seconds)).scalar_subquery(), 0.0)


def _in(whose: ColumnElement[bool], *states: JobState) -> ColumnElement[bool]:
    """Return whether jobs of these states are there."""
    return exists().where(whose, JobRow.state.in_(states))
