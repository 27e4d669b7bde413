"""The entries that an index expression asks for, axis by axis. It fetches nothing."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope.errors import OutsideError

Pick = int | range | tuple[int, ...]
"""The entries taken along one axis: one entry (the axis goes), a range with a positive step, or a list."""


@dataclass(frozen=True)
class Selection:
    """A part of an array: entries of every axis, all of them inside its shape."""

    picks: tuple[Pick, ...]
    flips: tuple[int, ...] = ()
    """Axes of the array whose entries are wanted in reverse order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the selected part."""
        return tuple(len(pick) for pick in self.picks if not isinstance(pick, int))

    @property
    def size(self) -> int:
        """Number of selected entries."""
        return math.prod(self.shape)

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """Axes of the array that the selected part still has."""
        return tuple(axis for axis, pick in enumerate(self.picks) if not isinstance(pick, int))

    @property
    def reversal(self) -> tuple[slice, ...]:
        """Index that brings the fetched part into the order asked for."""
        return tuple(slice(None, None, -1 if axis in self.flips else None) for axis in self.kept_axes)

    def with_pick(self, axis: int, pick: Pick) -> Selection:
        """Return the selection with another pick along one axis."""
        picks = list(self.picks)
        picks[axis] = pick
        return replace(self, picks=tuple(picks))

    def split(self, axis: int, length: int) -> Iterator[tuple[slice, Selection]]:
        """Yield parts of at most `length` entries along an axis, and where each lies along that axis of the result."""
        pick = self.picks[axis]
        if isinstance(pick, int):
            yield slice(0, 1), self
            return
        for first in range(0, len(pick), length):
            part = pick[first : first + length]
            yield slice(first, first + len(part)), self.with_pick(axis, part)

    def in_two(self, axis: int = 0) -> tuple[Selection, Selection] | None:
        """Return the selection in two parts along an axis; None where it has a single entry there."""
        whole = self.picks[axis]
        if isinstance(whole, int) or len(whole) < 2:  # noqa: PLR2004 - nothing to halve
            return None
        middle = len(whole) // 2
        return self.with_pick(axis, whole[:middle]), self.with_pick(axis, whole[middle:])

    def of(self, whole: Shaped[np.ndarray, ...]) -> Shaped[np.ndarray, ...]:
        """Return this part of an array in memory, each axis's entries on their own, as a copy."""
        for axis in reversed(range(whole.ndim)):
            pick = self.picks[axis]
            entries = slice(pick.start, pick.stop, pick.step) if isinstance(pick, range) else pick
            whole = whole[(slice(None),) * axis + (list(entries) if isinstance(entries, tuple) else entries,)]
        return whole.copy()


def select(key: Any, dims: Sequence[str], shape: Sequence[int]) -> Selection:  # noqa: ANN401 - any index expression
    """Return what a NumPy index expression selects.

    Integers, slices and ``...`` mean what they mean to NumPy. A list of integers, or a boolean mask of one axis,
    takes these entries along its own axis whatever stands beside it, as in xarray.

    Raises
    ------
    IndexError
        An entry lies outside the axis, or there are more indices than axes.
    TypeError
        Something that is no index.
    """
    picks: list[Pick] = []
    flips: list[int] = []
    for axis, (one, dim, size) in enumerate(zip(_one_per_axis(key, len(shape)), dims, shape, strict=True)):
        if not isinstance(one, slice):
            picks.append(_entries(one, dim, size))
            continue
        chosen = range(*one.indices(size))
        if chosen.step < 0:
            flips.append(axis)
            chosen = chosen[::-1]
        picks.append(chosen)
    return Selection(tuple(picks), tuple(flips))


def _one_per_axis(key: object, axes: int) -> list[object]:
    parts: list[object] = list(key) if isinstance(key, tuple) else [key]
    dots = [index for index, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can hold one '...'")
    missing = axes - (len(parts) - len(dots))
    if missing < 0:
        raise IndexError(f"too many indices: the array has {axes} axes, {len(parts) - len(dots)} were indexed")
    index = dots[0] if dots else len(parts)
    return [*parts[:index], *[slice(None)] * missing, *parts[index + len(dots) :]]


def _entries(one: object, dim: str, size: int) -> Pick:
    """Return the pick of an integer, a list of integers or a mask."""
    if one is None:
        raise TypeError("new axes cannot be made while fetching; add them to the result")
    entries = np.asarray(one)
    if entries.ndim == 0 and entries.dtype != bool:
        try:
            return _inside(operator.index(one), dim, size)  # type: ignore[arg-type]  # index() says what is no integer
        except TypeError:
            raise TypeError(
                f"cannot index axis {dim!r} with {one!r}; use integers, slices or a list of integers"
            ) from None
    if entries.dtype == bool:
        if entries.shape != (size,):
            raise IndexError(f"a mask of axis {dim!r} needs shape ({size},), got {entries.shape}")
        return tuple(int(entry) for entry in np.flatnonzero(entries))
    if entries.ndim != 1 or (entries.size and entries.dtype.kind not in "iu"):
        raise TypeError(f"cannot index axis {dim!r} with an array of shape {entries.shape} and dtype {entries.dtype}")
    return tuple(_inside(int(entry), dim, size) for entry in entries)


def _inside(entry: int, dim: str, size: int) -> int:
    if not -size <= entry < size:
        raise OutsideError(f"index {entry} lies outside axis {dim!r} of length {size}")
    return entry + size if entry < 0 else entry
