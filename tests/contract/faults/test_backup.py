"""A data root that is lost comes back from a backup that was taken while a job wrote, with every bit of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from uuid import UUID

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from attnscope_server.cli import app
from attnscope_server.errors import (
    BackupRefusedError,
    BackupUnreadableError,
    DatabaseMissingError,
    DataRootUnusableError,
)
from attnscope_server.records.database import Database
from attnscope_server.records.keys import KeyStore, Scope
from attnscope_server.root import backup as backing_up
from attnscope_server.root.backup import back_up
from attnscope_server.root.data_root import prepare
from attnscope_server.root.paths import capture_path
from attnscope_server.root.restoring import manifest_of, restore, verify_backup
from attnscope_server.settings import Settings
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState

SHORT = {"checkpoint": "AD-darkroom", "tasks": {"goals": [(5, 4)]}, "steps": 60, "maps": {"steps": [9]}}
LONG = {"checkpoint": "AD-darkroom", "tasks": {"goals": [(0, 8)]}, "steps": 1500, "maps": {"count": 0}}


def committed(root, job) -> int:
    """Return the committed steps of a job's capture."""
    try:
        return CaptureReader.open(capture_path(root, str(job.id))).steps_committed
    except CaptureNotFoundError:
        return 0


def run(*arguments) -> object:
    """Run a verb of the operator's command line."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_lost_root_comes_back_bit_for_bit(server, differing, tmp_path):
    """Backup beside a writing job, loss of the root, restore: both captures decode to the bits of undisturbed ones."""
    client = server.start()
    short = client.submit(**SHORT).wait()
    long = client.submit(**LONG)
    while committed(server.root, long) == 0:
        assert not long.refresh(wait=0.2).state.final
    done = run("backup", tmp_path / "kept", "--data-root", server.root)
    assert done.exit_code == 0, done.output
    assert long.refresh().state is JobState.RUNNING, "the backup was to be taken while the job wrote"
    manifest = manifest_of(tmp_path / "kept")
    assert 0 < manifest.captures[str(long.id)].steps < LONG["steps"]
    assert run("verify", tmp_path / "kept").exit_code == 0
    server.kill()
    shutil.copytree(capture_path(server.root, str(short.id)), tmp_path / "short.zarr")
    shutil.rmtree(server.root)

    done = run("restore", tmp_path / "kept", "--data-root", server.root)
    assert done.exit_code == 0, done.output
    assert committed(server.root, long) == manifest.captures[str(long.id)].steps
    client = server.start()
    resumed = client.job(long.id)
    assert resumed.wait().state is JobState.SUCCEEDED
    whole = client.submit(**LONG).wait()
    assert client.job(short.id).state is JobState.SUCCEEDED
    assert differing(capture_path(server.root, str(short.id)), tmp_path / "short.zarr") == []
    assert differing(*[capture_path(server.root, str(job.id)) for job in (resumed, whole)]) == []
    assert resumed.info.attempts > 1


@pytest.fixture
def furnished_root(service_settings, enter_finished_job) -> tuple[Settings, str]:
    """Return the settings of a data root with one finished capture, and the capture's job."""
    where, job = service_settings(), UUID("6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a11")
    enter_finished_job(where, job)
    return where, str(job)


