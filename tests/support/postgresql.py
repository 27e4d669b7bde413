"""A PostgreSQL server of the tests' own, in a temporary folder and reached by a socket in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from attnscope_server.records.database import Database

READY = "ready"
"""Database whose tables are made; each test gets a copy."""

MISSING = "the database tests need PostgreSQL: `make postgresql`, or install it (Debian: postgresql, macOS: postgresql)"


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(newest[-1]) if newest else shutil.which(name)
    assert found is not None, MISSING
    return found


@dataclass
class Server:
    """A server that answers."""

    folder: Path
    user: str
    restart: Callable[[], None] = lambda: None
    """Kills every process of the server and starts it anew on the same files."""
    _numbers: Iterator[int] = field(default_factory=count)

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{self.user}@/{database}?host={self.folder}"

    def execute(self, *statements: str) -> None:
        """Run statements in the server's own database."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def fresh(self) -> str:
        """Return the address of a new database with tables and without rows."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {READY}")
        return self.address(name)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run a server in a folder while the context lasts; as another user where this one is root, whom it refuses."""
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    data = folder / "data"
    made = [program("initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    run(*made)
    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=32MB -c max_connections=200"
    control = [program("pg_ctl"), "-D", str(data), "-w"]
    started = [*control, "-l", str(folder / "log"), "-o", settings]

    def restart() -> None:
        run(*started, "-m", "immediate", "restart")

    run(*started, "start")
    try:
        server = Server(folder, "tester", restart)
        server.execute(f"CREATE DATABASE {READY}")
        Database.connect(server.address(READY)).close()
        yield server
    finally:
        run(*control, "-m", "immediate", "stop")
