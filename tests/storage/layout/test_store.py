"""Writing keys: whole or not at all, and failing with the reason."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from zarr.core.sync import sync

from attnscope_storage.errors import StorageFullError, StorageUnwritableError
from attnscope_storage.layout.store import PARTIAL_SUFFIX, DurableStore, as_buffer, explained, read_bytes


@pytest.fixture
def store(tmp_path):
    """Return a store that fsyncs."""
    return DurableStore(tmp_path / "store")


def test_a_staged_value_has_no_key_until_it_is_published(store):
    """Before the rename the old value stands; after it the new one, and nothing is left beside it."""
    store.set_sync("a/b", as_buffer(b"old"))
    staged = store.stage("a/b", as_buffer(b"new"))
    assert read_bytes(store, "a/b") == b"old"
    staged.publish()
    assert read_bytes(store, "a/b") == b"new"
    assert [path.name for path in (store.root / "a").iterdir()] == ["b"]


def test_it_is_a_zarr_store(store):
    """The asynchronous interface writes the same bytes, and a read-only twin refuses to."""
    sync(store.set("k", as_buffer(b"1")))
    assert read_bytes(store, "k") == b"1"
    twin = store.with_read_only(read_only=True)
    assert read_bytes(twin, "k") == b"1"
    with pytest.raises(ValueError, match="read-only"):
        twin.set_sync("k", as_buffer(b"2"))


def test_a_full_disk_is_said_to_be_full(store):
    """ENOSPC, here from /dev/full, is a `StorageFullError`; the old value stands and the partial one is gone."""
    store.set_sync("key", as_buffer(b"old"))
    partial = store.root / f"key{PARTIAL_SUFFIX}"
    partial.symlink_to("/dev/full")
    with pytest.raises(StorageFullError, match="No space left") as caught:
        store.set_sync("key", as_buffer(b"new"))
    assert isinstance(caught.value, OSError)
    assert not partial.is_symlink()
    assert read_bytes(store, "key") == b"old"


def test_a_root_that_cannot_be_made_is_unwritable(tmp_path):
    """A file where the folder should be is a `StorageUnwritableError`."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnwritableError, match="Not a directory"):
        DurableStore(tmp_path / "file" / "store").set_sync("key", as_buffer(b""))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EFBIG, StorageFullError),
        (errno.EROFS, StorageUnwritableError),
        (errno.EACCES, StorageUnwritableError),
        (errno.EPERM, StorageUnwritableError),
        (errno.EIO, StorageUnwritableError),
    ],
)
def test_every_reason_has_its_error(tmp_path, number, kind):
    """Whatever the file system says becomes one of two errors, with its words kept."""
    with pytest.raises(kind, match=os.strerror(number)), explained(tmp_path):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("durable", [True, False])
def test_files_are_synced_before_their_rename_and_folders_when_settling(tmp_path, monkeypatch, durable):
    """A durable store fsyncs a file while it has no key yet, and its folders in `settle`; another store neither."""
    store, seen = DurableStore(tmp_path / "store", durable=durable), []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: seen.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    store.set_sync("a/key", as_buffer(b"value"))
    assert seen == ([str(store.root / f"a/key{PARTIAL_SUFFIX}")] if durable else [])
    seen.clear()
    store.settle()
    assert set(seen) == ({str(tmp_path), str(store.root), str(store.root / "a")} if durable else set())
    seen.clear()
    store.settle()
    assert seen == []
