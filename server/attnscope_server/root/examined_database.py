"""The faults of a job database, as its tables and pages tell them; nothing is brought up to date or written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from attnscope_server.records.postgresql import Postgresql
from attnscope_server.records.sqlite import RESTORE
from attnscope_server.records.upgrading import DATABASE_VERSION
from attnscope_server.root.finding import Finding, bad, good
from attnscope_server.settings import Settings


def database_findings(settings: Settings) -> tuple[dict[str, str] | None, list[Finding]]:
    """Return the state of each job that is not deleted by its id, None where the database cannot tell."""
    if settings.database_url is not None:
        return _on_server(settings.database_url.get_secret_value())
    path = settings.database_path
    if not path.exists():
        return None, [bad("database", f"{path} is missing", RESTORE)]
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            pages = connection.execute("PRAGMA integrity_check(3)").fetchall()
            version = connection.execute(
                "SELECT value FROM service_metadata WHERE name = 'database_version'"
            ).fetchone()
            rows = connection.execute("SELECT id, state FROM jobs WHERE deleted_at IS NULL").fetchall()
    except sqlite3.DatabaseError as error:
        return None, [_unread(path, error)]
    stored = None if version is None else str(version[0])
    wrong = _wrong(path, pages, stored)
    if wrong is not None:
        return None, [wrong]
    return dict(rows), [good("database", f"version {stored}, {len(rows)} jobs")]


def _on_server(address: str) -> tuple[dict[str, str] | None, list[Finding]]:
    """Return the same of a database on a PostgreSQL server, which is not brought up to date for it."""
    dialect = Postgresql(address)
    try:
        with dialect.reading.begin() as connection:
            version = connection.execute(
                text("SELECT value FROM service_metadata WHERE name = 'database_version'")
            ).scalar()
            rows = connection.execute(text("SELECT id, state FROM jobs WHERE deleted_at IS NULL")).all()
    except DatabaseError as error:
        detail = f"{dialect.where} cannot be read: {type(error.orig).__name__}"
        return None, [bad("database", detail, "see whether its server runs, and knows this account")]
    finally:
        dialect.close()
    if version != str(DATABASE_VERSION):
        detail = f"version {version}; this attnscope knows {DATABASE_VERSION}"
        return None, [bad("database", detail, "start the service, or update attnscope")]
    found = {str(job): str(state) for job, state in rows}
    return found, [good("database", f"version {version}, {len(found)} jobs, {dialect.where}")]


def _unread(path: Path, error: sqlite3.DatabaseError) -> Finding:
    """Return what is to be done about a database that gave this error."""
    if not isinstance(error, sqlite3.OperationalError):
        return bad("database", f"{path} cannot be read: {error}", RESTORE)
    if "no such" in str(error):
        return bad("database", f"{path} lacks a table or column: {error}", RESTORE)
    return bad("database", f"{path} does not answer: {error}", "see who else has it open")


def _wrong(path: Path, pages: list[tuple[str]], stored: str | None) -> Finding | None:
    """Return what is wrong with a database's pages or with the version that it says; None where nothing is."""
    if pages != [("ok",)]:
        return bad("database", f"{path} is damaged: {pages[0][0]}", RESTORE)
    if stored is None or not stored.isdecimal() or int(stored) == 0:
        return bad("database", f"its version is {stored!r}", RESTORE)
    if int(stored) > DATABASE_VERSION:
        return bad("database", f"version {stored}; this attnscope knows {DATABASE_VERSION}", "update attnscope")
    return None
