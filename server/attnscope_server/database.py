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
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, Engine, ForeignKey, Index, String, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from attnscope_server.errors import DatabaseDamagedError, DatabaseVersionError, DataRootUnusableError

DATABASE_VERSION = 1
"""Version of the tables below, stored in the database."""

BUSY_MILLISECONDS = 5000
"""How long a transaction waits for another process's."""

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
    __table_args__ = (Index("jobs_by_owner", "owner", "sequence"), Index("jobs_by_state", "state", "sequence"))

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    """Order of submission; unlike a clock, it never jumps."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
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

    def __init__(self, engine: Engine) -> None:
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
        database = cls(engine)
        try:
            database._prepare()
        except OperationalError as error:
            engine.dispose()
            raise DataRootUnusableError(f"the job database {path} cannot be opened: {error.orig}") from error
        except DatabaseError as error:
            engine.dispose()
            raise DatabaseDamagedError(f"{path} is no database that can be read: {error.orig}") from error
        except DatabaseVersionError:
            engine.dispose()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database."""
        with Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose changes are committed at the end, or none of them."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self._reading.dispose()

    def _prepare(self) -> None:
        Base.metadata.create_all(self._writing)
        with self.write() as session:
            row = session.get(MetadataRow, "database_version")
            if row is None:
                session.add(MetadataRow(name="database_version", value=str(DATABASE_VERSION)))
            elif int(row.value) > DATABASE_VERSION:
                raise DatabaseVersionError(
                    f"the job database has version {row.value}, this attnscope knows {DATABASE_VERSION}: update it"
                )


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
