"""The last chunk of a growing array while it has room left, kept in memory until it is full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.layout.chunks import chunk_key, decode_chunk, encode_chunk, grid_of, indices
from attnscope_storage.layout.store_schema import ArraySpec, Entries
from attnscope_storage.reading.reader import CaptureReader


class Tail:
    """The entries of an array's last chunk, all other axes whole; the rest of the chunk reads as never written.

    Parameters
    ----------
    spec
        The array.
    held
        Entries of the chunk that are committed, as a resumed capture has them.
    """

    def __init__(self, spec: ArraySpec, held: Entries | None = None) -> None:
        self._spec = spec
        self._values: Entries | None = None
        self.written = 0
        """Encoded bytes that the chunk has on disk; a commit that adds to it writes it again."""
        if held is not None and len(held):
            self.written = sum(len(encode_chunk(part)) for _, part in parts_of(spec, self.joined(held, 0)))

    def joined(self, new: Entries, place: int) -> Entries:
        """Return the whole chunk after adding entries to it.

        Parameters
        ----------
        new
            The entries to add.
        place
            Their place in the chunk; 0 begins another chunk.
        """
        if self._values is None or place == 0:  # another array, because the chunk before may still be written
            self._values = np.full((self._spec.chunks[0], *self._spec.shape[1:]), self._spec.fill, self._spec.dtype)
        self._values[place : place + len(new)] = new
        return self._values


@dataclass(frozen=True)
class Chunk:
    """A chunk to write: its key, its values, and the tail that counts its bytes where a later commit may add to it."""

    key: str
    values: Entries
    tail: Tail | None


def last_chunk(reader: CaptureReader, spec: ArraySpec, length: int) -> Entries:
    """Return the committed entries of the chunk that has room for more; none where the last chunk is full.

    Parameters
    ----------
    length
        Committed entries of the array.

    Raises
    ------
    ChunkLostError, ChunkDamagedError
        It is missing, or does not decode.
    """
    number, held = divmod(length, spec.chunks[0])
    found = np.empty((held, *spec.shape[1:]), spec.dtype)
    for index in indices(grid_of(found.shape, spec.chunks)):
        key = chunk_key(spec.name, (number, *index[1:]))
        try:
            chunk = decode_chunk(reader.chunk_bytes(key), spec.dtype, spec.chunks)
        except ChunkDamagedError as error:
            raise ChunkDamagedError(f"the committed chunk {key} is damaged: {error.message}") from error
        cut = tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, spec.chunks, strict=True))
        place = found[cut]
        place[...] = chunk[tuple(map(slice, place.shape))]
    return found


def parts_of(spec: ArraySpec, values: Entries) -> Iterator[tuple[tuple[int, ...], Entries]]:
    """Yield the chunks that values, at most one chunk long on the first axis, consist of, each with its index."""
    for index in indices(grid_of(values.shape, spec.chunks)):
        cut = tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, spec.chunks, strict=True))
        part = values[cut]
        short = [(0, size - held) for size, held in zip(spec.chunks[1:], part.shape[1:], strict=True)]
        if any(gap for _, gap in short):  # the last environments of a chunk of several
            part = np.pad(part, [(0, 0), *short], constant_values=spec.fill)
        yield index, part
