"""An array of a capture that fetches only what is indexed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope.remote import Slicer
from attnscope.selection import Selection, select
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.reader import CommittedArray

VIEW_BYTES = 8 * 2**20
"""Selections up to this size come over the slice route; larger ones as whole chunks."""

GROWING = frozenset({"step", "row_step", "sample"})
"""Axes that grow with every commit."""


class LazyArray:
    """An array of a capture; indexing fetches."""

    def __init__(self, array: CommittedArray, slicer: Slicer | None) -> None:
        self._array = array
        self._slicer = slicer
        self.name, self.dims, self.shape, self.dtype = array.name, array.dims, array.shape, array.dtype

    def __repr__(self) -> str:
        axes = ", ".join(f"{dim} {size}" for dim, size in zip(self.dims, self.shape, strict=True))
        return f"<{self.name} {self.dtype} [{axes}]>"

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
        if self._slicer is not None and size <= VIEW_BYTES:
            return self._slicer.fetch(self.name, self.dims, selection, self.dtype)
        picks = (
            slice(p.start, p.stop, p.step) if isinstance(p, range) else list(p) if isinstance(p, tuple) else p
            for p in selection.picks
        )
        return np.asarray(self._array[tuple(picks)])

    def _refuse_uncommitted(self, key: Any) -> None:  # noqa: ANN401 - any index expression
        first = key[0] if isinstance(key, tuple) and key else key
        if self.dims[:1] and self.dims[0] in GROWING:
            reach = first.stop - 1 if isinstance(first, slice) and isinstance(first.stop, int) else first
            if isinstance(reach, int | np.integer) and reach >= self.shape[0]:
                raise NotCommittedError(f"{self.name}: {self.dims[0]} {reach} is beyond the {self.shape[0]} committed")
