"""A folder of fetched checkpoints that is bounded in bytes; workers of one machine share it, on Ray and over HTTP.

A worker holds a checkpoint by a shared lock on its folder, which the kernel drops when the worker dies.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import structlog

from attnscope_model.checkpoints.folders import ENTRY, new_folder

log = structlog.get_logger("attnscope.worker")


def hold(folder: Path) -> int | None:
    """Return a descriptor that keeps a checkpoint's folder from being removed; None where no whole one is here.

    It counts as used now.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if still(descriptor, folder) and (folder / ENTRY).exists():
        os.utime(descriptor)
        return descriptor
    os.close(descriptor)
    return None


def make_room(root: Path, most: int) -> None:
    """Remove the checkpoints that were not used for longest, until the others take at most so many bytes.

    Those that a worker holds stay, whatever they take.
    """
    found: list[tuple[float, int, Path]] = []
    for folder in root.glob("[!.]*"):
        with suppress(FileNotFoundError):  # another worker makes room too
            found.append((folder.stat().st_mtime, sum(path.stat().st_size for path in folder.iterdir()), folder))
    total = sum(size for _, size, _ in found)
    for _, size, folder in sorted(found):
        if total <= most:
            return
        if _removed(root, folder):
            total -= size


def _removed(root: Path, folder: Path) -> bool:
    """Remove a checkpoint, unless a worker holds it; return whether it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not still(descriptor, folder):  # removed by another worker, and perhaps fetched anew
            return not folder.exists()
        with new_folder(root) as aside:
            folder.rename(aside / folder.name)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    log.info("a checkpoint is removed from the cache", checkpoint=folder.name[:12])
    return True


def still(descriptor: int, folder: Path) -> bool:
    """Return True where the folder of that name is still the one that is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False
