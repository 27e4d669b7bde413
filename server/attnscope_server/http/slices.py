"""Cuts and reductions of an array by named axes: the grammar of ``/slice``, and what it computes.

A selector is ``7`` (drops the axis; negative counts from the committed end), ``a:b`` or ``a:b:c``, or ``1,4,9``.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped

from attnscope_server.errors import refusal
from attnscope_storage.reading.reader import CommittedArray
from attnscope_storage.reading.selection import GROWING_DIMS
from attnscope_storage.wire import ProblemCode

REDUCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "mean": np.nanmean,
    "max": np.nanmax,
    "min": np.nanmin,
    "sum": np.nansum,
}
INTEGER: Final = re.compile(r"-?[0-9]{1,12}")

Axis = int | slice | list[int]


@dataclass(frozen=True)
class Cut:
    """A selection of an array, checked against what is committed."""

    array: CommittedArray
    axes: tuple[Axis, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """The axes that remain."""
        return tuple(dim for dim, axis in zip(self.array.dims, self.axes, strict=True) if not isinstance(axis, int))

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes that remain."""
        return tuple(
            len(entries_of(axis, size))
            for axis, size in zip(self.axes, self.array.shape, strict=True)
            if not isinstance(axis, int)
        )

    @property
    def read_bytes(self) -> int:
        """Decoded bytes of every chunk that the cut touches."""
        chunks = 1
        for axis, size, chunk in zip(self.axes, self.array.shape, self.array.chunks, strict=True):
            chunks *= len({index // chunk for index in entries_of(axis, size)}) * chunk
        return chunks * self.array.dtype.itemsize

    @property
    def reducing_bytes(self) -> int:
        """Bytes that a reduction of the cut takes: its entries as float64, and NumPy's copy without NaN."""
        return 2 * math.prod(self.shape) * np.dtype(np.float64).itemsize

    @property
    def result_bytes(self) -> int:
        """Decoded bytes of the cut."""
        return math.prod(self.shape) * self.array.dtype.itemsize


def parse_cut(array: CommittedArray, selectors: Mapping[str, str]) -> Cut:
    """Return the cut that selectors by axis name ask for; axes not named come whole.

    Raises
    ------
    ProblemError
        invalid-request for an unknown axis or a malformed selector, not-committed past the committed shape.
    """
    unknown = selectors.keys() - set(array.dims)
    if unknown:
        raise refusal(
            ProblemCode.INVALID_REQUEST,
            f"{array.name} has the axes {', '.join(array.dims)}, not {', '.join(sorted(unknown))}",
        )
    axes = tuple(
        parse_selector(selectors[dim], dim, size, grows=index == 0) if dim in selectors else slice(0, size, 1)
        for index, (dim, size) in enumerate(zip(array.dims, array.shape, strict=True))
    )
    return Cut(array, axes)


def parse_selector(text: str, dim: str, size: int, *, grows: bool = True) -> Axis:
    """Return what one selector means on an axis of `size` committed entries.

    Parameters
    ----------
    grows
        Whether it is the array's first axis, the only one that may grow.
    """
    if ":" in text:
        parts = text.split(":")
        if len(parts) > 3 or not all(part == "" or INTEGER.fullmatch(part) for part in parts):  # noqa: PLR2004 - a:b:c
            raise refusal(ProblemCode.INVALID_REQUEST, f"{dim}: expected a:b or a:b:c, got {text!r}")
        start, stop, step = [int(part) if part else None for part in (*parts, "")[:3]]
        if step is not None and step < 1:
            raise refusal(ProblemCode.INVALID_REQUEST, f"{dim}: expected a step of at least 1, got {step}")
        for bound in (start, stop):
            if bound is not None and bound > size:
                raise _beyond(dim, bound - 1, size, grows=grows)
        first, last, stride = slice(start, stop, step).indices(size)
        return slice(first, max(first, last), stride)
    entries = text.split(",")
    if not all(INTEGER.fullmatch(entry) for entry in entries):
        raise refusal(ProblemCode.INVALID_REQUEST, f"{dim}: expected 7, a:b, a:b:c or 1,4,9, got {text!r}")
    numbers = [int(entry) for entry in entries]
    for number in numbers:
        if not -size <= number < size:
            raise _beyond(dim, number, size, grows=grows)
    positive = [number % size for number in numbers]
    return positive[0] if "," not in text else positive


def reduce_over(
    values: Shaped[np.ndarray, ...], dims: tuple[str, ...], how: str, over: tuple[str, ...]
) -> tuple[Shaped[np.ndarray, ...], tuple[str, ...]]:
    """Return a NaN-aware reduction over named axes, float32, and the axes that remain; all-NaN stays NaN."""
    if how not in {*REDUCTIONS, "count"}:
        raise refusal(ProblemCode.INVALID_REQUEST, f"reduce: expected {', '.join(REDUCTIONS)} or count, got {how!r}")
    absent = [dim for dim in over if dim not in dims]
    if absent or not over or len(set(over)) != len(over):
        raise refusal(ProblemCode.INVALID_REQUEST, f"over: expected some of {', '.join(dims)}, got {', '.join(over)}")
    axes = tuple(dims.index(dim) for dim in over)
    remaining = tuple(size for dim, size in zip(dims, values.shape, strict=True) if dim not in over)
    wide = values.astype(np.float64)
    if how == "count":
        reduced: Any = np.isfinite(wide).sum(axis=axes)
    elif not all(values.shape[axis] for axis in axes):
        reduced = np.full(remaining, np.nan)  # nothing was named, so nothing is known
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an all-NaN slice stays NaN, which is what is meant
            reduced = REDUCTIONS[how](wide, axis=axes)
        if how == "sum":
            reduced = np.where(np.isnan(wide).all(axis=axes), np.nan, reduced)
    return np.asarray(reduced, dtype=np.float32), tuple(dim for dim in dims if dim not in over)


def as_npy(values: Shaped[np.ndarray, ...]) -> bytes:
    """Return NumPy's own format, version 1.0."""
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(values, order="C"), version=(1, 0), allow_pickle=False)
    return out.getvalue()


def _beyond(dim: str, index: int, size: int, *, grows: bool) -> Exception:
    code = ProblemCode.NOT_COMMITTED if grows and dim in GROWING_DIMS else ProblemCode.INVALID_REQUEST
    return refusal(code, f"{dim} {index} lies beyond the {size} there are", limit=size, requested=index)


def entries_of(axis: Axis, size: int) -> range | list[int]:
    """Return the entries that a selector takes of an axis."""
    if isinstance(axis, int):
        return [axis]
    return range(*axis.indices(size)) if isinstance(axis, slice) else axis
