"""Decision rows of a capture that stores age bins: each bin's mass spread evenly over the tokens in it.

They have the interface of the stored rows, so that every reading takes them. The newest 32 tokens are exact. Older
weights are means over their bin, so what is concentrated there looks flatter than it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float16, Float32, Float64, Int, Int64, UInt8

from attnscope.fetching.lazy import LazyArray, mean_over
from attnscope.fetching.selection import Selection, select
from attnscope.notebook import described, table
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
    exact
        The rows that are stored too, and for each place where they stand on their axis; None where it has none.
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
        exact: tuple[LazyArray | None, Sequence[int | None]],
        query_first: bool,
    ) -> None:
        self._whole, self._exact = exact
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

    def _repr_html_(self) -> str:
        return table(self.name, described({self.name: self}) | {"made of": repr(self._bins)})

    def __getitem__(self, key: Any) -> Entries:  # noqa: ANN401 - any index expression
        """Return a selection: integers, slices, lists of entries."""
        selection = select(key, self.dims, self.shape)
        return self._made(selection)[selection.reversal]

    def _made(self, selection: Selection) -> Entries:
        """Return a selection of rows, all axes of it kept and then cut."""
        entries, places, layers, heads, slots = self._picks(selection)
        rows = self._spread(self._bins[(entries, places, layers, heads, slice(None))], entries, places)[..., slots]
        for at, place in self._known(places):
            rows[:, at] = self._stored()[(entries, place, layers, heads, slots)]
        kept = tuple(0 if isinstance(pick, int) else slice(None) for pick in selection.picks)
        return np.asarray(rows, np.float16)[kept]

    def _means(self, selection: Selection) -> Float32[np.ndarray, ...]:
        """Return rows averaged over layers and heads, which is done where the bins lie."""
        entries, places, layers, heads, slots = self._picks(selection)
        over = self.dims[2:4]
        bins = self._bins.halves((entries, places, layers, heads, slice(None)), over)
        rows = self._spread(bins, entries, places)[..., slots].astype(np.float32)
        for at, place in self._known(places):
            rows[:, at] = self._stored().mean((entries, [place], layers, heads, slots), over)[:, 0]
        kept = tuple(0 if isinstance(selection.picks[axis], int) else slice(None) for axis in (0, 1, 4))
        return rows[kept]

    def _picks(self, selection: Selection) -> list[list[int]]:
        return [[pick] if isinstance(pick, int) else list(pick) for pick in selection.picks]

    def _known(self, places: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield, of the places whose rows are stored, which of the places it is and where its rows stand."""
        for at, place in enumerate(places):
            exact = self._exact[place]
            if exact is not None:
                yield at, exact

    def _stored(self) -> LazyArray:
        assert self._whole is not None  # noqa: S101 - a place is exact only where rows are stored
        return self._whole

    def _spread(
        self, bins: Float[np.ndarray, "entry place *head bin"], entries: list[int], places: list[int]
    ) -> Float64[np.ndarray, "entry place *head slot"]:
        """Return rows by slot whose bins hold the stored mass."""
        length = self._length[self._step[entries]][:, self._env[places]]
        length = np.broadcast_to(length.reshape(*length.shape, *[1] * (bins.ndim - 3)), bins.shape[:-1])
        return by_slot(spread(bins, self._edges, length), length, query_first=self._query_first)

    def at(self, entries: Int[np.ndarray, " entry"], *rest: Any) -> Entries:  # noqa: ANN401 - as above
        """Return scattered entries of the first axis."""
        return self[(list(map(int, entries)), *rest)]

    def _over(self, key: Any, over: tuple[str, ...]) -> Float32[np.ndarray, ...]:  # noqa: ANN401 - as above
        selection = select(key, self.dims, self.shape)
        if over == self.dims[2:4] and not any(isinstance(selection.picks[axis], int) for axis in (2, 3)):
            return self._means(selection)
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
