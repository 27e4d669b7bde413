"""The stores of a folder or of a bucket, listed, stamped and removed in the same way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from attnscope_storage.layout.bucket import SCHEME, BucketPath, StorePath
from attnscope_storage.layout.root import ROOT_KEY

PlaceT = TypeVar("PlaceT", Path, BucketPath, StorePath)


STORES: Final = "captures"
"""Name of the folder that holds all stores, in a data root, a bucket or a backup."""


def lock_path(path: Path) -> Path:
    """Return the lock file of the capture at `path`."""
    return path.with_name(path.name + ".lock")


def place_of(text: str) -> StorePath:
    """Return the place that a text names: an address of a bucket, or a folder."""
    return BucketPath(text) if text.startswith(f"{SCHEME}://") else Path(text)


def address_of(given: object) -> str | None:
    """Return the bucket's address that a setting or a command line gives; None where it gives something else."""
    if isinstance(given, Path) and given.parts[:1] == (f"{SCHEME}:",):  # a path joins the two slashes
        return f"{SCHEME}://{'/'.join(given.parts[1:])}"
    return given if isinstance(given, str) and given.startswith(f"{SCHEME}://") else None


def stores_in(folder: StorePath) -> Iterator[StorePath]:
    """Yield the places of the stores that lie directly in a folder or bucket, by name."""
    if isinstance(folder, BucketPath):
        yield from (one for one in folder.folders() if one.name.endswith(".zarr"))
    else:
        yield from sorted(folder.glob("*.zarr"))


def stamp_of(store: StorePath) -> tuple[object, ...] | None:
    """Return what changes with every commit of a store; None where nothing is committed."""
    if isinstance(store, BucketPath):
        etag = store.stamp()
        return None if etag is None else (etag,)
    try:
        found = (store / ROOT_KEY).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def committed_at(store: StorePath) -> int:
    """Return the time of a store's last commit, in nanoseconds since 1970.

    Raises
    ------
    FileNotFoundError
        Nothing is committed.
    """
    return store.committed_at() if isinstance(store, BucketPath) else (store / ROOT_KEY).stat().st_mtime_ns


def remove(store: StorePath) -> None:
    """Remove a store: out of sight at once, then its chunks. Safe to repeat."""
    if isinstance(store, BucketPath):
        store.remove()
        return
    trash = store.with_name(f".deleted-{store.name}")
    if store.exists() or store.is_symlink():
        store.rename(trash)
    if trash.is_symlink():
        trash.unlink()  # whatever it points to is not this service's
    elif trash.exists():
        shutil.rmtree(trash)
    lock_path(store).unlink(missing_ok=True)
