"""One writer a capture: an exclusive lock beside the folder, which the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from attnscope_storage.errors import CaptureLockedError
from attnscope_storage.store import explained


class CaptureLock:
    """An exclusive lock on ``<path>.lock``, held until `release`.

    The file stays: removing it would let two writers lock two different files of one name. Whoever deletes the
    capture deletes it too.

    Raises
    ------
    CaptureLockedError
        Another writer, in this process or another, holds the capture.
    """

    def __init__(self, path: Path) -> None:
        self.path = lock_path(path)
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # flock belongs to the open file, so a second writer in this very process is refused too.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise CaptureLockedError(f"another writer holds {path}") from error

    def release(self) -> None:
        """Let the next writer in; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_path(path: Path) -> Path:
    """Return the lock file of the capture at `path`."""
    return path.with_name(path.name + ".lock")
