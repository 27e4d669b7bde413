"""The job database on a PostgreSQL server (extra ``postgres``). No message and no log names its address's password.

Each writing transaction begins by one advisory lock, so that writers go one after the other as they do in SQLite:
claims, the queue's cap and changes of state are safe by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from attnscope_server.errors import DatabaseDamagedError, DatabaseUnreachableError, SettingUnusableError
from attnscope_server.records.dialect import BUSY_MILLISECONDS, PATIENCE, READERS, WRITES, Dialect
from attnscope_server.records.sole_service import OWNED_BY, WRITER, SoleService
from attnscope_server.records.upgrading import bring_up

DRIVER: Final = "postgresql+psycopg"


class Postgresql(Dialect):
    """A database of a PostgreSQL server, which belongs to one service.

    Parameters
    ----------
    address
        As ``postgresql://user@host/database``; a password is better left to ``PGPASSFILE``.
    busy
        Milliseconds that a writer waits for another one, where the write says nothing else.

    Raises
    ------
    SettingUnusableError
        The address is none, or the extra is not installed.
    """

    def __init__(self, address: str, *, busy: int = BUSY_MILLISECONDS) -> None:
        self._url = address_of(address)
        if find_spec("psycopg") is None:
            raise SettingUnusableError("database_url needs the driver: pip install 'attnscope[postgres]'")
        self.where = f"the database {self._url.database} of {self._url.host or 'this machine'}"
        self._sole: SoleService | None = None
        self.reading = self._engine(READERS, isolation_level="REPEATABLE READ").execution_options(
            postgresql_readonly=True
        )
        self.writing = self._engine(1)
        _lock_writers(self.writing, busy, self._refuse_replaced)

    def prepare(self) -> None:
        """Bring the tables up to date, or make them."""
        try:
            with self.writing.execution_options(**{WRITES: True}).begin() as connection:
                bring_up(connection)
        except OperationalError as error:
            raise DatabaseUnreachableError(f"{self.where} does not answer: {_told(error)}") from None
        except DatabaseError as error:
            raise DatabaseDamagedError(f"{self.where} cannot be used: {_told(error)}") from None

    def check(self) -> None:
        """Refuse a write while it is not certain that no other service has the database."""
        if self._sole is not None:
            self._sole.check()

    @contextmanager
    def served(self, lost: Callable[[str], None]) -> Iterator[None]:
        """Be the one service of the database, by a lock on a connection of its own that is watched."""
        with SoleService(self._connect, self.where, lost) as sole:
            self._sole = sole
            try:
                yield
            finally:
                self._sole = None

    def _refuse_replaced(self, connection: Connection) -> None:
        """Refuse a transaction that writes where another service has the database by now; a verb is no service."""
        if self._sole is not None:
            self._sole.refuse_replaced(connection.exec_driver_sql(OWNED_BY).scalar())

    def _engine(self, connections: int, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's
        return create_engine(
            self._url,
            connect_args=self._arguments(),
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY_MILLISECONDS / 1000,
            pool_pre_ping=True,  # a server that was restarted costs no request
            hide_parameters=True,
            **options,
        )

    def _arguments(self) -> dict[str, Any]:
        return {"connect_timeout": 10, "application_name": "attnscope", "prepare_threshold": None}

    def _connect(self) -> Any:  # noqa: ANN401 - a connection of psycopg, which is imported only here
        import psycopg  # noqa: PLC0415 - an extra

        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain, autocommit=True, **self._arguments())


def address_of(address: str) -> URL:
    """Return the address of a PostgreSQL database, with our driver.

    Raises
    ------
    SettingUnusableError
        It is none. What is wrong with it is not repeated: it may hold a password.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise SettingUnusableError("database_url: expected an address like postgresql://user@host/database") from None
    return url.set(drivername=DRIVER)


def _lock_writers(engine: Engine, busy: int, refuse: Callable[[Connection], None]) -> None:
    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(WRITES, False):
            patience = max(1, options.get(PATIENCE, busy))  # 0 would be for ever
            # One question: the patience is set before the row comes for which the lock is taken.
            patient = f"(SELECT set_config('lock_timeout', '{patience}', true)) AS patient"
            lock = f"SELECT pg_advisory_xact_lock({WRITER[0]}, {WRITER[1]}) FROM {patient}"  # noqa: S608 - our numbers
            connection.exec_driver_sql(lock)
            refuse(connection)


def _told(error: DatabaseError) -> str:
    """Return the server's or the driver's own words, on one line; neither repeats a password."""
    return " ".join(str(error.orig).split())
