"""Backups of a data root, taken while a service may run on it. Restoring one is `attnscope_server.root.restoring`.

A backup has the layout of a data root, and a manifest. The database is copied first, by SQLite's own online copy; then
every capture and trial that the copy knows, so that none is behind its job; then the checkpoints. The local key and
locks stay behind: keys travel as the hashes that the database holds.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from attnscope_model.checkpoints.folders import ENTRY
from attnscope_server.errors import BackupRefusedError, DatabaseDamagedError, DatabaseMissingError
from attnscope_server.records.sqlite import RESTORE
from attnscope_server.root.children import children_of
from attnscope_server.root.data_root import MANIFEST
from attnscope_server.root.paths import capture_path
from attnscope_server.root.staging import staged
from attnscope_server.settings import Settings
from attnscope_storage import __version__
from attnscope_storage.errors import CaptureNotFoundError, ChunkDamagedError, ChunkLostError, SchemaVersionError
from attnscope_storage.wire import JobState
from attnscope_storage.writing.copying import Copied, copy_committed

FORMAT: Final = 1
"""Version of the layout of backups."""

DATABASE: Final = "service.sqlite3"
"""Job database of a data root, and of its backup."""

Report = Callable[[str], None]
"""Called with a line about each part that is done."""


class CopiedStore(BaseModel):
    """A capture or trial in a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root_sha256: str
    steps: int
    chunks: int
    bytes: int

    @classmethod
    def of(cls, copied: Copied) -> CopiedStore:
        """Return what the manifest says of a copy."""
        digest = hashlib.sha256(copied.root).hexdigest()
        return cls(root_sha256=digest, steps=copied.steps, chunks=copied.chunks, bytes=copied.bytes)


class Manifest(BaseModel):
    """The contents of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    attnscope: str = __version__
    taken_at: datetime
    jobs: int
    """Jobs that are not deleted."""
    database_sha256: str
    captures: dict[str, CopiedStore]
    """Job → its capture or trial."""
    checkpoints: dict[str, dict[str, str]]
    """Checkpoint → file → sha256."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Job → why its capture could not be copied."""


def back_up(settings: Settings, folder: Path, report: Report = lambda _: None) -> Manifest:
    """Copy a data root into a folder, which appears only when the backup is whole.

    A damaged capture is left out, and the manifest says why; all others are copied.

    Raises
    ------
    BackupRefusedError
        The folder is not empty, or lies in the data root.
    DatabaseMissingError, DatabaseDamagedError
        There is no job database, or it cannot be copied.
    """
    root = settings.data_root
    if settings.database_url is not None:
        raise BackupRefusedError(
            "the job database is on a PostgreSQL server: copy it by pg_dump, and after it the captures and checkpoints "
            "of the data root"
        )
    if not settings.database_path.exists():
        raise DatabaseMissingError(f"there is no job database at {settings.database_path}: nothing to back up")
    if folder.resolve().is_relative_to(root.resolve()):
        raise BackupRefusedError(f"{folder} lies in the data root and would be lost with it: name another folder")
    with staged(folder) as fresh:
        jobs = _copy_database(settings.database_path, fresh / DATABASE)
        report(f"database: {len(jobs)} jobs")
        captures, left_out = _copy_captures(settings, fresh, jobs, report)
        checkpoints = _copy_checkpoints(settings.checkpoints_folder, fresh / "checkpoints")
        report(f"checkpoints: {len(checkpoints)}")
        manifest = Manifest(
            taken_at=datetime.now(UTC),
            jobs=len(jobs),
            database_sha256=sha256_of(fresh / DATABASE),
            captures=captures,
            checkpoints=checkpoints,
            left_out=left_out,
        )
        (fresh / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return manifest


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_database(live: Path, target: Path) -> dict[str, str]:
    """Copy the database as it is at one moment; return the state of each job that is not deleted, by its id."""
    try:
        with closing(_read_only(live)) as source, closing(_unlocked(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, which a read-only disk can hold too
            return dict(copy.execute("SELECT id, state FROM jobs WHERE deleted_at IS NULL").fetchall())
    except sqlite3.Error as error:
        raise DatabaseDamagedError(f"the job database {live} cannot be copied: {error}; {RESTORE}") from error


def _copy_captures(
    settings: Settings, fresh: Path, jobs: dict[str, str], report: Report
) -> tuple[dict[str, CopiedStore], dict[str, str]]:
    """Copy the captures of jobs; return what was copied, and why others were not."""
    (fresh / "captures").mkdir(mode=0o700)
    copied: dict[str, CopiedStore] = {}
    left_out: dict[str, str] = {}
    for job, state in _with_children(settings, jobs).items():
        target = capture_path(fresh, job)
        try:
            one = copy_committed(capture_path(settings.stores, job), target, durable=False)  # `staged` settles
        except CaptureNotFoundError:
            shutil.rmtree(target, ignore_errors=True)
            if not _deleted_since(settings.database_path, fresh / DATABASE, job) and state == JobState.SUCCEEDED:
                left_out[job] = "its job succeeded, and it is missing"
        except (ChunkLostError, ChunkDamagedError, SchemaVersionError) as error:
            shutil.rmtree(target, ignore_errors=True)
            left_out[job] = error.message
        else:
            copied[job] = CopiedStore.of(one)
            report(f"capture {job}: {one.steps} committed, {one.chunks} chunks, {one.bytes / 2**20:.1f} MiB")
    return copied, left_out


def _with_children(settings: Settings, jobs: dict[str, str]) -> dict[str, str]:
    """Return the stores of jobs, each followed by those that it owns; these have no state of their own."""
    found: dict[str, str] = {}
    for job, state in jobs.items():
        found[job] = state
        found |= {child.stem: "" for child in children_of(capture_path(settings.stores, job)).values()}
    return found


def _deleted_since(live: Path, copy: Path, job: str) -> bool:
    """Say whether a job was deleted after the database was copied; the copy then takes its row as it is now."""
    try:
        with closing(_read_only(live)) as source, closing(_unlocked(copy)) as target:
            cursor = source.execute("SELECT * FROM jobs WHERE id = ? AND deleted_at IS NOT NULL", (job,))
            row = cursor.fetchone()
            if row is None:
                return False
            names = [column[0] for column in cursor.description]
            with target:
                assignments = ", ".join(f"{name} = ?" for name in names)
                target.execute(f"UPDATE jobs SET {assignments} WHERE id = ?", (*row, job))  # noqa: S608 - columns' names
            return True
    except sqlite3.Error as error:
        raise DatabaseDamagedError(f"the job database {live} cannot be read: {error}; {RESTORE}") from error


def _copy_checkpoints(source: Path, target: Path) -> dict[str, dict[str, str]]:
    """Copy every entry of a registry; one that is removed meanwhile is left out, since no job needs it."""
    target.mkdir(mode=0o700)
    copied = {}
    for entry in sorted(source.glob(f"[!.]*/{ENTRY}")):
        folder = entry.parent
        try:
            shutil.copytree(folder, target / folder.name)
        except (shutil.Error, FileNotFoundError):
            shutil.rmtree(target / folder.name, ignore_errors=True)
            if entry.exists():
                raise
        else:
            copied[folder.name] = digests(target / folder.name)
    return copied


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a folder, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _unlocked(path: Path) -> sqlite3.Connection:
    """Return a connection to a database that this process alone knows; its disk may lack locks."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?vfs=unix-none", uri=True)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # else the index of its journal would be a shared mapping
    return connection


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
