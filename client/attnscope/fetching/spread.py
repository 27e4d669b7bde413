"""Decision rows of a capture that stores age bins: each bin's mass spread evenly over the tokens in it.

They have the interface of the stored rows, so that every reading takes them. The newest 32 tokens are exact. Older
weights are means over their bin, so what is concentrated there looks flatter than it was.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from jaxtyping import Float16, Float32, Float64, Int, Int64, UInt8

from attnscope.fetching.lazy import LazyArray, mean_over
from attnscope.fetching.selection import Selection, select
from attnscope_storage.ages import spread
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.layout.store_schema import Entries
from attnscope_storage.shades import as_u8, from_u8

MOST_SLOTS: Final = 2**20
"""Tokens of a context that rows are made of, at most; more are only said by a damaged capture."""


class SpreadRows:
    """Rows [step, bin_env, layer, head, slot] made of age bins; indexing fetches bins.

    Parameters
    ----------
    bins
        The stored bins.
    edges
        First age of every bin, and the end of the last one.
    length
        Context length of every committed step [step, env].
    step, env
        Environment step of each entry, and entry of the env axis of each place.
    query_first
        True where the query stands in slot 0.
    """

    name = "attention/rows"
    remote = False
    """The rows are made here, so nothing can reduce them elsewhere."""

    def __init__(
        self,
        bins: LazyArray,
        edges: Int64[np.ndarray, " edge"],
        length: Int[np.ndarray, "step env"],
        places: tuple[Int64[np.ndarray, " entry"], Int64[np.ndarray, " place"]],
        *,
        query_first: bool,
    ) -> None:
        self._bins, self._edges, self._length = bins, edges, length
        self._step, self._env = places
        self._query_first = query_first
        self.dims = (*bins.dims[:-1], "slot")
        self.shape = (*bins.shape[:-1], int(edges[-1]))
        self.dtype = np.dtype(np.float16)
        self.attributes = bins.attributes

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<rows of {self._bins!r}>"

    def __getitem__(self, key: Any) -> Entries:  # noqa: ANN401 - any index expression
        """Return a selection: integers, slices, lists of entries."""
        selection = select(key, self.dims, self.shape)
        return self._made(selection)[selection.reversal]

    def _made(self, selection: Selection) -> Entries:
        picks = [[pick] if isinstance(pick, int) else list(pick) for pick in selection.picks]
        entries, places, layers, heads, slots = picks
        bins = self._bins[(*(list(pick) for pick in (entries, places, layers, heads)), slice(None))]
        length = self._length[self._step[entries]][:, self._env[places]][:, :, None, None]
        aged = spread(bins, self._edges, np.broadcast_to(length, bins.shape[:-1]))
        whole = by_slot(aged, np.broadcast_to(length, bins.shape[:-1]), query_first=self._query_first)[..., slots]
        kept = tuple(0 if isinstance(pick, int) else slice(None) for pick in selection.picks)
        return np.asarray(whole, np.float16)[kept]

    def at(self, entries: Int[np.ndarray, " entry"], *rest: Any) -> Entries:  # noqa: ANN401 - as above
        """Return scattered entries of the first axis."""
        return self[(list(map(int, entries)), *rest)]

    def _over(self, key: Any, over: tuple[str, ...]) -> Float32[np.ndarray, ...]:  # noqa: ANN401 - as above
        selection = select(key, self.dims, self.shape)
        values = self._made(selection)
        if not over:
            return np.asarray(values, np.float32)
        return mean_over(values, [self.dims[axis] for axis in selection.kept_axes], over)

    def mean(self, key: Any, over: tuple[str, ...]) -> Float32[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return means over axes, NaN left out."""
        return self._over(key, over)

    def halves(self, key: Any, over: tuple[str, ...]) -> Float16[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return `mean` in float16."""
        return self._over(key, over).astype(np.float16)

    def shades(self, key: Any, *, over: tuple[str, ...] = ()) -> UInt8[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return `as_u8` of the weights: a colour scale's places, 255 where absent."""
        return as_u8(self._over(key, over))

    def view(self, key: Any, *, over: tuple[str, ...] = ()) -> Float32[np.ndarray, ...]:  # noqa: ANN401 - as above
        """Return weights at drawing precision, as those of stored rows come."""
        return from_u8(self.shades(key, over=over))


def refuse_damaged(
    shape: tuple[int, ...], edges: Int64[np.ndarray, " edge"], envs: Int64[np.ndarray, " place"], most: int
) -> None:
    """Refuse bins that no row can be made of, before anything is allocated for them.

    Parameters
    ----------
    shape
        Of the bins.
    most
        Length of the env axis.

    Raises
    ------
    ChunkDamagedError
        The edges do not rise from 0, are not one more than the bins or too far away, or an environment is not there.
    """
    rises = len(edges) == shape[-1] + 1 and edges[0] == 0 and bool((np.diff(edges) > 0).all())
    if not rises or edges[-1] > MOST_SLOTS:
        raise ChunkDamagedError("attention/bin_edge: expected ages that rise from 0, one more than there are bins")
    if len(envs) != shape[1] or envs.min(initial=0) < 0 or envs.max(initial=0) >= most:
        raise ChunkDamagedError(
            f"attention/bin_env: expected {shape[1]} of {most} environments, got {envs.tolist()[:8]}"
        )


def by_slot(
    aged: Float64[np.ndarray, "*row age"], length: Int[np.ndarray, "*row"], *, query_first: bool
) -> Float64[np.ndarray, "*row slot"]:
    """Return weights by slot of weights by age; NaN past the context."""
    slot, whole = np.arange(aged.shape[-1]), np.asarray(length)[..., None]
    age = np.where(slot == 0, 0, whole - slot) if query_first else whole - 1 - slot
    inside = slot < whole
    return np.where(inside, np.take_along_axis(aged, np.where(inside, age, 0), axis=-1), np.nan)
