"""An array of a capture that fetches only what is indexed, exactly or at drawing precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float16, Float32, Int, Shaped, UInt8

from attnscope.errors import RequestRefusedError, TooLargeError
from attnscope.fetching.remote import KEPT_BYTES, Slicer
from attnscope.fetching.selection import Selection, select
from attnscope.notebook import described, table
from attnscope_storage.errors import ChunkDamagedError, ChunkLostError, NotCommittedError
from attnscope_storage.reading.reader import CommittedArray
from attnscope_storage.reading.selection import GROWING_DIMS
from attnscope_storage.reductions import factor, pooled
from attnscope_storage.shades import as_u8, from_u8

VIEW_BYTES = 8 * 2**20
"""Selections up to this size come over the slice route; larger ones as whole chunks, unless they are sparse."""

SPARSE = 4
"""A selection is sparse if its chunks decode to so many times its bytes: it comes in parts over the slice route."""

LISTED = 400
"""Entries that one request lists, at most, so that its address stays short."""

SELECTION_BYTES = 8 * 2**30
"""Bytes of one selection, at most."""


class LazyArray:
    """An array of a capture; indexing fetches."""

    def __init__(self, array: CommittedArray, slicer: Slicer | None) -> None:
        self._array = array
        self._slicer = slicer
        self.name, self.dims, self.shape, self.dtype = array.name, array.dims, array.shape, array.dtype
        self.attributes = array.attributes
        self._whole: Shaped[np.ndarray, ...] | None = None

    def __repr__(self) -> str:
        axes = ", ".join(f"{dim} {size}" for dim, size in zip(self.dims, self.shape, strict=True))
        return f"<{self.name} {self.dtype} [{axes}]>"

    def _repr_html_(self) -> str:
        return table(self.name, described({self.name: self}) | {"values": "fetched by an index, as in [0]"})

    def __reduce__(self) -> tuple[type[LazyArray], tuple[CommittedArray, Slicer | None]]:
        """Pickle nothing that was fetched."""
        return type(self), (self._array, self._slicer)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Shaped[np.ndarray, ...]:  # noqa: ANN401 - any index expression
        """Return a selection: integers, slices, lists of entries.

        Raises
        ------
        NotCommittedError
            A step that no commit holds yet.
        """
        self._refuse_uncommitted(key)
        selection = select(key, self.dims, self.shape)
        return self._fetch(selection)[selection.reversal]

    def _fetch(self, selection: Selection) -> Shaped[np.ndarray, ...]:
        if selection.size == 0:
            return np.empty(selection.shape, self.dtype)
        size = math.prod(selection.shape) * self.dtype.itemsize
        if size > SELECTION_BYTES:  # refused before it is allocated: the shape is what a service says
            raise RequestRefusedError(
                f"{self.name}: {size:.3g} bytes selected, {SELECTION_BYTES:.3g} may be held at once; select fewer steps"
            )
        if self._slicer is not None and size <= VIEW_BYTES:
            return self._slicer.fetch(self.name, self.dims, selection, self.dtype)
        if self._slicer is not None and size * SPARSE <= self._chunks_bytes(selection):
            first = selection.picks[0]
            length = 1 if isinstance(first, int) else max(1, len(first) * VIEW_BYTES // size)
            parts = [self._in_parts(part) for _, part in selection.split(0, length)]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        whole = self._kept_whole()
        if whole is not None:
            return selection.of(whole)
        picks = (
            slice(p.start, p.stop, p.step) if isinstance(p, range) else list(p) if isinstance(p, tuple) else p
            for p in selection.picks
        )
        return np.asarray(self._array[tuple(picks)])

    def _chunks_bytes(self, selection: Selection) -> int:
        """Return the decoded bytes of every chunk that a selection touches."""
        touched = self.dtype.itemsize
        for pick, chunk in zip(selection.picks, self._array.chunks, strict=True):
            touched *= chunk * (1 if isinstance(pick, int) else len({entry // chunk for entry in pick}))
        return touched

    def _kept_whole(self) -> Shaped[np.ndarray, ...] | None:
        """Return all of a small local array, which is read once; None where a part of it cannot be read."""
        if self._whole is None and self._slicer is None and self._array.nbytes <= KEPT_BYTES:
            try:
                self._whole = np.asarray(self._array[tuple(slice(None) for _ in self.shape)])
            except (ChunkDamagedError, ChunkLostError):
                return None  # the part that is asked for may be whole
        return self._whole

    def _refuse_uncommitted(self, key: Any) -> None:  # noqa: ANN401 - any index expression
        first = key[0] if isinstance(key, tuple) and key else key
        if self.dims[:1] and self.dims[0] in GROWING_DIMS:
            reach = first.stop - 1 if isinstance(first, slice) and isinstance(first.stop, int) else first
            if isinstance(reach, int | np.integer) and reach >= self.shape[0]:
                raise NotCommittedError(f"{self.name}: {self.dims[0]} {reach} is beyond the {self.shape[0]} committed")

    def view(self, key: Any, *, over: tuple[str, ...] = ()) -> Float32[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return weights in 0..1 at drawing precision: one byte a value travels, the square root rounded to 1/254.

        Parameters
        ----------
        over
            Axes to average over before rounding; the averaging is done where the data lies.
        """
        return from_u8(self.shades(key, over=over))

    def shades(self, key: Any, *, over: tuple[str, ...] = ()) -> UInt8[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return what `view` travels as, `as_u8` of the weights: a colour scale's places, 255 where absent."""
        shades: UInt8[np.ndarray, ...] = self._reduced(self._viewed(key), over, "u8")
        return shades

    def mean(self, key: Any, over: tuple[str, ...]) -> Float32[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return means over axes, NaN left out; the averaging is done where the data lies."""
        means: Float32[np.ndarray, ...] = self._reduced(self._viewed(key), over, "npy")
        return means

    def halves(self, key: Any, over: tuple[str, ...]) -> Float16[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return `mean` in float16, as weights are stored: half of the bytes, eleven bits of each mean."""
        means: Float16[np.ndarray, ...] = self._reduced(self._viewed(key), over, "f16")
        return means

    def pooled_shades(self, key: Any, size: int) -> UInt8[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return maps averaged over at most `size` × `size` cells, as bytes; the pooling is done where the data lies.

        Parameters
        ----------
        key
            A selection whose last two axes are query and slot.
        size
            Queries and keys that are left, 256 at most.
        """
        selection = self._viewed(key)
        if self._slicer is None or selection.size == 0:
            return as_u8(pooled(self._fetch(selection), size, "mean"))
        step = factor(max(selection.shape[-2:]), size)
        shape = (*selection.shape[:-2], *(-(-extent // step) for extent in selection.shape[-2:]))
        asked: dict[str, str | int] = {"pool": size, "pool_by": "mean", "format": "u8"}
        expected = (shape, np.dtype(np.uint8))
        found: UInt8[np.ndarray, ...] = self._slicer.shaped(self.name, self.dims, selection, asked, expected)
        return found

    def over_steps(self, key: Any, asked: Mapping[str, str | int], cell: tuple[int, ...]) -> Float[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return a reduction of the first axis that the service computes; see `attnscope.reading.reduced`.

        Parameters
        ----------
        asked
            Parameters of the slice route, ``reduce`` among them.
        cell
            Shape of one environment's result.
        """
        assert self._slicer is not None  # noqa: S101 - a downloaded capture is reduced by the caller
        selection = self._viewed(key)
        dtype = np.dtype(np.float64 if asked["reduce"] == "step-mean" else np.float32)
        try:
            expected = ((selection.shape[1], *cell), dtype)
            return self._slicer.shaped(self.name, self.dims, selection, asked, expected)
        except TooLargeError:
            parts = selection.in_two(axis=1)
            if parts is None:
                raise
            picked = [tuple(list(p) if isinstance(p, range | tuple) else p for p in part.picks) for part in parts]
            return np.concatenate([self.over_steps(one, asked, cell) for one in picked])

    @property
    def remote(self) -> bool:
        """True where the array lies with a service, which reduces it there."""
        return self._slicer is not None

    def _viewed(self, key: Any) -> Selection:  # noqa: ANN401 - any index expression
        self._refuse_uncommitted(key)
        selection = select(key, self.dims, self.shape)
        if selection.flips:
            raise IndexError("a view has no negative steps")
        return selection

    def at(self, entries: Int[np.ndarray, " entry"], *rest: Any) -> Shaped[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return scattered entries of the first axis, and of no others: never whole chunks for a few rows."""
        if self._slicer is None:
            return self[(list(map(int, entries)), *rest)]
        parts = [
            self._in_parts(select((part, *rest), self.dims, self.shape))
            for part in np.array_split(entries, max(1, -(-len(entries) // LISTED)))
        ]
        return np.concatenate(parts)

    def _in_parts(self, selection: Selection) -> Shaped[np.ndarray, ...]:
        """Return a selection by slices; one that the service finds too large is cut in two along the first axis."""
        assert self._slicer is not None  # noqa: S101 - callers looked
        try:
            return self._slicer.fetch(self.name, self.dims, selection, self.dtype)
        except TooLargeError:
            halves = selection.in_two()
            if halves is None:
                raise
            return np.concatenate([self._in_parts(half) for half in halves])

    def _reduced(self, selection: Selection, over: tuple[str, ...], form: str) -> Shaped[np.ndarray, ...]:
        """Return means over axes as float32 or float16, or rounded to bytes."""
        dtype = np.dtype({"u8": np.uint8, "f16": np.float16}.get(form, np.float32))
        if self._slicer is None or selection.size == 0:
            values = np.asarray(self._fetch(selection))
            values = mean_over(values, [self.dims[axis] for axis in selection.kept_axes], over) if over else values
            return as_u8(values) if form == "u8" else values.astype(dtype)
        if form != "u8" and not over:
            raise ValueError("a float view without a reduction is an index expression")
        left = [axis for axis in selection.kept_axes if self.dims[axis] not in over]
        shape = tuple(len(pick) for pick in (selection.picks[axis] for axis in left) if not isinstance(pick, int))
        asked: dict[str, str | int] = {"format": form}
        if over:
            asked |= {"reduce": "mean", "over": ",".join(over)}
        try:
            return self._slicer.shaped(self.name, self.dims, selection, asked, (shape, dtype))
        except TooLargeError:
            halves = None if self.dims[0] in over else selection.in_two()
            if halves is None:
                raise
            return np.concatenate([self._reduced(half, over, form) for half in halves])


def mean_over(values: Shaped[np.ndarray, ...], dims: list[str], over: tuple[str, ...]) -> Float32[np.ndarray, ...]:
    """Return means as the slice route takes them: in float64, NaN left out, all-NaN stays NaN."""
    axes = tuple(dims.index(dim) for dim in over)
    wide = values.astype(np.float64)
    there = np.isfinite(wide).sum(axis=axes)
    total = np.nansum(wide, axis=axes)
    means = np.divide(total, there, out=np.full(np.shape(total), np.nan), where=there > 0)
    return np.asarray(means, np.float32)
