"""Reading a capture: what is committed, and nothing else.

Opening and refreshing read one small document. Arrays read chunks only when indexed. The shapes are those of the root
document; an array's own document, which may be ahead after a crash, is never read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Shaped
from zarr.abc.store import Store
from zarr.storage import LocalStore

from attnscope_storage.errors import (
    AttnscopeError,
    CaptureNotFoundError,
    ChunkDamagedError,
    ChunkLostError,
    NotCommittedError,
)
from attnscope_storage.layout.bucket import BucketPath, StorePath
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.chunks import chunk_key, decode_chunk, grid_of, indices
from attnscope_storage.layout.keys import Committed, Located, StoredArray
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store import read_bytes
from attnscope_storage.reading.committed import CommittedStore
from attnscope_storage.reading.confined import ConfinedStore, refuse_links
from attnscope_storage.reading.selection import AxisIndex, Selection, resolve
from attnscope_storage.shades import as_weights
from attnscope_storage.wire.policies import PolicyDescription


class CaptureReader:
    """A capture or a trial, finished or still being written. Use `open`.

    Each method looks at the snapshot of the last `open` or `refresh`; where several answers must fit each other, take
    `root` once and ask it.
    """

    def __init__(self, store: Store, root: Root) -> None:
        self._store = store
        self._root = root

    @classmethod
    def open(cls, where: StorePath | str | Store) -> CaptureReader:
        """Open a capture's folder, its place in a bucket, or any Zarr store that holds one at its top.

        Raises
        ------
        CaptureNotFoundError
            There is none, or its creation never came to its end.
        SchemaVersionError
            It is of a schema that this version does not read.
        ChunkDamagedError
            Its root document is damaged, or cannot be read.
        """
        if isinstance(where, BucketPath):
            store: Store = BucketStore(where)
        else:
            store = where if isinstance(where, Store) else ConfinedStore(where)
        return cls(store, _read_root(store))

    def __reduce__(self) -> tuple[Callable[[Store], CaptureReader], tuple[Store]]:
        """Pickle the store alone; the copy opens it anew, with what is committed then."""
        return CaptureReader.open, (self._store,)

    def refresh(self) -> bool:
        """Look for new commits; return whether anything changed."""
        root = _read_root(self._store)
        changed = root.stored != self._root.stored
        self._root = root
        return changed

    @property
    def root(self) -> Root:
        """The commits at the last refresh: an immutable snapshot."""
        return self._root

    @property
    def store(self) -> CommittedStore:
        """The snapshot as a Zarr store, for ``zarr.open_group`` and ``xarray``."""
        return CommittedStore(self._store, self._root)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The capture's attributes."""
        return self._root.attributes

    @property
    def schema_version(self) -> int:
        """Version of the schema that wrote it."""
        return self._root.schema_version

    @property
    def kind(self) -> str:
        """Kind of job that it holds."""
        return self._root.kind

    @property
    def steps_committed(self) -> int:
        """Environment steps that can be read; of a trial, conditions."""
        return self._root.steps_committed

    @property
    def steps_total(self) -> int:
        """Environment steps of the finished capture; of a trial, conditions."""
        return int(self.attributes["steps_total"])

    @property
    def complete(self) -> bool:
        """True where nothing more will come because everything is there."""
        return bool(self.attributes["complete"])

    @property
    def policy(self) -> PolicyDescription:
        """The policy that was rolled out."""
        return PolicyDescription.model_validate(self.attributes["policy"])

    def names(self) -> tuple[str, ...]:
        """Return every array's name, sorted."""
        return tuple(sorted(self._root.arrays))

    def array(self, name: str) -> CommittedArray:
        """Return an array as it is committed now; later commits show only in a new one.

        Raises
        ------
        KeyError
            The capture has no such array.
        """
        return CommittedArray(self.store, self._root.arrays[name])

    def locate(self, key: str) -> Located:
        """Say what a store key means, without a look at the store."""
        return self._root.locate(key)

    def etag(self, key: str) -> str | None:
        """Return a strong ETag for a document or a committed chunk, else None."""
        return self._root.etag(key)

    def metadata_bytes(self, key: str) -> bytes | None:
        """Return any document of the capture, or None where the key names none."""
        return self._root.metadata_bytes(key)

    def chunk_path(self, key: str) -> Path | None:
        """Return the file of a committed chunk; None where the key names none or the store is no local folder."""
        if isinstance(self._store, LocalStore) and isinstance(self.locate(key), Committed):
            refuse_links(self._store.root, key)
            return self._store.root / key
        return None

    def chunk_bytes(self, key: str) -> bytes:
        """Return the stored bytes of a committed chunk.

        Raises
        ------
        NotCommittedError
            The key names no committed chunk.
        ChunkLostError, ChunkDamagedError
            It is missing, or cannot be read.
        """
        if not isinstance(self.locate(key), Committed):
            raise NotCommittedError(f"{key!r} names no committed chunk")
        value = read_bytes(self.store, key)
        if value is None:
            raise ChunkLostError(f"the committed chunk {key} is missing")
        return value


