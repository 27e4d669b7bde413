"""Moving the job database from its file to a PostgreSQL server: every row, in one transaction, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.orm import Session

from attnscope_server.errors import BackupRefusedError
from attnscope_server.records.database import Database
from attnscope_server.records.sole_service import OWNER
from attnscope_server.records.tables import Base, JobRow, KeyRow, MetadataRow

ROWS: Final = 200
"""Rows that are in memory at a time."""

OWN: Final = frozenset({"database_version", OWNER})
"""Facts that each database has of itself."""


def copy_rows(source: Database, target: Database) -> Counter[str]:
    """Copy every row of one database into another one that holds none; return how many of each table.

    Raises
    ------
    BackupRefusedError
        The target holds jobs or keys.
    """
    copied: Counter[str] = Counter()
    with source.read() as reading, target.write() as writing:
        for kept in (JobRow, KeyRow):
            if writing.scalar(select(func.count()).select_from(kept)):
                raise BackupRefusedError(f"the database holds {kept.__tablename__} already; name an empty one")
        for table in Base.metadata.sorted_tables:
            for rows in _rows(reading, table):
                writing.execute(insert(table), rows)
                copied[table.name] += len(rows)
            _count_on(writing, table)
    return copied


def _rows(session: Session, table: Table) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table by the hundred, in the order of their keys; the facts of each database left out."""
    query = select(table).order_by(*table.primary_key.columns)
    if table is MetadataRow.__table__:
        query = query.where(table.c.name.not_in(OWN))
    for rows in session.execute(query.execution_options(yield_per=ROWS)).mappings().partitions():
        yield [dict(row) for row in rows]


def _count_on(session: Session, table: Table) -> None:
    """Let the numbers that the database gives go on behind the greatest that was copied."""
    counted = table.autoincrement_column
    if counted is None or session.get_bind().dialect.name != "postgresql":
        return
    name, column = table.name, counted.name
    session.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{name}', '{column}'), COALESCE(MAX({column}), 1), "  # noqa: S608
            f"MAX({column}) IS NOT NULL) FROM {name}"
        )
    )
