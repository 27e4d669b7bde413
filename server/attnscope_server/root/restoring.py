"""A data root made anew from a backup, and the verification of one. `attnscope_server.root.backup` takes backups."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from attnscope_server.errors import BackupUnreadableError
from attnscope_server.records.upgrading import DATABASE_VERSION
from attnscope_server.root.backup import (
    DATABASE,
    FORMAT,
    CopiedStore,
    Manifest,
    Report,
    digests,
    sha256_of,
)
from attnscope_server.root.data_root import MANIFEST
from attnscope_server.root.finding import Finding, bad, good
from attnscope_server.root.paths import capture_path
from attnscope_server.root.staging import staged
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire.wording import sentence
from attnscope_storage.writing.copying import copy_committed

ANOTHER: Final = "take another backup while the original is there"
"""The remedy for a backup that is damaged."""


def manifest_of(backup: Path) -> Manifest:
    """Return what a backup says that it holds.

    Raises
    ------
    BackupUnreadableError
        There is no manifest, it is damaged, or a newer attnscope wrote it.
    """
    try:
        manifest = Manifest.model_validate_json((backup / MANIFEST).read_bytes())
    except OSError as error:
        raise BackupUnreadableError(f"{backup} is no whole backup: {MANIFEST}: {error.strerror}") from error
    except ValidationError as error:
        raise BackupUnreadableError(f"{backup / MANIFEST} is damaged: {sentence(error.errors()[0])}") from error
    if manifest.format > FORMAT:
        raise BackupUnreadableError(f"{backup} was taken by attnscope {manifest.attnscope}: update attnscope")
    return manifest


def restore(backup: Path, data_root: Path, report: Report = lambda _: None) -> Manifest:
    """Make a data root from a backup; it appears only when all of it is there.

    Raises
    ------
    BackupUnreadableError
        The backup lacks something, or something in it is not what was copied.
    BackupRefusedError
        The data root is not empty.
    """
    manifest = manifest_of(backup)
    with staged(data_root) as fresh:
        for finding in (_database(backup, manifest), *_checkpoints(backup, manifest)):
            if not finding.ok:
                raise BackupUnreadableError(f"{finding.part}: {finding.said}; {finding.remedy}")
        for folder in ("captures", "checkpoints"):
            (fresh / folder).mkdir(mode=0o700)
        for job, stored in manifest.captures.items():
            _restore_store(capture_path(backup, job), capture_path(fresh, job), stored)
            report(f"capture {job}: {stored.steps} committed")
        for checkpoint in manifest.checkpoints:
            shutil.copytree(backup / "checkpoints" / checkpoint, fresh / "checkpoints" / checkpoint)
        report(f"checkpoints: {len(manifest.checkpoints)}")
        shutil.copyfile(backup / DATABASE, fresh / DATABASE)
        report(f"database: {manifest.jobs} jobs")
    return manifest


def verify_backup(backup: Path) -> Iterator[Finding]:
    """Yield what is found in a backup: every file that the manifest names, every chunk, every row of attention."""
    manifest = manifest_of(backup)
    yield good("backup", f"taken {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC by attnscope {manifest.attnscope}")
    yield _database(backup, manifest)
    for job, stored in manifest.captures.items():
        yield _store(capture_path(backup, job), job, stored)
    yield from _checkpoints(backup, manifest)
    for job, reason in manifest.left_out.items():
        yield bad(
            f"capture {job}", f"it was left out: {reason}", "see what `attnscope-server doctor` says of the original"
        )


def _restore_store(source: Path, target: Path, stored: CopiedStore) -> None:
    try:
        copied = copy_committed(source, target, durable=False)  # `staged` settles
    except AttnscopeError as error:
        raise BackupUnreadableError(f"{source} cannot be restored: {error.message}; {ANOTHER}") from error
    if CopiedStore.of(copied) != stored:
        raise BackupUnreadableError(f"{source} is not what was copied; {ANOTHER}")


def _database(backup: Path, manifest: Manifest) -> Finding:
    path = backup / DATABASE
    try:
        if sha256_of(path) != manifest.database_sha256:
            return bad("database", f"{path} is not what was copied", ANOTHER)
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as connection:
            pages = connection.execute("PRAGMA integrity_check(1)").fetchone()
            version = connection.execute(
                "SELECT value FROM service_metadata WHERE name = 'database_version'"
            ).fetchone()
    except OSError as error:
        return bad("database", f"{path}: {error.strerror}", ANOTHER)
    except sqlite3.Error as error:
        return bad("database", f"{path} cannot be read: {error}", ANOTHER)
    if pages != ("ok",):
        return bad("database", f"{path} is damaged: {pages[0]}", ANOTHER)
    if version is not None and str(version[0]).isdecimal() and int(version[0]) > DATABASE_VERSION:
        return bad("database", f"version {version[0]}; this attnscope knows {DATABASE_VERSION}", "update attnscope")
    return good("database", f"{manifest.jobs} jobs")


def _store(path: Path, job: str, stored: CopiedStore) -> Finding:
    part = f"capture {job}"
    try:
        reader = CaptureReader.open(path)
        report = verify(reader)
    except AttnscopeError as error:
        return bad(part, error.message, ANOTHER)
    if not report.ok:
        return bad(part, f"{report.wrong} problems: {'; '.join(report.problems[:3])}", ANOTHER)
    if sha256_of(path / "zarr.json") != stored.root_sha256:
        return bad(part, "its root document is not what was copied", ANOTHER)
    return good(part, f"{report.steps} committed, {report.chunks} chunks verified")


def _checkpoints(backup: Path, manifest: Manifest) -> Iterator[Finding]:
    for checkpoint, files in manifest.checkpoints.items():
        part, found = f"checkpoint {checkpoint[:12]}", digests(backup / "checkpoints" / checkpoint)
        wrong = sorted(name for name in files.keys() | found.keys() if files.get(name) != found.get(name))
        if wrong:
            yield bad(part, f"not what was copied: {', '.join(wrong[:3])}", ANOTHER)
        else:
            yield good(part, f"{len(files)} files as they were copied")
