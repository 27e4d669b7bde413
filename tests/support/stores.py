"""Two stores, array by array."""

from __future__ import annotations

import numpy as np

from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.reading.reader import CaptureReader


def decoded(path: StorePath) -> dict[str, np.ndarray]:
    """Return every decoded array of a store, on a disk or in a bucket; a committed chunk that is missing raises."""
    reader = CaptureReader.open(path)
    return {name: reader.array(name)[:] for name in reader.names()}


def differing(one: StorePath, other: StorePath) -> list[str]:
    """Return the names of the arrays of two stores that are not bit-equal."""
    left, right = decoded(one), decoded(other)
    assert left.keys() == right.keys()
    return [name for name, value in left.items() if not _equal(value, right[name])]


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
