"""Reading a few steps of many arrays quickly: chunks are decoded once and kept within a bound.

For one reader that asks for neighbouring steps again and again. Views and bulk go through `CaptureReader.array`, which
takes any selection; this takes a run of steps and an entry of the axis after it, and costs a dictionary look-up where
the chunk is still held.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.errors import ChunkDamagedError, ChunkLostError, NotCommittedError
from attnscope_storage.layout.chunks import chunk_key, decode_chunk
from attnscope_storage.layout.keys import StoredArray
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import as_weights

HELD_BYTES: Final = 128 * 2**20
"""Decoded bytes that are held, at most."""


class DecodedChunks:
    """Decoded chunks of any captures, the last used ones; a committed entry never changes, but a chunk may gain some.

    Parameters
    ----------
    limit
        Decoded bytes held, at most.
    """

    def __init__(self, limit: int = HELD_BYTES) -> None:
        self._limit = limit
        self._held: OrderedDict[tuple[str, str, int], Shaped[np.ndarray, ...]] = OrderedDict()
        self._bytes = 0

    def steps(
        self, reader: CaptureReader, name: str, first: int, last: int, entry: int
    ) -> Shaped[np.ndarray, "step ..."]:
        """Return an array's steps `first` to `last` (left out) at one entry of its second axis.

        Raises
        ------
        NotCommittedError
            They reach beyond what is committed.
        IndexError
            The second axis has no such entry.
        ChunkLostError, ChunkDamagedError
            A chunk of them is missing, or does not decode.
        """
        array = reader.root.arrays[name]
        if not 0 <= first <= last <= array.shape[0]:
            raise NotCommittedError(f"{name}: up to {last} asked for, {array.shape[0]} committed")
        if not 0 <= entry < array.shape[1]:
            raise IndexError(f"{name}, axis {array.dims[1]}: {entry} is out of bounds, the axis has {array.shape[1]}")
        length, width = array.chunks[:2]
        out = np.empty((last - first, *array.shape[2:]), array.dtype)
        for number in range(first // length, -(-last // length)):
            begin, end = max(first, number * length), min(last, (number + 1) * length)
            chunk = self._chunk(reader, array, (number, entry // width, *(0,) * (len(array.shape) - 2)))
            inside = chunk[begin - number * length : end - number * length, entry % width]
            out[begin - first : end - first] = inside[(slice(None), *map(slice, array.shape[2:]))]
        return as_weights(out, array.attributes)

    def entries(self, reader: CaptureReader, name: str) -> Shaped[np.ndarray, " entry"]:
        """Return a short array of one axis that is stored in one chunk, such as ``attention/row_env``.

        Raises
        ------
        ChunkLostError, ChunkDamagedError
            Its chunk is missing, or does not decode.
        """
        array = reader.root.arrays[name]
        if len(array.shape) != 1 or array.chunks[0] < array.shape[0]:
            raise ValueError(f"expected an array of one axis in one chunk, got {name} {array.shape} in {array.chunks}")
        return self._chunk(reader, array, (0,))[: array.shape[0]]

    def _chunk(self, reader: CaptureReader, array: StoredArray, index: tuple[int, ...]) -> Shaped[np.ndarray, ...]:
        key = chunk_key(array.name, index)
        held = min(array.shape[0], (index[0] + 1) * array.chunks[0])
        place = (str(reader.attributes["capture_id"]), key, held)
        if place in self._held:
            self._held.move_to_end(place)
            return self._held[place]
        try:
            chunk = decode_chunk(_stored(reader, key), array.dtype, array.chunks)
        except ChunkDamagedError as error:
            raise ChunkDamagedError(f"the committed chunk {key} is damaged: {error.message}") from error
        self._held[place] = chunk
        self._bytes += chunk.nbytes
        while self._bytes > self._limit:
            self._bytes -= self._held.popitem(last=False)[1].nbytes
        return chunk


def _stored(reader: CaptureReader, key: str) -> bytes:
    """Return a committed chunk's bytes; straight from its file where there is one, which is ten times quicker."""
    path = reader.chunk_path(key)
    if path is None:
        return reader.chunk_bytes(key)
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ChunkLostError(f"the committed chunk {key} is missing") from error
    except OSError as error:
        raise ChunkDamagedError(f"the committed chunk {key} cannot be read: {error}") from error