def test_keys_travel_as_hashes(furnished_root, second_service, tmp_path):
    """A key made before the backup opens the restored service; no file of the backup holds it, nor the local key."""
    where, job = furnished_root
    database = Database.open(where.database_path, durable=False)
    key = KeyStore(database).create("local", (Scope.JOBS_READ,))
    database.close()
    (where.data_root / "local.key").write_text(json.dumps({"url": "http://127.0.0.1:1", "key": key}))
    back_up(where, tmp_path / "kept")
    holding = [path for path in (tmp_path / "kept").rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert holding == []
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    restore(tmp_path / "kept", tmp_path / "second")
    with second_service() as running:
        answer = httpx.get(f"{running.url}/v1/jobs/{job}", headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["state"] == "succeeded"


def test_a_capture_deleted_meanwhile_is_deleted_in_the_copy(furnished_root, tmp_path, monkeypatch):
    """The copy of the database knew it; the backup says that it was deleted, and not that it succeeded."""
    where, job = furnished_root

    def deleted_first(source, target, **options):
        with closing(sqlite3.connect(where.database_path)) as live, live:
            live.execute("UPDATE jobs SET deleted_at = '2026-03-01 12:00:00.000000' WHERE id = ?", (job,))
        shutil.rmtree(source)
        return copy(source, target, **options)

    copy = backing_up.copy_committed
    monkeypatch.setattr(backing_up, "copy_committed", deleted_first)
    manifest = back_up(where, tmp_path / "kept")
    assert (manifest.captures, manifest.left_out) == ({}, {})
    with closing(sqlite3.connect(tmp_path / "kept" / "service.sqlite3")) as copied:
        assert copied.execute("SELECT deleted_at IS NOT NULL, removed_at FROM jobs").fetchall() == [(1, None)]
    assert all(finding.ok for finding in verify_backup(tmp_path / "kept"))


def test_a_damaged_capture_is_left_out_and_named(furnished_root, tmp_path):
    """The rest is copied; status 1 and the manifest say which capture is not, and why."""
    where, job = furnished_root
    (capture_path(where.data_root, job) / "stats" / "entropy" / "c.0.0.0.0").unlink()
    done = run("backup", tmp_path / "kept", "--data-root", where.data_root)
    assert done.exit_code == 1
    assert f"capture {job} is left out: " in done.output
    assert "stats/entropy/c.0.0.0.0" in manifest_of(tmp_path / "kept").left_out[job]
    assert not capture_path(tmp_path / "kept", job).exists()
    assert run("verify", tmp_path / "kept").exit_code == 1
    assert run("restore", tmp_path / "kept", "--data-root", tmp_path / "new").exit_code == 0


@pytest.mark.parametrize("part", ["chunk", "root", "database", "checkpoint", "manifest"])
def test_a_backup_that_rotted_is_refused_and_restores_nothing(furnished_root, tmp_path, part):
    """Verification names the part that is not what was copied, and restore makes no root of it."""
    where, job = furnished_root
    back_up(where, tmp_path / "kept")
    capture = capture_path(tmp_path / "kept", job)
    entry = next((tmp_path / "kept" / "checkpoints").glob("*/entry.json"))
    path = {
        "chunk": capture / "rollout" / "reward" / "c.0.0",
        "root": capture / "zarr.json",
        "database": tmp_path / "kept" / "service.sqlite3",
        "checkpoint": entry,
        "manifest": tmp_path / "kept" / "backup.json",
    }[part]
    if part == "chunk":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content.replace(b"1", b"7") if part == "root" else content[:-20])
    with pytest.raises(BackupUnreadableError, match=part if part == "database" else None):
        restore(tmp_path / "kept", tmp_path / "new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["kept"]
    if part != "manifest":
        assert [finding.part for finding in verify_backup(tmp_path / "kept") if not finding.ok]


def test_places_that_would_lose_something_are_refused(furnished_root, tmp_path):
    """A folder with files, one in the data root, a copy under way, a backup taken for a root, a root without jobs."""
    where, _ = furnished_root
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for folder, words in ((tmp_path / "full", "new or empty"), (where.data_root / "kept", "lost with it")):
        with pytest.raises(BackupRefusedError, match=words):
            back_up(where, folder)
    (tmp_path / ".kept.partial").mkdir()
    with pytest.raises(BackupRefusedError, match="under way"):
        back_up(where, tmp_path / "kept")
    (tmp_path / ".kept.partial").rmdir()
    back_up(where, tmp_path / "kept")
    with pytest.raises(BackupRefusedError, match="new or empty"):
        restore(tmp_path / "kept", where.data_root)
    with pytest.raises(DataRootUnusableError, match="is a backup"):
        prepare(Settings(data_root=tmp_path / "kept"))
    with pytest.raises(DatabaseMissingError, match="nothing to back up"):
        back_up(Settings(data_root=tmp_path / "none"), tmp_path / "other")


def test_the_copy_of_a_growing_capture_is_one_commit(furnished_root, tmp_path, monkeypatch):
    """Steps that are committed during a copy are not in it: its root and chunks are those of the beginning."""
    where, job = furnished_root
    source = capture_path(where.data_root, job)
    before = (source / "zarr.json").read_bytes()
    chunk_bytes = CaptureReader.chunk_bytes

    def grown(reader, key):
        (source / "zarr.json").write_bytes(before.replace(b'"complete":true', b'"complete":false'))
        return chunk_bytes(reader, key)

    monkeypatch.setattr(CaptureReader, "chunk_bytes", grown)
    back_up(where, tmp_path / "kept")
    assert (source / "zarr.json").read_bytes() != before
    copied = CaptureReader.open(capture_path(tmp_path / "kept", job))
    assert copied.root.stored == before
    assert np.isfinite(copied.array("stats/entropy")[:]).all()


def test_what_is_only_in_the_journal_is_in_the_copy(furnished_root, tmp_path):
    """A running service has committed what its file does not hold yet: a copy of the file would lose it."""
    where, _ = furnished_root
    database = Database.open(where.database_path, durable=False)
    KeyStore(database).create("late")
    back_up(where, tmp_path / "kept")
    database.close()
    with closing(
        sqlite3.connect(f"{(tmp_path / 'kept' / 'service.sqlite3').as_uri()}?immutable=1", uri=True)
    ) as copied:
        assert ("late",) in copied.execute("SELECT owner FROM api_keys").fetchall()


LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_backup_may_lie_on_a_disk_without_locks(furnished_root, tmp_path):
    """The copy of the database is this process's alone: no lock is asked for, which a network disk may not have."""
    where, _ = furnished_root
    target = tmp_path / "copy.sqlite3"
    target.touch()
    holder = [sys.executable, "-c", LOCKED, str(target)]  # any lock that is asked for there is refused
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        assert len(backing_up._copy_database(where.database_path, target)) == 1
        other.stdin.close()
    with closing(sqlite3.connect(f"{target.as_uri()}?immutable=1", uri=True)) as copied:
        assert copied.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copied.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.sqlite3"]
