"""The job database in one SQLite file, in WAL mode, beside the captures."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError

from attnscope_server.errors import DatabaseDamagedError, DatabaseGoneError, DataRootUnusableError
from attnscope_server.records.dialect import BUSY_MILLISECONDS, PATIENCE, READERS, WRITES, Dialect
from attnscope_server.records.upgrading import bring_up

RESTORE: Final = "restore it from a backup, or move it away and run `attnscope-server doctor --rebuild`"
"""The remedy for a job database that cannot be used."""


class Sqlite(Dialect):
    """A file that one service has by the lock of its data root."""

    def __init__(self, path: Path, *, durable: bool, busy: int = BUSY_MILLISECONDS) -> None:
        self._path = path
        self._file: int | None = None
        self.reading = _engine(path, durable, READERS, busy)
        self.writing = _engine(path, durable, 1, busy)

    def prepare(self) -> None:
        """Look for damaged pages before anything is written, then bring the tables up to date."""
        try:
            self._check_pages()
            with self.writing.execution_options(**{WRITES: True}).begin() as connection:
                bring_up(connection)
        except OperationalError as error:
            raise DataRootUnusableError(f"the job database {self._path} cannot be opened: {error.orig}") from error
        except DatabaseError as error:
            raise DatabaseDamagedError(
                f"{self._path} is no database that can be read: {error.orig}; {RESTORE}"
            ) from error
        self._file = self._path.stat().st_ino

    def check(self) -> None:
        """Refuse a file that was taken away: nobody would find what is written into it."""
        try:
            there = self._file in {None, self._path.stat().st_ino}
        except OSError:
            there = False
        if not there:
            raise DatabaseGoneError(f"the job database {self._path} is gone; stop the service, {RESTORE}")

    def _check_pages(self) -> None:
        with self.reading.begin() as connection:
            found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if found != "ok":
            raise DatabaseDamagedError(f"the job database is damaged: {found}; {RESTORE}")


def _engine(path: Path, durable: bool, connections: int, busy: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),  # a path may hold what an address gives a meaning
        connect_args={"check_same_thread": False},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=busy / 1000,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself: see _on_begin
        for pragma in (
            f"busy_timeout = {busy}",
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
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {options.get(PATIENCE, busy)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
