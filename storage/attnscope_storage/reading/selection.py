"""The index expressions that a committed array takes, and those that it refuses.

NumPy's integers, slices and lists, each on its own axis (orthogonal). Along an axis that grows, anything that reaches
past what is committed is refused instead of cut short: a plot of half of what was asked for looks like a whole one.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Int, Integer

from attnscope_storage.errors import NotCommittedError
from attnscope_storage.layout.keys import StoredArray

GROWING_DIMS = frozenset({"step", "row_step", "sample", "compression", "condition"})
"""Axes that grow with every commit."""

AxisSelector = SupportsIndex | slice | Sequence[int] | Integer[np.ndarray, "_"] | EllipsisType
Selection = AxisSelector | tuple[AxisSelector, ...]
AxisIndex = int | slice | Int[np.ndarray, "_"]


def resolve(selection: Selection, array: StoredArray) -> tuple[AxisIndex, ...]:
    """Return one non-negative integer, slice or index array an axis.

    Raises
    ------
    NotCommittedError
        It reaches beyond the committed end of a growing axis.
    IndexError
        It reaches beyond another axis, or names too many axes.
    TypeError, ValueError
        A mask, a new axis, a step below 1.
    """
    items = _expanded(selection if isinstance(selection, tuple) else (selection,), array)
    return tuple(
        _resolve_axis(item, f"{array.name}, axis {dim}", size, grows=dim in GROWING_DIMS)
        for item, dim, size in zip(items, array.dims, array.shape, strict=True)
    )


def _expanded(items: tuple[Any, ...], array: StoredArray) -> tuple[Any, ...]:
    """Return as many items as there are axes."""
    axes = len(array.shape)
    at = [position for position, item in enumerate(items) if item is Ellipsis]
    if len(at) > 1 or len(items) - len(at) > axes:
        raise IndexError(f"{array.name} has {axes} axes {array.dims}, got {len(items)} indices")
    position = at[0] if at else len(items)
    missing = (slice(None),) * (axes - len(items) + len(at))
    return (*items[:position], *missing, *items[position + len(at) :])


def _resolve_axis(item: Any, where: str, size: int, *, grows: bool) -> AxisIndex:  # noqa: ANN401  # anything may come
    if isinstance(item, slice):
        return _resolve_slice(item, where, size, grows=grows)
    if isinstance(item, bool | np.bool_) or item is None:
        raise TypeError(f"{where}: expected an integer, a slice or a list of integers, got {item!r}")
    if isinstance(item, Sequence | np.ndarray) and not isinstance(item, str | bytes):
        picked = np.asarray(item)
        if picked.ndim != 1 or not (picked.dtype.kind in "iu" or picked.size == 0):
            raise TypeError(f"{where}: expected a flat list of integers, got {picked.dtype}{picked.shape}")
        return np.array([_resolve_integer(int(i), where, size, grows=grows) for i in picked], dtype=np.int64)
    try:
        position = operator.index(item)  # pyright: ignore[reportArgumentType]  # index() says what is no integer
    except TypeError:
        raise TypeError(f"{where}: expected an integer, a slice or a list of integers, got {item!r}") from None
    return _resolve_integer(position, where, size, grows=grows)


def _resolve_integer(position: int, where: str, size: int, *, grows: bool) -> int:
    if -size <= position < size:
        return position % size
    if grows:
        raise NotCommittedError(f"{where}: {position} asked for, {size} committed")
    raise IndexError(f"{where}: {position} is out of bounds, the axis has {size}")


def _resolve_slice(item: slice, where: str, size: int, *, grows: bool) -> slice:
    if item.step is not None and operator.index(item.step) < 1:
        raise ValueError(f"{where}: expected a step of at least 1, got {item.step}")
    for end in (item.start, item.stop):
        if grows and end is not None and operator.index(end) > size:
            raise NotCommittedError(f"{where}: up to {operator.index(end)} asked for, {size} committed")
    start, stop, step = item.indices(size)
    return slice(start, max(start, stop), step)