class CommittedArray:
    """A committed array. Indexing reads it: integers, slices and lists, each on its own axis."""

    def __init__(self, store: CommittedStore, stored: StoredArray) -> None:
        self._store = store
        self._stored = stored
        self.name = stored.name
        self.dims = stored.dims
        self.shape = stored.shape
        self.chunks = stored.chunks
        self.attributes = stored.attributes
        self.dtype: np.dtype[Any] = as_weights(np.empty(0, stored.dtype), stored.attributes).dtype
        """As values are read; rows that are stored as bytes are read as float16."""

    def __reduce__(self) -> tuple[type[CommittedArray], tuple[CommittedStore, StoredArray]]:
        """Pickle the place; the copy has the same length, whatever was committed since."""
        return type(self), (self._store, self._stored)

    def __repr__(self) -> str:
        axes = ", ".join(f"{dim}: {size}" for dim, size in zip(self.dims, self.shape, strict=True))
        return f"<CommittedArray {self.name} {self.dtype} ({axes})>"

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Decoded size of what is committed, in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, selection: Selection) -> Shaped[np.ndarray, ...]:
        """Read a part of the array.

        Raises
        ------
        NotCommittedError
            Steps beyond the commit are asked for.
        ChunkLostError, ChunkDamagedError
            A chunk of it is missing, or does not decode.
        """
        index = resolve(selection, self._stored)
        try:
            stored = np.asarray(self._zarr.get_orthogonal_selection(index))
            return as_weights(stored, self.attributes)
        except (RuntimeError, ValueError, MemoryError):
            self._blame(index)
            raise

    @cached_property
    def _zarr(self) -> zarr.Array[Any]:
        return zarr.open_array(self._store, path=self.name, mode="r", zarr_format=3)

    def _blame(self, index: tuple[AxisIndex, ...]) -> None:
        """Raise the error of the first chunk touched by `index` that does not decode, if one does not."""
        touched = [
            {int(i) // chunk for i in np.atleast_1d(np.arange(size)[item])}
            for item, size, chunk in zip(index, self.shape, self.chunks, strict=True)
        ]
        for position in indices(grid_of(self.shape, self.chunks)):
            if all(i in axis for i, axis in zip(position, touched, strict=True)):
                key = chunk_key(self.name, position)
                try:
                    decode_chunk(read_bytes(self._store, key) or b"", self._stored.dtype, self.chunks)
                except ChunkDamagedError as error:
                    raise ChunkDamagedError(f"the committed chunk {key} is damaged: {error}") from error


def _read_root(store: Store) -> Root:
    try:
        stored = read_bytes(store, ROOT_KEY)
    except AttnscopeError:
        raise
    except OSError as error:
        raise ChunkDamagedError(f"the root document of {store} cannot be read: {error}") from error
    if stored is None:
        raise CaptureNotFoundError(f"there is no capture at {store}")
    return Root.parse(stored)
