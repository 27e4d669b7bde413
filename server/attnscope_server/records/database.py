"""The job database: transactions on its tables.

A file of SQLite, or a database on a PostgreSQL server: a dialect holds what differs. Writers take the write lock when
they begin, so that a transaction never fails half-way because another one wrote in between. Readers have connections of
their own, which no writer can take away. Knows nothing of states or rights.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from attnscope_server.errors import DatabaseBusyError, DatabaseGoneError
from attnscope_server.records.dialect import PATIENCE, WRITES, Dialect
from attnscope_server.records.sqlite import Sqlite
from attnscope_storage.errors import AttnscopeError

BUSY_MILLISECONDS = 5000
"""Time that a transaction waits for another process's."""

WAITING_WRITERS: Final = 16
"""Writers that wait for their turn, at most: fewer than the service's threads, so that reads always find one."""

STUCK_SECONDS: Final = 0.5
"""Time after which a writer that waits for another program's lock lets the next ones be refused at once."""

UNANSWERED: Final = (DatabaseError, DatabaseGoneError, DatabaseBusyError)
"""Errors of a transaction that the database did not take; another try may succeed."""


class Database:
    """Transactions on one database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._reading, self._writing = dialect.reading, dialect.writing.execution_options(**{WRITES: True})
        self._turn = threading.Lock()
        self._waiting = 0
        self._since: float | None = None

    @classmethod
    def open(cls, path: Path, *, durable: bool = True) -> Database:
        """Open the database at `path`, made where there is none, and bring its tables up to date.

        Raises
        ------
        DatabaseVersionError
            A newer version wrote it.
        DatabaseDamagedError
            The file is no database, or a damaged one.
        DataRootUnusableError
            The file cannot be opened or made.
        """
        return cls._prepared(Sqlite(path, durable=durable, busy=BUSY_MILLISECONDS))

    @classmethod
    def connect(cls, address: str) -> Database:
        """Open a database on a PostgreSQL server, and bring its tables up to date or make them.

        Raises
        ------
        DatabaseVersionError
            A newer version wrote it.
        DatabaseDamagedError
            It is none of attnscope's, or its tables cannot be made.
        DatabaseUnreachableError
            The server does not answer, or refuses the account.
        SettingUnusableError
            The address is none, or the extra is not installed.
        """
        from attnscope_server.records.postgresql import Postgresql  # noqa: PLC0415 - an extra

        return cls._prepared(Postgresql(address, busy=BUSY_MILLISECONDS))

    @classmethod
    def _prepared(cls, dialect: Dialect) -> Database:
        try:
            dialect.prepare()
        except AttnscopeError:
            dialect.close()
            raise
        return cls(dialect)

    @contextmanager
    def served(self, lost: Callable[[str], None]) -> Iterator[None]:
        """Be the one service of the database while the context lasts; `lost` hears why the service must stop."""
        with self._dialect.served(lost):
            yield

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database."""
        with Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self, *, patient: bool = True) -> Iterator[Session]:
        """Give a session whose changes are committed at the end, or none of them.

        Parameters
        ----------
        patient
            Wait for other writers; a write that is not worth a wait is refused where any writes now.

        Raises
        ------
        DatabaseGoneError
            The file is not there any more, or another one is: what is written would be lost.
        DatabaseBusyError
            Too many writers wait, or the one that writes has not ended for long.
        """
        with self._writers_turn(patient=patient) as left:
            self._dialect.check()
            writing = self._writing.execution_options(**{PATIENCE: left})
            with Session(writing, expire_on_commit=False) as session, session.begin():
                session.connection()  # begins, which waits for another program's lock
                self._since = None
                yield session

    def close(self) -> None:
        """Close every connection."""
        self._dialect.close()

    @contextmanager
    def _writers_turn(self, *, patient: bool) -> Iterator[int]:
        """Let one write at a time, and yield the milliseconds that it may still wait for another program's lock.

        A crowd, and whoever comes while a writer is held up by another program, is refused at once. A writer that holds
        the lock itself is waited for: it is short, but a busy machine or a slow disk may stretch it.
        """
        begun = time.monotonic()
        since = self._since
        if since is not None and time.monotonic() - since > STUCK_SECONDS:
            raise DatabaseBusyError("the job database has been locked for a while; try again")
        if self._waiting >= WAITING_WRITERS:
            raise DatabaseBusyError(f"{self._waiting} writers wait for the job database already; try again")
        self._waiting += 1  # of several threads at once a few more may pass: the bound need not be exact
        try:
            turn = self._turn.acquire(timeout=BUSY_MILLISECONDS / 1000 if patient else 0)
        finally:
            self._waiting -= 1
        if not turn:
            why = "was locked for too long" if patient else "is being written to"
            raise DatabaseBusyError(f"the job database {why}; try again")
        self._since = time.monotonic()
        left = max(0, BUSY_MILLISECONDS - round(1000 * (self._since - begun))) if patient else 0
        try:
            yield left
        finally:
            self._since = None
            self._turn.release()
