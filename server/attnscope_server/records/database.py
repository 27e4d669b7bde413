"""The job database: transactions on its tables.

SQLite in WAL mode. Writers take the write lock when they begin, so that a transaction never fails half-way because
another one wrote in between. Readers have connections of their own, which no writer can take away. Knows nothing of
states or rights.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from attnscope_server.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseGoneError,
    DataRootUnusableError,
)
from attnscope_server.records.upgrading import bring_up
from attnscope_storage.errors import AttnscopeError

RESTORE: Final = "restore it from a backup, or move it away and run `attnscope-server doctor --rebuild`"
"""The remedy for a job database that cannot be used."""

BUSY_MILLISECONDS = 5000
"""Time that a transaction waits for another process's."""

READERS: Final = 48
"""Connections for reading, at most; more than the service has threads that read."""

WAITING_WRITERS: Final = 16
"""Writers that wait for their turn, at most: fewer than the service's threads, so that reads always find one."""

STUCK_SECONDS: Final = 0.5
"""Time after which a writer that waits for another program's lock lets the next ones be refused at once."""

UNANSWERED: Final = (DatabaseError, DatabaseGoneError, DatabaseBusyError)
"""Errors of a transaction that the database did not take; another try may succeed."""

WRITES: Final = "attnscope_writes"
"""Execution option of a connection that is going to write."""

PATIENCE: Final = "attnscope_patience"
"""Execution option: milliseconds that a writer waits for another process's lock."""


class Database:
    """Transactions on one database file."""

    def __init__(self, reading: Engine, writing: Engine, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._reading, self._writing = reading, writing.execution_options(**{WRITES: True})
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
        database = cls(_engine(path, durable, READERS), _engine(path, durable, 1), path)
        try:
            database._prepare()
        except OperationalError as error:
            database.close()
            raise DataRootUnusableError(f"the job database {path} cannot be opened: {error.orig}") from error
        except DatabaseError as error:
            database.close()
            raise DatabaseDamagedError(f"{path} is no database that can be read: {error.orig}; {RESTORE}") from error
        except AttnscopeError:
            database.close()
            raise
        database._file = path.stat().st_ino
        return database

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
            try:
                there = self._file in {None, self._path.stat().st_ino}
            except OSError:
                there = False
            if not there:
                raise DatabaseGoneError(f"the job database {self._path} is gone; stop the service, {RESTORE}")
            writing = self._writing.execution_options(**{PATIENCE: left})
            with Session(writing, expire_on_commit=False) as session, session.begin():
                session.connection()  # begins, which waits for another program's lock
                self._since = None
                yield session

    def close(self) -> None:
        """Close every connection."""
        self._reading.dispose()
        self._writing.dispose()

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

    def _prepare(self) -> None:
        self._check_pages()
        with self._writing.begin() as connection:
            bring_up(connection)

    def _check_pages(self) -> None:
        """Refuse a database with damaged pages before anything is written into it."""
        with self.read() as session:
            found = session.execute(text("PRAGMA quick_check(1)")).scalar()
        if found != "ok":
            raise DatabaseDamagedError(f"the job database is damaged: {found}; {RESTORE}")


def _engine(path: Path, durable: bool, connections: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),  # a path may hold what an address gives a meaning
        connect_args={"check_same_thread": False},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_MILLISECONDS / 1000,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself: see _on_begin
        for pragma in (
            f"busy_timeout = {BUSY_MILLISECONDS}",
            "journal_mode = WAL",
            f"synchronous = {'FULL' if durable else 'NORMAL'}",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get(WRITES, False):
            connection.exec_driver_sql("BEGIN")
            return
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {options.get(PATIENCE, BUSY_MILLISECONDS)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
