"""One writer a capture: an exclusive lock beside the folder, which ends with its holder.

Where the system has no ``flock``, as Windows, a file that may exist once stands in for the lock.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attnscope_storage.errors import CaptureLockedError, StorageUnwritableError
from attnscope_storage.layout.places import lock_path
from attnscope_storage.layout.store import explained

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None  # type: ignore[assignment]  # asked for before each use

NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
"""Errors of a disk that knows no locks, as some network disks."""

TURN_SECONDS: Final = 30.0
"""Seconds that a writer waits for another one's publication, at most; it takes milliseconds."""

RETRY_SECONDS: Final = 0.005
"""Seconds between two tries to lock."""


class CaptureLock:
    """An exclusive lock on ``<path>.lock``, held until `release`.

    The lock file stays: removing it would let two writers lock two different files of one name. Whoever deletes the
    capture deletes it too.

    Raises
    ------
    CaptureLockedError
        Another writer, in this process or another, holds the capture.
    StorageUnwritableError
        The disk knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = lock_path(path)
        self._held: Path | None = None
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o644)
        try:
            self._lock(path)
        except BaseException:
            self.release()
            raise

    def _lock(self, path: Path) -> None:
        if fcntl is None:
            self._stand_in(path)
            return
        try:
            # flock belongs to the open file, so a second writer in this very process is refused too.
            fcntl.flock(self._descriptor or 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CaptureLockedError(f"another writer holds {path}") from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise StorageUnwritableError(
                f"the disk of {path} knows no locks ({error.strerror}), so two writers could not be told apart: "
                "write to a disk of this machine, and move the folder afterwards"
            ) from error

    def _stand_in(self, path: Path) -> None:
        """Make a file that may exist once; Windows removes it when its holder ends, in whatever way."""
        held = self.path.with_name(self.path.name + ".held")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_TEMPORARY", 0)
        try:
            holder = os.open(held, flags, 0o644)
        except FileExistsError as error:
            raise CaptureLockedError(
                f"another writer holds {path}; if none runs any more, delete {held.name} beside it"
            ) from error
        if flags & getattr(os, "O_TEMPORARY", 0):
            self.release()
            self._descriptor = holder
        else:
            os.close(holder)
            self._held = held

    @property
    def stands(self) -> bool:
        """False where the lock file was deleted since it was opened: others lock another file of its name."""
        try:
            return self._descriptor is None or os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))  # noqa: PTH116  # a pair
        except OSError:
            return False

    def release(self) -> None:
        """Let the next writer in; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._held is not None:
            self._held.unlink(missing_ok=True)
            self._held = None


@contextmanager
def locked_briefly(path: Path, seconds: float = TURN_SECONDS) -> Iterator[None]:
    """Hold the lock of the capture at `path`, waiting for whoever has it for a moment.

    Raises
    ------
    CaptureLockedError
        Another writer holds it for longer than so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            lock = CaptureLock(path)
        except CaptureLockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_SECONDS)
            continue
        if lock.stands:
            break
        lock.release()
    try:
        yield
    finally:
        lock.release()


CLOSE_ON_EXEC: Final = getattr(os, "O_CLOEXEC", 0)
"""Flag that keeps the lock out of programs that this one starts; Windows does so by itself."""
