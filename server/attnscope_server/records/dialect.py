"""The part of the job database that depends on its engine, and nothing that knows of jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine

BUSY_MILLISECONDS: Final = 5000
"""Time that a transaction waits for another process's, where nothing else is said."""

READERS: Final = 48
"""Connections for reading, at most; more than the service has threads that read."""

WRITES: Final = "attnscope_writes"
"""Execution option of a connection that is going to write."""

PATIENCE: Final = "attnscope_patience"
"""Execution option: milliseconds that a writer waits for another process's lock."""


class Dialect(ABC):
    """An engine for reading and one for writing, and what can be wrong with the place behind them.

    A transaction of the writing engine has the database's one write lock from its beginning; one of the reading engine
    sees one moment of the database.
    """

    reading: Engine
    writing: Engine

    @abstractmethod
    def prepare(self) -> None:
        """Look whether the database is whole, and bring its tables up to date.

        Raises
        ------
        DatabaseVersionError
            A newer version wrote it.
        DatabaseDamagedError
            It is no job database, or a damaged one.
        DataRootUnusableError, DatabaseUnreachableError
            It cannot be opened or made, or does not answer.
        """

    @abstractmethod
    def check(self) -> None:
        """Refuse a write that would be lost, or that another service might contradict.

        Raises
        ------
        DatabaseGoneError
            The database is not there any more, or another service has it.
        DatabaseBusyError
            It is not known at the moment whether this service still has it.
        """

    @contextmanager
    def served(self, lost: Callable[[str], None]) -> Iterator[None]:  # noqa: ARG002 - for databases on a server
        """Be the one service of the database; `lost` hears why the service must stop."""
        yield

    def close(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.writing.dispose()
