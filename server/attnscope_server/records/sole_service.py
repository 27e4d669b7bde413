"""The right to be the one service of a database on a server: an advisory lock of a session, looked at again and again.

The lock is held by a connection of its own. A pooler between service and server may give that connection another
session at any moment, and drops the lock in silence; so may a server that restarts. A lock that was lost with its
connection is taken again, if no other service was there in between; otherwise the service stops.

Between two looks nobody knows that the lock is held. So the database also holds the name of the service that took it
last, changed under the lock of writers, and every transaction that writes looks at that name first.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

import structlog

from attnscope_server.errors import DatabaseBusyError, DatabaseGoneError, DataRootInUseError, SettingUnusableError

log = structlog.get_logger("attnscope.records")

WRITER: Final = (0x617474, 1)
"""Key of the advisory lock of the one transaction that writes."""

SERVICE: Final = (0x617474, 2)
"""Key of the advisory lock of the one service."""

WRITES_WITHIN: Final = 30
"""Seconds in which a transaction that writes must have ended when a service begins."""

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at the lock."""

HOLDS: Final = """
SELECT pg_backend_pid(), EXISTS (
    SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND granted
    AND pid = pg_backend_pid() AND datname = current_database()
)
"""
"""Asks which session answers, and whether that one holds the lock."""

OWNER: Final = "service"
"""Name of the fact that says which service had the database last."""

OWNED_BY: Final = "SELECT value FROM service_metadata WHERE name = 'service'"
"""Asks for that fact."""


class SoleService:
    """Holds the lock while its context lasts.

    Parameters
    ----------
    connect
        Makes a connection of psycopg that commits by itself.
    where
        Names the database in messages.
    lost
        Hears, on a thread of its own, why the service must stop.

    Raises
    ------
    DataRootInUseError
        Another service has the database, or a transaction that writes does not end.
    SettingUnusableError
        A pooler stands between: a lock of a session does not last there.
    """

    def __init__(self, connect: Callable[[], Any], where: str, lost: Callable[[str], None]) -> None:
        self._connect, self._where, self._lost = connect, where, lost
        self._token = secrets.token_hex(16)
        self._connection: Any = None
        self._session = 0
        self._seen = 0.0
        self._gone: str | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sole-service", daemon=True)

    def __enter__(self) -> SoleService:  # noqa: PYI034  # beartype cannot check Self under jaxtyping's hook
        connection = self._take()
        try:
            self._enter_name(connection)
        except BaseException:
            self._close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._close()

    def check(self) -> None:
        """Refuse a write while it is not certain that this service has the database.

        Raises
        ------
        DatabaseGoneError
            It was lost for good.
        DatabaseBusyError
            It was not seen to hold the lock for a while.
        """
        if self._gone is not None:
            raise DatabaseGoneError(self._gone)
        if time.monotonic() - self._seen > 3 * LOOK_EVERY:
            raise DatabaseBusyError(f"the connection to {self._where} is being made again; try again")

    def refuse_replaced(self, owner: str | None) -> None:
        """Refuse a write where the database, which this transaction alone writes into, names another service.

        Raises
        ------
        DatabaseGoneError
            It does; the service must stop.
        """
        if owner == self._token:
            return
        if self._gone is None:
            self._lose(REPLACED.format(where=self._where))
        raise DatabaseGoneError(REPLACED.format(where=self._where))

    def look(self) -> None:
        """Look whether the lock is still held, and take it again where its connection is gone."""
        if self._gone is not None:
            return
        asked = time.monotonic()
        try:
            connection = self._connection
            if connection is None:
                connection = self._take()
                self._refuse_successor()
            found = connection.execute(HOLDS, SERVICE).fetchone()
        except (DataRootInUseError, SettingUnusableError) as error:
            self._lose(error.message)
        except Exception as error:  # noqa: BLE001  # of the driver: the server is away, and the next look tries again
            log.warning("the lock of the job database was not seen", where=self._where, detail=type(error).__name__)
            self._close()
        else:
            if found == (self._session, True):
                self._seen = asked
            else:
                self._lose(POOLED.format(where=self._where))

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_EVERY):
            self.look()

    def _take(self) -> Any:  # noqa: ANN401 - psycopg's
        asked = time.monotonic()
        self._connection = connection = self._connect()
        if not self._try(connection):
            self._close()
            raise DataRootInUseError(f"another attnscope service works on {self._where}")
        with self._connect() as other:  # behind a pooler this may be the same session, which gets its own lock again
            if self._try(other):
                self._close()
                raise SettingUnusableError(POOLED.format(where=self._where))
        self._session, held = connection.execute(HOLDS, SERVICE).fetchone()
        if not held:
            self._close()
            raise SettingUnusableError(POOLED.format(where=self._where))
        self._seen = asked
        return connection

    def _enter_name(self, connection: Any) -> None:  # noqa: ANN401 - psycopg's
        """Let the database name this service, as its only writer: what an earlier one still writes is whole by then."""
        from psycopg.errors import LockNotAvailable  # noqa: PLC0415 - an extra

        name = "INSERT INTO service_metadata (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = %s"
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{WRITES_WITHIN}s'")
                connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", WRITER)
                connection.execute(name, (OWNER, self._token, self._token))
        except LockNotAvailable as error:
            detail = f"another program has been writing into {self._where} for {WRITES_WITHIN} s; end it first"
            raise DataRootInUseError(detail) from error

    def _refuse_successor(self) -> None:
        """Refuse to go on where another service had the database in between."""
        if self._connection.execute(OWNED_BY).fetchone() != (self._token,):
            raise DataRootInUseError(REPLACED.format(where=self._where))

    def _try(self, connection: Any) -> bool:  # noqa: ANN401 - psycopg's
        return bool(connection.execute("SELECT pg_try_advisory_lock(%s, %s)", SERVICE).fetchone()[0])

    def _lose(self, reason: str) -> None:
        log.error("the service must stop", detail=reason)
        self._gone = reason
        self._close()
        self._lost(reason)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # of a connection that is broken already
                connection.close()


REPLACED: Final = "another attnscope service had {where} in between"
"""Detail of a database that names another service."""

POOLED: Final = (
    "{where} does not keep the lock of a session, as behind a pooler: name the address of the server itself in "
    "database_url"
)
"""Detail of an address that leads through a pooler."""
