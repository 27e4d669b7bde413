"""Bringing the tables of a database up to those of this version, by Alembic's migrations, in one transaction.

Databases of attnscope's first two versions hold only a number; they are entered at the migration that made them.
Alembic is loaded only where there is something to migrate: it takes a tenth of a start.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from attnscope_server.errors import DatabaseDamagedError, DatabaseVersionError

if TYPE_CHECKING:
    from alembic.config import Config

DATABASE_VERSION: Final = 8
"""Version of the tables, stored in the database; an older attnscope refuses a database by it."""

REVISIONS: Final = MappingProxyType({version: f"{version:04}" for version in range(1, DATABASE_VERSION + 1)})
"""Version → the migration that made it."""


def bring_up(connection: Connection) -> None:
    """Make the tables, or bring them up to this version.

    Raises
    ------
    DatabaseVersionError
        A newer attnscope wrote the database.
    DatabaseDamagedError
        The database does not say which version its tables have.
    """
    tables = set(inspect(connection).get_table_names())
    if _is_of_this_version(connection, tables):
        return
    from alembic import command  # noqa: PLC0415 - heavy

    config = migrations()
    config.attributes["connection"] = connection
    if "service_metadata" in tables:
        version = stored_version(connection)
        _refuse_unknown_revision(connection, config, tables)
        if "alembic_version" not in tables:
            command.stamp(config, REVISIONS[version])
    elif "jobs" in tables:
        raise DatabaseDamagedError(
            "the job database has lost the table that says its version; restore it from a backup"
        )
    command.upgrade(config, "head")


def migrations() -> Config:
    """Return Alembic's configuration of the migrations."""
    from alembic.config import Config  # noqa: PLC0415 - heavy

    config = Config()
    config.set_main_option("script_location", "attnscope_server:records/migrations")
    config.set_main_option("path_separator", "os")
    return config


def stored_version(connection: Connection) -> int:
    """Return the version that a database says it has.

    Raises
    ------
    DatabaseVersionError, DatabaseDamagedError
        This attnscope does not know it, or it is no version at all.
    """
    stored = connection.execute(text("SELECT value FROM service_metadata WHERE name = 'database_version'")).scalar()
    try:
        version = int(str(stored))
    except ValueError:
        version = 0
    if version > DATABASE_VERSION:
        raise DatabaseVersionError(
            f"the job database has version {version}, this attnscope knows {DATABASE_VERSION}: update it"
        )
    if version not in REVISIONS:
        raise DatabaseDamagedError(f"the job database says its version is {stored!r}; restore it from a backup")
    return version


def _is_of_this_version(connection: Connection, tables: set[str]) -> bool:
    """Return whether nothing is left to migrate."""
    if not {"service_metadata", "alembic_version"} <= tables:
        return False
    at = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return stored_version(connection) == DATABASE_VERSION and at == [REVISIONS[DATABASE_VERSION]]


def _refuse_unknown_revision(connection: Connection, config: Config, tables: set[str]) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - heavy

    if "alembic_version" not in tables:
        return
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in connection.execute(text("SELECT version_num FROM alembic_version")).scalars():
        if revision not in known:
            raise DatabaseVersionError(
                f"the job database is at migration {str(revision)[:40]!r}, unknown to this attnscope: update it"
            )
