"""Copying what a capture or trial commits, while its writer may go on: chunks first, the root document last.

One root document says which chunks belong together, and committed chunks never change. Chunks that are written but not
committed, and the lock of the writer, are not copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnscope_storage.errors import CaptureExistsError, CaptureNotFoundError, StorageError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.layout.store import DurableStore, as_buffer
from attnscope_storage.reading.reader import CaptureReader


@dataclass(frozen=True)
class Copied:
    """The contents of a copy."""

    root: bytes
    """The root document, as it is stored."""
    steps: int
    """Environment steps that it commits; of a trial, conditions."""
    chunks: int
    bytes: int
    """Bytes of the chunks."""


def copy_committed(source: StorePath, target: Path, *, durable: bool = True) -> Copied:
    """Copy what the newest root document of a store commits; the copy opens as a store only when it is whole.

    Parameters
    ----------
    source
        Place of the capture or trial.
    target
        Folder of the copy, which must not hold a store.
    durable
        Fsync what is written, and all chunks before the root.

    Raises
    ------
    CaptureExistsError
        There is a store at `target`.
    CaptureNotFoundError
        Nothing is committed, or the store was deleted while it was copied.
    ChunkLostError, ChunkDamagedError
        A committed chunk is missing, or cannot be read.
    StorageFullError, StorageUnwritableError
        The copy cannot be written.
    """
    if (target / ROOT_KEY).exists():
        raise CaptureExistsError(f"there is a capture at {target}")
    reader = CaptureReader.open(source)
    root, store = reader.root, DurableStore(target, durable=durable)
    chunks = size = 0
    for key in root.chunk_keys():
        try:
            content = reader.chunk_bytes(key)
        except StorageError:
            _refuse_deleted(source, root.attributes["capture_id"])
            raise
        store.set_sync(key, as_buffer(content))
        chunks, size = chunks + 1, size + len(content)
    _refuse_deleted(source, root.attributes["capture_id"])
    for key in root.metadata_keys():
        if key != ROOT_KEY:
            store.set_sync(key, as_buffer(root.node_bytes(key)))
    store.settle()
    store.set_sync(ROOT_KEY, as_buffer(root.stored))
    store.settle()
    return Copied(root.stored, root.steps_committed, chunks, size)


def _refuse_deleted(source: StorePath, capture_id: object) -> None:
    """Refuse chunks that may be another store's, because the one that was opened is not there any more."""
    if CaptureReader.open(source).attributes["capture_id"] != capture_id:
        raise CaptureNotFoundError(f"the capture at {source} was deleted while it was copied")
