"""The faults of a data root, and their remedies. `examine` only reads, so it may run beside the service.

Torch takes seconds to import, so only the checkpoints and the devices, which come last, import it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointError
from attnscope_server.acting.devices import choose_device, fault_of
from attnscope_server.records.postgresql import Postgresql
from attnscope_server.records.sqlite import RESTORE
from attnscope_server.records.upgrading import DATABASE_VERSION
from attnscope_server.root.children import owner_of
from attnscope_server.root.disk import NETWORK, REMEDY, file_system
from attnscope_server.root.finding import Finding, bad, good
from attnscope_server.root.paths import capture_path
from attnscope_server.settings import Settings
from attnscope_storage.errors import AttnscopeError, CaptureNotFoundError, StorageUnwritableError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.places import STORES, stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport, chunks_of, verify
from attnscope_storage.wire import JobState, contracts

LITTLE_SPACE: Final = 2**30
"""Free bytes below which the disk is a finding."""


Tell = Callable[[str], None]
"""Takes a sentence about what is being read."""


def examine(settings: Settings, *, quick: bool = False, tell: Tell = lambda _: None) -> Iterator[Finding]:
    """Yield what is found: the root, the database, every capture, the checkpoints, the devices.

    Parameters
    ----------
    quick
        Read root documents and entries only, no chunk and no weight.
    tell
        Called often with how far the reading of a capture or of the checkpoints is.
    """
    if not settings.data_root.is_dir():
        yield bad("root", f"{settings.data_root} is no folder", "name another --data-root, or start a service")
        return
    yield from _root(settings)
    jobs, findings = _database(settings)
    yield from findings
    try:
        yield from _captures(settings, jobs, tell, quick=quick)
    except StorageUnwritableError as error:  # of a bucket: a disk's are told one by one
        yield bad("bucket", error.message, "see whether its server runs, and what keys the environment names")
    yield from _checkpoints(settings, tell, quick=quick)
    yield from _devices(settings)


def _root(settings: Settings) -> Iterator[Finding]:
    root = settings.data_root
    found = root.stat()
    mode = stat.S_IMODE(found.st_mode)
    yield Finding(
        "root",
        mode & 0o077 == 0,
        f"{root} has mode {mode:04o}",
        None if mode & 0o077 == 0 else f"others can read it: chmod 700 {root}",
    )
    if not os.access(root, os.W_OK | os.X_OK):
        yield bad("root", f"{root} cannot be written", "make it writable for the service's user")
    free = shutil.disk_usage(root).free
    enough = free >= LITTLE_SPACE
    remedy = None if enough else "free some space: delete captures, or let them expire (retention_days)"
    yield Finding("disk", enough, f"{free / 2**30:.1f} GiB free", remedy)
    kind = file_system(root)
    if kind in NETWORK:
        yield bad("file system", f"{root} lies on a network disk ({kind})", f"a job database can be damaged: {REMEDY}")
    else:
        yield good("file system", kind or "unknown")
    yield good("service", _holder(settings))


def _holder(settings: Settings) -> str:
    try:
        descriptor = os.open(settings.data_root / "service.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return "none has run here"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"process {os.pread(descriptor, 32, 0).decode(errors='replace').strip()} runs here"
    except OSError as error:
        return f"unknown: the disk knows no locks ({error.strerror}); {REMEDY}"
    else:
        return "none runs here now"
    finally:
        os.close(descriptor)


def _database(settings: Settings) -> tuple[dict[str, str] | None, list[Finding]]:
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


def _captures(settings: Settings, jobs: dict[str, str] | None, tell: Tell, *, quick: bool) -> Iterator[Finding]:
    for path in stores_in(settings.stores / STORES):
        job = path.name.removesuffix(".zarr")
        if path.is_symlink():
            yield bad(f"capture {job}", "its folder is a symbolic link", "replace it by the folder itself")
            continue
        if jobs is not None and job not in jobs and _owner(path) in jobs:
            yield _capture(settings, job, None, tell, quick=quick)
            continue
        if jobs is not None and job not in jobs:
            remedy = f"nobody can read it: remove {path}, or restore the database that knew it"
            yield bad(f"capture {job}", "no job has this capture", remedy)
            continue
        yield _capture(settings, job, None if jobs is None else jobs[job], tell, quick=quick)
    if jobs is not None:
        for job, state in jobs.items():
            if state == JobState.SUCCEEDED and not capture_path(settings.stores, job).exists():
                yield bad(f"capture {job}", "its job succeeded, and it is missing", "restore it, or delete the job")
    for path in sorted(settings.captures_folder.glob(".deleted-*")):
        yield good("captures", f"{path.name} is being deleted", "the next start of the service ends that")


def _owner(path: StorePath) -> str | None:
    """Return the job that owns a store which has no job of its own."""
    try:
        owner = owner_of(CaptureReader.open(path), UUID(path.stem))
    except (AttnscopeError, ValueError):
        return None
    return None if owner is None else str(owner.store)


def _capture(settings: Settings, job: str, state: str | None, tell: Tell, *, quick: bool) -> Finding:
    part = f"capture {job}"
    try:
        reader = CaptureReader.open(capture_path(settings.stores, job))
        report = VerificationReport(steps=reader.steps_committed) if quick else _read(reader, part, tell)
    except CaptureNotFoundError:
        return good(part, "nothing is committed yet")
    except AttnscopeError as error:
        return bad(part, error.message, "restore it from a backup, or delete the job and submit it again")
    if not report.ok:
        text = f"{report.wrong} problems: {'; '.join(report.problems[:3])}"
        return bad(part, text, "restore it from a backup, or delete the job and submit it again")
    if state == JobState.SUCCEEDED and not reader.complete:
        return bad(part, "its job succeeded, and it is not complete", "delete the job and submit it again")
    return good(part, _described(reader, None if quick else report))


def _read(reader: CaptureReader, part: str, tell: Tell) -> VerificationReport:
    """Verify a store, and tell after every chunk and every block of rows how far that is."""
    chunks = chunks_of(reader)
    tell(f"{part}: {chunks} chunks to read")

    def advanced(report: VerificationReport) -> None:
        checked = f", {report.rows} rows checked" if report.rows else ""
        tell(f"{part}: {report.chunks} of {chunks} chunks read{checked}")

    return verify(reader, advanced)


def _described(reader: CaptureReader, report: VerificationReport | None) -> str:
    """Return what is said of a capture or trial that is as it should be; without a report, only its root was read."""
    known = contracts().get(reader.kind)
    if report is None:
        return f"a {reader.kind}: {reader.steps_committed} committed, its chunks not read"
    if known is None:
        return f"a {reader.kind}, which this attnscope does not know: {report.chunks} chunks decode"
    rows = f", {report.rows} rows" if report.rows else ""
    return f"a {known.name}: {report.steps} {known.words.entries}, {report.chunks} chunks{rows} verified"


def _checkpoints(settings: Settings, tell: Tell, *, quick: bool) -> Iterator[Finding]:
    from attnscope_model.checkpoints.native import load_tensors  # noqa: PLC0415 - loads torch

    registry = CheckpointRegistry(settings.checkpoints_folder)
    try:
        entries = registry.list()
    except CheckpointError as error:
        yield bad("checkpoints", str(error), "remove its folder and add the checkpoint again")
        return
    for info in entries:
        if quick:
            yield good(f"checkpoint {info.name}", f"its entry is there, sha256 {info.id[:12]} not computed")
            continue
        tell(f"checkpoint {info.name}: its weights are read")
        try:
            load_tensors(registry.root / info.id)
        except CheckpointError as error:
            yield bad(f"checkpoint {info.name}", str(error), "remove it and add it again from its source")
        else:
            yield good(f"checkpoint {info.name}", f"sha256 {info.id[:12]} holds")
    if not entries:
        yield good("checkpoints", "none is registered", "attnscope-server checkpoint add …")


def _devices(settings: Settings) -> Iterator[Finding]:
    import torch  # noqa: PLC0415 - takes seconds

    for name in settings.devices:
        fault = fault_of(name)
        if fault is None:
            yield good(f"device {name}", f"torch {torch.__version__} computes on {choose_device(name)}")
        else:
            yield bad(f"device {name}", fault, "name devices that are here by --device")
