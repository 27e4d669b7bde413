"""The folders in which the children of a machine's workers write what is sent; those of workers that died are removed.

A worker holds a lock on its folder, which the kernel drops when the worker dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from attnscope_server.running.cached_checkpoints import still

log = structlog.get_logger("attnscope.pulling")


class Scratch:
    """The folders of the workers that share a cache.

    Parameters
    ----------
    root
        Folder that holds one folder for each worker with a job.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def held(self, session: str) -> Iterator[Path]:
        """Yield the folder of a worker, empty, and remove it at the end."""
        folder = self.root / session
        descriptor = _locked(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    def sweep(self) -> int:
        """Remove the folders of workers that died; return how many."""
        if not self.root.is_dir():
            return 0
        swept = 0
        for folder in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # gone, or none of ours
                swept += _removed(folder)
        if swept:
            log.info("folders of workers that died are removed", folders=swept)
        return swept


def _locked(folder: Path) -> int:
    """Make a folder and return a descriptor that holds it; another worker may sweep it before it is held."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if still(descriptor, folder):
                return descriptor
            os.close(descriptor)


def _removed(folder: Path) -> bool:
    """Remove a folder, unless a worker holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)  # an orphan may still write; the next start removes that
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return not folder.exists()
