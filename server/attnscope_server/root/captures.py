"""Captures as the service reads them: one cached reader each, refreshed when the root document changes; deletion."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from uuid import UUID

from attnscope_server.root.children import children_of
from attnscope_server.root.paths import capture_path
from attnscope_storage.errors import CaptureNotFoundError, ChunkDamagedError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.places import STORES, remove, stamp_of, stores_in
from attnscope_storage.reading.reader import CaptureReader

CACHED_READERS = 64
"""Captures whose root documents are kept in memory."""


class Captures:
    """The captures below one data root or bucket."""

    def __init__(self, root: StorePath) -> None:
        self._root = root
        self._cached: OrderedDict[UUID, tuple[tuple[object, ...], CaptureReader]] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, job: UUID) -> StorePath:
        """Return the place of a job's capture."""
        return capture_path(self._root, str(job))

    def stores(self) -> Iterator[tuple[UUID, StorePath]]:
        """Yield the id and the place of every store; what has no id for its name, or is a link, is none."""
        for place in stores_in(self._root / STORES):
            with contextlib.suppress(ValueError):
                store = UUID(place.stem)
                if place.name == f"{store}.zarr" and not place.is_symlink():
                    yield store, place

    def open(self, job: UUID) -> CaptureReader:
        """Return a reader of what is committed by now.

        Raises
        ------
        CaptureNotFoundError
            Nothing is committed yet.
        """
        if self.path(job).is_symlink():
            raise ChunkDamagedError(f"the folder of capture {job} is a symbolic link, which this service never makes")
        stamp = stamp_of(self.path(job))
        if stamp is None:
            raise CaptureNotFoundError(f"job {job} has no capture yet")
        with self._lock:
            cached = self._cached.get(job)
            if cached is not None and cached[0] == stamp:
                self._cached.move_to_end(job)
                return cached[1]
        reader = CaptureReader.open(self.path(job))
        with self._lock:
            self._cached[job] = (stamp, reader)
            self._cached.move_to_end(job)
            while len(self._cached) > CACHED_READERS:
                self._cached.popitem(last=False)
        return reader

    def remove(self, job: UUID) -> None:
        """Remove a capture and what it owns: out of sight in one step each, then for good. Safe to repeat.

        What it owns goes first: its root document is the list of that.
        """
        path = self.path(job)
        if not path.is_symlink():
            for child in children_of(path).values():
                self._remove(child)
        self._remove(path)

    def _remove(self, path: StorePath) -> None:
        with self._lock:
            self._cached.pop(UUID(path.stem), None)
        remove(path)
