"""The job database: its tables, and transactions on it.

SQLite in WAL mode. Writers take the write lock when they begin, so that a transaction never fails half-way because
another one wrote in between. Knows nothing of states or rights.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import JSON, Connection, DateTime, Engine, ForeignKey, Index, String, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from attnscope_server.errors import DatabaseDamagedError, DatabaseGoneError, DatabaseVersionError, DataRootUnusableError

DATABASE_VERSION = 2
"""Version of the tables below, stored in the database."""

UPGRADES: Final = MappingProxyType(
    {
        1: (
            "ALTER TABLE jobs ADD COLUMN name VARCHAR(36) NOT NULL DEFAULT ''",
            "ALTER TABLE jobs ADD COLUMN expires_at DATETIME",
            "ALTER TABLE jobs ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT 0",
            "UPDATE jobs SET name = id",
            "CREATE UNIQUE INDEX jobs_by_name ON jobs (owner, name)",
        )
    }
)
"""Version → what brings a database of that version up to the next."""

RESTORE: Final = "restore it from a backup, or move it away and run `attnscope-server doctor --rebuild`"
"""What to do about a job database that cannot be used."""

BUSY_MILLISECONDS = 5000
"""How long a transaction waits for another process's."""

UNANSWERED: Final = (DatabaseError, DatabaseGoneError)
"""What a transaction raises that the database did not take; another try may succeed."""

WRITES = "attnscope_writes"
"""Execution option of a connection that is going to write."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored in UTC without its zone and read back with it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:  # noqa: ARG002 - its API
        """Store in UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:  # noqa: ARG002 - its API
        """Read back with the zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012  SQLAlchemy's


class MetadataRow(Base):
    """Facts about the database itself and about the service, by name."""

    __tablename__ = "service_metadata"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class JobRow(Base):
    """A job. Rows are kept after deletion, so that an id stays reserved."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_owner", "owner", "sequence"),
        Index("jobs_by_state", "state", "sequence"),
        Index("jobs_by_name", "owner", "name", unique=True),
    )

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    """Order of submission; unlike a clock, it never jumps."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    """Names the capture's folder; the job's name too, unless another owner was first to use that."""
    name: Mapped[str] = mapped_column(String(36))
    """What its owner calls it: unique among that owner's."""
    owner: Mapped[str]
    kind: Mapped[str]
    label: Mapped[str | None]
    state: Mapped[str]
    spec: Mapped[dict[str, Any]]
    resolved: Mapped[dict[str, Any]]
    progress: Mapped[dict[str, Any]]
    failure: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempts: Mapped[int]
    interruptions: Mapped[int]
    """Interruptions in a row without a new commit."""
    interrupted_at_step: Mapped[int]
    """Steps that were committed at the last interruption."""
    expires_at: Mapped[datetime | None]
    pinned: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    """When the capture of a deleted job was gone from disk."""


class EventRow(Base):
    """One change of a job's state."""

    __tablename__ = "job_events"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job: Mapped[int] = mapped_column(ForeignKey("jobs.sequence"), index=True)
    at: Mapped[datetime]
    state: Mapped[str]
    detail: Mapped[str | None]


class KeyRow(Base):
    """An API key; its secret is stored hashed."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    label: Mapped[str | None]
    digest: Mapped[str]
    """sha256 of the whole key, hex."""
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Database:
    """Transactions on one database file."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._reading = engine
        self._writing = engine.execution_options(**{WRITES: True})

    @classmethod
    def open(cls, path: Path, *, durable: bool = True) -> Database:
        """Open the database at `path`, made where there is none.

        Raises
        ------
        DatabaseVersionError
            A newer version wrote it.
        DatabaseDamagedError
            The file is no database, or a damaged one.
        DataRootUnusableError
            The file cannot be opened or made.
        """
        engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
        _configure(engine, durable=durable)
        database = cls(engine, path)
        try:
            database._prepare()
        except OperationalError as error:
            engine.dispose()
            raise DataRootUnusableError(f"the job database {path} cannot be opened: {error.orig}") from error
        except DatabaseError as error:
            engine.dispose()
            raise DatabaseDamagedError(f"{path} is no database that can be read: {error.orig}; {RESTORE}") from error
        except (DatabaseVersionError, DatabaseDamagedError):
            engine.dispose()
            raise
        database._file = path.stat().st_ino
        return database

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database."""
        with Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose changes are committed at the end, or none of them.

        Raises
        ------
        DatabaseGoneError
            The file is not there any more, or another one is: what is written would be lost.
        """
        try:
            there = self._file in {None, self._path.stat().st_ino}
        except OSError:
            there = False
        if not there:
            raise DatabaseGoneError(f"the job database {self._path} is gone; stop the service, {RESTORE}")
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self._reading.dispose()

    def _prepare(self) -> None:
        self._check_pages()
        Base.metadata.create_all(self._writing)
        with self.write() as session:
            row = session.get(MetadataRow, "database_version")
            version = None if row is None else int(row.value)
            if row is None:
                session.add(MetadataRow(name="database_version", value=str(DATABASE_VERSION)))
            elif version is not None and version > DATABASE_VERSION:
                raise DatabaseVersionError(
                    f"the job database has version {row.value}, this attnscope knows {DATABASE_VERSION}: update it"
                )
            elif version is not None and version < DATABASE_VERSION:
                for statement in UPGRADES[version]:
                    session.execute(text(statement))
                row.value = str(DATABASE_VERSION)

    def _check_pages(self) -> None:
        """Refuse a database with damaged pages before anything is written into it."""
        with self.read() as session:
            found = session.execute(text("PRAGMA quick_check(1)")).scalar()
        if found != "ok":
            raise DatabaseDamagedError(f"the job database is damaged: {found}; {RESTORE}")


def _configure(engine: Engine, *, durable: bool) -> None:
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
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
