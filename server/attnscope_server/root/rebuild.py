"""A job database made anew from the captures, where the old one is lost."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from attnscope_server.errors import DatabaseDamagedError, DataRootInUseError
from attnscope_server.records.database import Database
from attnscope_server.records.repairs import Found, adopt
from attnscope_server.root.children import owner_of
from attnscope_server.root.data_root import held, prepare
from attnscope_server.settings import Settings
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.places import STORES, stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState, resolved_as, specification_as

GOES_ON: Final = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.INTERRUPTED})
"""States of an old database whose jobs are queued."""


def rebuild_database(settings: Settings, old: Path | None = None) -> Counter[JobState]:
    """Enter every capture into a new job database, and return how many are in each state.

    A complete capture has succeeded. Of another one the old database tells the state; without it, the job is
    cancelled: nobody knows whether its owner still wants it, and `attnscope retry` lets it go on.

    Parameters
    ----------
    old
        A job database that can still be read; jobs that are deleted there are not entered.

    Raises
    ------
    DataRootInUseError
        A service runs, or there is a job database: nothing is ever entered beside what is known.
    DatabaseDamagedError
        `old` cannot be read.
    """
    prepare(settings)
    with held(settings.data_root):
        if settings.database_url is not None:
            raise DataRootInUseError("the job database is on a PostgreSQL server; restore it there")
        if settings.database_path.exists():
            raise DataRootInUseError(f"there is a job database at {settings.database_path}; move it away first")
        known = {} if old is None else states_in(old)
        found_stores = [found for path in stores_in(settings.stores / STORES) if (found := _found_in(path)) is not None]
        entered: Counter[JobState] = Counter()
        database = Database.open(settings.database_path, durable=settings.durable)
        try:
            with database.write() as session:
                for found in sorted(
                    found_stores, key=lambda one: one.job != one.name
                ):  # before copies, which lie elsewhere
                    state = _state(found, known)
                    if state is not None:
                        adopt(session, found, state, datetime.now(UTC))
                        entered[state] += 1
        finally:
            database.close()
    return entered


def states_in(old: Path) -> dict[UUID, JobState | None]:
    """Return the state of each job of an old database; None for a deleted one.

    Raises
    ------
    DatabaseDamagedError
        It cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{old.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT id, state, deleted_at IS NOT NULL FROM jobs").fetchall()
        return {UUID(job): None if deleted else JobState(state) for job, state, deleted in rows}
    except (sqlite3.Error, ValueError) as error:
        raise DatabaseDamagedError(f"{old} is no job database that can be read: {error}") from error


def _state(found: Found, known: dict[UUID, JobState | None]) -> JobState | None:
    """Return the state that a job is entered in; None where its owner had deleted it."""
    was = known.get(found.job, JobState.CANCELLED)
    if was is None:
        return None
    if found.complete:
        return JobState.SUCCEEDED
    if was in GOES_ON:
        return JobState.QUEUED
    return JobState.FAILED if was is JobState.FAILED else JobState.CANCELLED


def _found_in(path: StorePath) -> Found | None:
    """Return what a capture tells of its job; None where it is none, which `doctor` reports."""
    try:
        reader = CaptureReader.open(path)
        attributes = reader.attributes
        if owner_of(reader, UUID(path.stem)) is not None:
            return None  # it is its owner's, which has a job
        return Found(
            job=UUID(path.stem),
            name=UUID(attributes["job"]),
            owner=str(attributes["owner"]),
            spec=specification_as(reader.kind, attributes["spec"]),
            resolved=resolved_as(reader.kind, attributes["resolved"]),
            complete=reader.complete,
            attempts=int(attributes.get("attempt", 0)),
        )
    except (AttnscopeError, ValidationError, KeyError, ValueError):
        return None
