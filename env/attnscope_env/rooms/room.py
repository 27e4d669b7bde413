"""The room itself: its cells, where an episode starts, and which cells are valid. No episodes, no Gymnasium."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Int32, Int64

Cell = Sequence[int] | Int32[np.ndarray, "coordinate=2"]
"""A (row, column) pair."""

DEFAULT_SIZE: Final = 9
"""Rows and columns of the room."""

DEFAULT_HORIZON: Final = 20
"""Steps of an episode."""

COORDINATES: Final = 2
"""Numbers that name a cell."""


def start_cell(size: int, start: Cell | None) -> Int32[np.ndarray, "coordinate=2"]:
    """Return the cell where episodes start; the centre where none is named."""
    centre = (size // 2, size // 2)
    return one_cell(centre if start is None else start, size, "start")


def one_cell(value: object, size: int, what: str) -> Int32[np.ndarray, "coordinate=2"]:
    """Return a cell as an array, after checking that it is one and lies in the room."""
    array = cells(value, size, what)
    if array.ndim != 1:
        raise ValueError(f"expected {what} as one (row, column), got {value!r}")
    return array


def cells(values: object, size: int, what: str) -> Int32[np.ndarray, "... 2"]:
    """Return cells as an array, after checking that they lie in the room.

    Raises
    ------
    ValueError
        A value is no integer pair, or lies outside the room.
    """
    array = np.asarray(values)
    if array.ndim == 0 or array.shape[-1] != COORDINATES or array.dtype.kind not in "iu":
        raise ValueError(f"expected {what} as integer (row, column), got {values!r}")
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ValueError(f"expected {what} inside a room of {size}×{size} cells, got {array.tolist()}")
    return array.astype(np.int32)


def walk(
    from_cells: Int32[np.ndarray, "... 2"], moves: Int32[np.ndarray, "... 2"], size: int
) -> Int32[np.ndarray, "... 2"]:
    """Return where these moves lead; walls clip them."""
    after: Int32[np.ndarray, "... 2"] = np.clip(from_cells + moves, 0, size - 1)
    return after


def draw_cell(random: np.random.Generator, size: int) -> Int32[np.ndarray, "coordinate=2"]:
    """Return a uniformly drawn cell."""
    return np.array(divmod(int(random.integers(size * size)), size), dtype=np.int32)


def cell_number(coordinates: Int32[np.ndarray, "*rooms 2"], size: int) -> Int64[np.ndarray, "*rooms"] | np.int64:
    """Return the numbers of cells, counted row by row."""
    numbers: Int64[np.ndarray, "*rooms"] = coordinates[..., 0].astype(np.int64) * size + coordinates[..., 1]
    return numbers


@lru_cache(maxsize=64)
def cell_coordinates(size: int) -> Int32[np.ndarray, "cell 2"]:
    """Return (row, column) of every cell, by its number; shared between callers and read-only."""
    coordinates: Int32[np.ndarray, "cell 2"] = np.stack(np.divmod(np.arange(size * size), size), axis=-1).astype(
        np.int32
    )
    coordinates.flags.writeable = False
    return coordinates
