"""A capture of a service as a Zarr store over the raw route, for bulk."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from attnscope.connecting.copies import renew_in_children
from attnscope.connecting.repeated import refuse_another
from attnscope.connecting.transport import Transport
from attnscope.errors import GoneError, NotFoundError
from attnscope_storage.reading.read_only import ReadOnlyStore
from attnscope_storage.wire.echo import JOB_HEADER, KEY_HEADER

CACHE_BYTES = 256 * 2**20
"""Encoded chunks kept in memory, per capture."""

OBJECT_BYTES = 64 * 2**20
"""Size of one stored object, at most."""

LISTS_NOTHING = "a remote capture lists no keys; its root document names every array"


class HttpStore(ReadOnlyStore):
    """A capture's raw Zarr store, read-only. Chunks never change, so each is fetched once while the cache holds it."""

    def __init__(self, transport: Transport, job: str) -> None:
        super().__init__()
        self._transport = transport
        self.job = job
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()
        renew_in_children(self)

    def renew(self) -> None:
        """Let a forked child have a lock of its own: the parent's may be held by a thread that the child lacks."""
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[HttpStore], tuple[Transport, str]]:
        """Pickle no cached chunk and no lock."""
        return type(self), (self._transport, self.job)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HttpStore) and (self.job, self._transport) == (other.job, other._transport)

    __hash__ = None  # type: ignore[assignment]  # as every Zarr store: equal by content, so not hashed

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a key's bytes; None where the service says that the committed shape does not reach there.

        Raises
        ------
        GoneError
            The capture was deleted meanwhile.
        """
        if byte_range is not None:
            raise io.UnsupportedOperation("captures have no shards: every chunk is read whole")
        content = await asyncio.to_thread(self._fetch, key)
        return None if content is None else (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    def _fetch(self, key: str) -> bytes | None:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        try:
            path = f"/v1/captures/{self.job}/zarr/{key}"
            answer = self._transport.request("GET", path, limit=OBJECT_BYTES)
        except GoneError:
            raise  # an absent chunk would be read as its fill value, or called damaged
        except NotFoundError:
            return None
        refuse_another(answer, {JOB_HEADER: self.job, KEY_HEADER: key})
        if "immutable" in answer.headers.get("cache-control", ""):
            self._keep(key, answer.body)
        return answer.body

    def _keep(self, key: str, content: bytes) -> None:
        with self._lock:
            if key not in self._cache:
                self._cached_bytes += len(content)
            self._cache[key] = content
            while self._cached_bytes > CACHE_BYTES:
                _, dropped = self._cache.popitem(last=False)
                self._cached_bytes -= len(dropped)

    async def exists(self, key: str) -> bool:
        """Return True where the store has this key."""
        return await self.get(key) is not None

    @property
    def supports_listing(self) -> bool:
        """False: the root document names every array."""
        return False

    async def list(self) -> AsyncIterator[str]:
        """Refuse: HTTP lists no folders."""
        raise io.UnsupportedOperation(LISTS_NOTHING)
        yield ""

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise io.UnsupportedOperation(f"{prefix}: {LISTS_NOTHING}")
        yield ""

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise io.UnsupportedOperation(f"{prefix}: {LISTS_NOTHING}")
        yield ""
