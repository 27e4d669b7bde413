"""The local folder a capture is written into, as a Zarr store that survives crashes and says why it failed.

It knows keys and bytes, not what they mean: the order of a commit lives in `attnscope_storage.writing.commit`.

What survives what
------------------
A process that dies at any moment (``kill -9`` too) leaves every key either as it was or whole and new, because each
value is written to ``<key>.partial`` beside its key and renamed over it. That needs no fsync.

A power loss needs `durable`: each file is then fsynced before its rename, and `DurableStore.settle` fsyncs the folders
whose entries changed. A commit settles its chunks and array documents before the root is renamed and settles the
root's folder after, so a commit that was reported survives, and a root never points at chunks that did not. (The folder
that holds the captures is not this store's: whoever makes it makes it durable.) With ``durable=False`` the kernel
writes when it likes: after a power loss the newest seconds may be missing, and a root may name chunks that never
reached the disk. Readers then report them as lost or damaged; they never read as data.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from attnscope_storage.errors import StorageFullError, StorageUnwritableError
from attnscope_storage.layout.ending import end_loop

ResultT = TypeVar("ResultT")

PARTIAL_SUFFIX: Final = ".partial"
"""The ending of a file's name until the file is whole, where a capture has one writer; see `DurableStore`."""

WRITERS: Final = 8
"""Files that are written at a time where each is made durable; most of the time they wait for the disk."""

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

atexit.register(end_loop)  # registered after zarr's own, it runs before it


class DurableStore(LocalStore):
    """A `zarr.storage.LocalStore` whose writes are atomic and, if `durable`, outlast a power loss.

    Parameters
    ----------
    root
        Folder of the capture; made by the first write.
    read_only
        Refuse writes.
    durable
        Fsync files before they get their name, and folders when `settle` is called.
    partial
        Ending of a file's name until the file is whole; two writers of one folder need two.

    Raises
    ------
    StorageFullError
        From every write, when the disk, the quota or the file-size limit is exhausted.
    StorageUnwritableError
        From every write that fails for another reason of the file system's.
    """

    documents_at_end = False
    """Array documents are written with each commit that makes the array longer."""

    def __init__(
        self, root: Path | str, *, read_only: bool = False, durable: bool = True, partial: str = PARTIAL_SUFFIX
    ) -> None:
        super().__init__(root, read_only=read_only)
        self.durable, self._partial = durable, partial
        self._unsettled: set[str] = set()

    def with_read_only(self, read_only: bool = False) -> DurableStore:
        """Return a store on the same folder that does or does not refuse writes."""
        return type(self)(self.root, read_only=read_only, durable=self.durable, partial=self._partial)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key, as `set_sync` does."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a key atomically. It outlasts a power loss once `settle` has returned."""
        self.stage(key, value).publish()

    def stage(self, key: str, value: Buffer) -> Staged:
        """Write a value beside its key; `Staged.publish` then gives it the key in one rename."""
        self._check_writable()
        # Strings, not Paths: those intern every part, and the keys of a long capture are many.
        path = f"{self.root}/{key}"
        unfinished = path + self._partial
        with explained(path):
            self._make_folder(path.rpartition("/")[0])
            try:
                with open(unfinished, "wb") as file:  # noqa: PTH123  # as above
                    file.write(value.as_buffer_like())
                    file.flush()
                    if self.durable:
                        os.fsync(file.fileno())
            except OSError:
                # A full disk should at least get back what the failed write took.
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)  # noqa: PTH108  # as above
                raise
        return Staged(self, unfinished, path)

    def written(self, calls: Iterable[Callable[[], ResultT]]) -> list[ResultT]:
        """Return the results of calls that write keys: several at a time where each write is made durable."""
        return at_once(calls) if self.durable else [call() for call in calls]

    def settle(self) -> None:
        """Make the names of all keys written so far outlast a power loss, if the store is durable."""
        folders, self._unsettled = self._unsettled, set()
        if self.durable:
            at_once(partial(_settle_folder, folder) for folder in sorted(folders))

    def _make_folder(self, folder: str) -> None:
        if not os.path.isdir(folder):  # noqa: PTH112  # as above
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103  # as above
            # Each new folder is an entry of the one above it.
            self._unsettled |= {
                str(parent) for parent in Path(folder).parents if parent.is_relative_to(self.root.parent)
            }


@dataclass(frozen=True)
class Staged:
    """A value that is wholly written but does not have its key yet."""

    store: DurableStore
    partial: str
    path: str

    def publish(self) -> None:
        """Give the value its key, replacing what was there, in one atomic rename."""
        with explained(self.path):
            os.replace(self.partial, self.path)  # noqa: PTH105  # strings, as in `stage`
        self.store._unsettled.add(self.path.rpartition("/")[0])  # noqa: SLF001  # the two are one mechanism

    def discard(self) -> None:
        """Remove a value that will not be published; one that was published stays."""
        with contextlib.suppress(OSError):
            os.unlink(self.partial)  # noqa: PTH108  # strings, as in `stage`


def at_once(calls: Iterable[Callable[[], ResultT]]) -> list[ResultT]:
    """Make calls that wait for the disk, `WRITERS` at a time, and return their results once all have ended.

    The disk makes files durable together that are asked for together, and one file is compressed while others wait.
    After the first error no further call begins, and the error is raised.
    """
    pool = ThreadPoolExecutor(WRITERS, thread_name_prefix="attnscope-files")
    try:
        return [ended.result() for ended in [pool.submit(call) for call in calls]]
    finally:
        pool.shutdown(cancel_futures=True)


def read_bytes(store: Store, key: str) -> bytes | None:
    """Return what any Zarr store holds under a key, or None. Not for coroutines on zarr's own loop."""
    try:
        value = sync(store.get(key, default_buffer_prototype()))
    except FileNotFoundError:  # the store itself is not there
        return None
    return None if value is None else value.to_bytes()


def as_buffer(value: bytes) -> Buffer:
    """Return bytes as a Zarr store takes them."""
    return default_buffer_prototype().buffer.from_bytes(value)


@contextlib.contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turn the file system's errors while writing `path` into ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_SPACE:
            raise StorageFullError(f"no space left to write {path}: {reason}") from error
        raise StorageUnwritableError(f"cannot write {path}: {reason}") from error


def _settle_folder(folder: str) -> None:
    with explained(folder):
        _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Write a folder's names to the disk; a system that opens no folders, as Windows, does that by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
