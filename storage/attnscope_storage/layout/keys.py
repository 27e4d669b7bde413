"""The meaning of a store key, given the committed shapes: a pure predicate, without a look at the disk.

The service answers from it (a document, a chunk, a 404, a 500 where a committed chunk is gone), so whatever is not
exactly the name of something in the capture is `Unknown`: paths that climb, escapes, NUL, other spellings of a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attnscope_storage.layout.chunks import grid_of
from attnscope_storage.layout.root import ROOT_KEY

MAX_KEY_LENGTH: Final = 512
"""Characters of a key, at most; longer ones are unknown."""

_CHUNK: Final = re.compile(r"c((?:\.(?:0|[1-9][0-9]{0,17}))+)")
_DEVICE: Final = r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:/|$))"
_NAME: Final = re.compile(rf"{_DEVICE}[a-z][a-z0-9_]*(?:/{_DEVICE}[a-z][a-z0-9_]*)*")
"""Names that are folders on every system: no upper case, no dot, and none of the devices of Windows."""


@dataclass(frozen=True)
class StoredArray:
    """An array as the root document commits it."""

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    attributes: Mapping[str, object]

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of committed chunks along each axis."""
        return grid_of(self.shape, self.chunks)

    def is_full(self, number: int) -> bool:
        """Return whether the chunks at a place of the first axis hold as many entries as they have room for."""
        return (number + 1) * self.chunks[0] <= self.shape[0]


@dataclass(frozen=True)
class Metadata:
    """The key of a document of the capture."""

    node: str
    """Path of the array or group; empty for the root."""


@dataclass(frozen=True)
class Committed:
    """The key of a committed chunk: it must exist, and its committed entries never change again."""

    array: StoredArray
    index: tuple[int, ...]


@dataclass(frozen=True)
class Beyond:
    """The key of a chunk of the capture's that is not committed."""

    array: StoredArray
    index: tuple[int, ...]


@dataclass(frozen=True)
class Unknown:
    """No key of the capture."""


Located = Metadata | Committed | Beyond | Unknown


def is_name(text: str) -> bool:
    """Return whether a text may be the name of an array or group, and so a folder below the capture's."""
    return len(text) <= MAX_KEY_LENGTH and _NAME.fullmatch(text) is not None


def locate(key: str, nodes: Mapping[str, StoredArray | None]) -> Located:
    """Say what a key means.

    Parameters
    ----------
    key
        A store key, as it came over the wire.
    nodes
        Every array by its path, and every group's path with None.
    """
    if key == ROOT_KEY:
        return Metadata("")
    node, _, last = key.rpartition("/")
    if len(key) > MAX_KEY_LENGTH or node not in nodes:
        return Unknown()
    if last == ROOT_KEY:
        return Metadata(node)
    array, chunk = nodes[node], _CHUNK.fullmatch(last)
    index = tuple(int(digits) for digits in chunk[1].split(".")[1:]) if chunk else ()
    if array is None or len(index) != len(array.shape):
        return Unknown()
    inside = all(i < count for i, count in zip(index, array.grid, strict=True))
    return Committed(array, index) if inside else Beyond(array, index)
