"""A read-only Zarr store that shows exactly what one root document commits.

To stock zarr, a missing chunk is fill value: a lost one would read as NaN. Through this store it is an error. Documents
come from the root alone, since an array's own may be ahead of it after a crash.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from attnscope_storage.errors import AttnscopeError, ChunkDamagedError, ChunkLostError
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.chunks import check_frame
from attnscope_storage.layout.keys import Committed
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.takeovers import stored_at
from attnscope_storage.reading.read_only import ReadOnlyStore


class CommittedStore(ReadOnlyStore):
    """The capture in `store` as far as `root` commits it: ``zarr.open_group(CommittedStore(...), mode="r")`` reads it.

    A snapshot: later commits show only in a new one.

    Parameters
    ----------
    store
        Where the capture's chunks are.
    root
        What is committed of them.

    Raises
    ------
    ChunkLostError
        From a read of a committed chunk that is missing.
    ChunkDamagedError
        From a read of a committed chunk that the store cannot deliver.
    """

    def __init__(self, store: Store, root: Root) -> None:
        super().__init__()
        self._store = store
        self._root = root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CommittedStore) and (self._store, self._root) == (other._store, other._root)

    __hash__ = None  # type: ignore[assignment]  # as every Zarr store: equal by content, so not hashed

    @property
    def supports_listing(self) -> bool:
        """Yes, from the root document alone."""
        return True

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is stored under a key; None only where nothing is committed."""
        prototype = prototype or default_buffer_prototype()
        located = self._root.locate(key)
        if isinstance(located, Committed):
            try:
                value = await self._store.get(self._object(key, located), prototype, byte_range)
            except AttnscopeError:  # a store of ours, over HTTP, knows better what happened
                raise
            except OSError as error:
                raise ChunkDamagedError(f"the committed chunk {key} cannot be read: {error}") from error
            if value is None:
                raise ChunkLostError(f"the committed chunk {key} is missing")
            if byte_range is None:
                try:  # zarr's own decoder would allocate whatever the frame claims
                    check_frame(value.to_bytes(), located.array.dtype, located.array.chunks)
                except ChunkDamagedError as error:
                    raise ChunkDamagedError(f"the committed chunk {key} is damaged: {error.message}") from error
            return value
        document = self._root.metadata_bytes(key)
        if document is None:
            return None
        return prototype.buffer.from_bytes(document if byte_range is None else document[_cut(byte_range, document)])

    def _object(self, key: str, chunk: Committed) -> str:
        """Return the key under which the store holds a committed chunk."""
        return stored_at(key, chunk, self._root.attributes) if isinstance(self._store, BucketStore) else key

    async def exists(self, key: str) -> bool:
        """Return whether the root says that there is such a key."""
        return isinstance(self._root.locate(key), Committed) or self._root.metadata_bytes(key) is not None

    async def list(self) -> AsyncIterator[str]:
        """Yield every key that the root says is there."""
        for key in self._root.metadata_keys():
            yield key
        for key in self._root.chunk_keys():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys that begin with a prefix."""
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix."""
        folder = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        seen: set[str] = set()
        async for key in self.list_prefix(folder):
            name = key.removeprefix(folder).split("/", 1)[0]
            if name not in seen:
                seen.add(name)
                yield name


def _cut(byte_range: ByteRequest, document: bytes) -> slice:
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    return slice(max(0, len(document) - byte_range.suffix), None)
