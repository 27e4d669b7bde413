"""The overview of a long capture: at most `COLUMNS` columns an environment, so that a page opens without every step.

A column stands for `stride` adjacent steps and is stored once all of them are committed. It holds the first step's
context, episode and mean row, sums of rewards and of ended episodes, and means of the statistics over layers and heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from jaxtyping import Float16, Float32, Shaped, UInt8

from attnscope_storage.layout.store_schema import ArraySpec, Entries, array_spec
from attnscope_storage.reductions import factor
from attnscope_storage.shades import ABSENT, LARGEST

COLUMNS: Final = 512
"""Columns of an environment, at most; a capture of so few steps has no overview."""

CELLS: Final = 256
"""Cells of a column's row, at most; a cell of several slots holds their mean."""

CHUNK_BYTES: Final = 512 * 1024
"""Decoded bytes of a chunk of rows, at most; each commit writes the last one again."""

STATISTICS: Final = ("entropy", "max", "effective", "sink", "self")
"""Statistics whose means are kept."""

SOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "overview/step": "context/length",
        "overview/length": "context/length",
        "overview/start": "context/start",
        "overview/episode": "rollout/episode",
        "overview/reward": "rollout/reward",
        "overview/ended": "rollout/truncated",
        **{f"overview/{name}": f"stats/{name}" for name in STATISTICS},
        "overview/rows": "attention/rows",
        "overview/bins": "attention/bins",
    }
)
"""By array of the overview, the array that it follows from."""

ROWS: Final = ("overview/rows", "overview/bins")
FIRST: Final = ("overview/length", "overview/start", "overview/episode")
"""Arrays that hold a column's first step."""


class Sizes(Protocol):
    """The sizes of a capture that its overview follows from."""

    @property
    def steps(self) -> int:
        """Steps of the finished capture."""
        ...

    @property
    def envs(self) -> int:
        """Length of the env axis."""
        ...

    @property
    def row_every(self) -> int:
        """Steps from one stored row to the next."""
        ...


def overview_stride(sizes: Sizes) -> int | None:
    """Return the steps of a column, a multiple of those from one stored row to the next; None without an overview."""
    if sizes.steps <= COLUMNS:
        return None
    return -(-factor(sizes.steps, COLUMNS) // sizes.row_every) * sizes.row_every


def overview_arrays(sizes: Sizes, arrays: Mapping[str, ArraySpec]) -> Iterator[ArraySpec]:
    """Yield the arrays of the overview of a capture that has these arrays."""
    stride = overview_stride(sizes)
    if stride is None:
        return
    column = ("column", -(-sizes.steps // stride))
    yield array_spec("overview/step", "int32", (column,), growth="column", steps_per_column=stride)
    env, few = ("env", sizes.envs), max(1, min(column[1], CHUNK_BYTES // (4 * sizes.envs)))
    for name in (*FIRST, "overview/ended"):
        yield array_spec(name, "int32", (column, env), growth="column", chunk=(few,))
    for name in ("overview/reward", *(f"overview/{name}" for name in STATISTICS)):
        yield array_spec(name, "float32", (column, env), growth="column", chunk=(few,))
    for name in ROWS:
        source = arrays.get(SOURCES[name])
        if source is not None:
            cells = -(-source.shape[-1] // factor(source.shape[-1], CELLS))
            rows = source.shape[1]
            few = max(1, min(column[1], CHUNK_BYTES // (2 * cells * rows)))
            axes = (column, (source.dims[1], rows), ("cell", cells))
            yield array_spec(
                name,
                "float16",
                axes,
                growth="column",
                chunk=(few,),
                long_name="mean over layers and heads, at the column's first step",
                entries_per_cell=factor(source.shape[-1], CELLS),
            )


@dataclass
class Overview:
    """Computes the arrays of an overview in the writer's thread, column by column."""

    sizes: Sizes
    names: frozenset[str]
    """The arrays of the overview that the capture has."""

    def __post_init__(self) -> None:
        stride = overview_stride(self.sizes)
        assert stride is not None  # noqa: S101 - the schema has an overview
        self._stride = stride
        self._held: dict[str, Entries] = {}

    def resume(self, committed: int, read: Callable[[str, int, int], Entries]) -> None:
        """Take in the committed steps of the column that is not whole."""
        first = committed // self._stride * self._stride
        if committed in {first, self.sizes.steps}:
            return
        entry = first // self.sizes.row_every
        arrays = {
            source: read(source, entry, entry + 1) if name in ROWS else read(source, first, committed)
            for name in self.names
            for source in [SOURCES[name]]
        }
        if "overview/ended" in self.names:
            arrays["rollout/terminated"] = read("rollout/terminated", first, committed)
        self._held = self._by_step(arrays, first, committed - first)

    def derive(self, arrays: Mapping[str, Entries], first: int, steps: int) -> Mapping[str, Entries]:
        """Return the columns that become whole with these steps, by array."""
        stride, last = self._stride, first + steps
        begin = first // stride * stride
        whole = (-(-last // stride) if last == self.sizes.steps else last // stride) - begin // stride
        new = self._by_step(arrays, first, steps)
        joined = {name: np.concatenate([self._held[name], new[name]]) if self._held else new[name] for name in new}
        found: dict[str, Entries] = {"overview/step": np.arange(begin, begin + whole * stride, stride, dtype=np.int32)}
        for name, values in joined.items():
            if name in ROWS:
                found[name] = values[:whole]
            elif name in FIRST:
                found[name] = values[: whole * stride : stride]
            else:
                parts = [values[at : at + stride] for at in range(0, whole * stride, stride)]
                over = np.sum if name in {"overview/reward", "overview/ended"} else np.mean
                found[name] = np.stack([over(part, axis=0) for part in parts]) if parts else values[:0]
        self._held = {
            name: values[whole:] if name in ROWS else values[whole * stride :] for name, values in joined.items()
        }
        return found

    def _by_step(self, arrays: Mapping[str, Entries], first: int, steps: int) -> dict[str, Entries]:
        """Return each step's part of a column; of rows, those of the first steps of columns."""
        found: dict[str, Entries] = {}
        for name in self.names - {"overview/step"}:
            source = arrays[SOURCES[name]]
            if name in ROWS:
                begins = range(-(-first // self._stride) * self._stride, first + steps, self._stride)
                entry = -(-first // self.sizes.row_every)
                rows = [source[step // self.sizes.row_every - entry][None] for step in begins]
                found[name] = np.concatenate([mean_cells(source[:0]), *map(mean_cells, rows)])
            elif name == "overview/ended":
                found[name] = ((source[:steps] > 0) | (arrays["rollout/terminated"][:steps] > 0)).astype(np.int32)
            elif name in FIRST:
                found[name] = source[:steps].copy()
            else:
                cells = tuple(range(2, source.ndim))
                found[name] = source[:steps].mean(axis=cells, dtype=np.float64)
        return found


def mean_cells(rows: Shaped[np.ndarray, "entry env layer head slot"]) -> Float16[np.ndarray, "entry env cell"]:
    """Return rows averaged over layers and heads, and over the slots of each cell; NaN where no slot is reached."""
    mean = _mean_of_shades(rows) if rows.dtype == np.uint8 else _mean_of_halves(rows)
    unit = factor(mean.shape[-1], CELLS)
    if unit > 1:
        wide = np.pad(mean, [(0, 0), (0, 0), (0, -mean.shape[-1] % unit)], constant_values=np.nan)
        wide = wide.reshape(*mean.shape[:2], wide.shape[-1] // unit, unit)
        there = np.isfinite(wide).sum(axis=-1)
        total = np.where(np.isfinite(wide), wide, 0).sum(axis=-1)
        mean = np.divide(total, there, out=np.full(there.shape, np.nan, np.float32), where=there > 0)
    return np.asarray(mean, np.float16)


def _mean_of_halves(rows: Float16[np.ndarray, "entry env layer head slot"]) -> Float32[np.ndarray, "entry env slot"]:
    """Return the mean weight over layers and heads; NaN where a weight is absent.

    NumPy widens float16 one number at a time. The bits of a weight, moved to those of a float32, are that weight times
    2⁻¹¹², exactly; that takes a fifth of the time. Absent weights come out far above 1.
    """
    found = np.empty((*rows.shape[:2], rows.shape[-1]), np.float32)
    for place in np.ndindex(*rows.shape[:2]):
        bits = rows[place].view(np.uint16).astype(np.uint32)
        bits &= 0x7FFF
        bits <<= 13
        wide = bits.view(np.float32)
        wide *= np.float32(2.0**112)
        found[place] = wide.reshape(-1, rows.shape[-1]).mean(axis=0)
    return np.where(found > 2, np.float32(np.nan), found)  # noqa: PLR2004 - no mean of weights is


def _mean_of_shades(rows: UInt8[np.ndarray, "entry env layer head slot"]) -> Float32[np.ndarray, "entry env slot"]:
    """Return the mean weight over layers and heads of rows that are stored as bytes."""
    wide = rows.astype(np.uint16)
    total = np.multiply(wide, wide, out=wide).sum(axis=(2, 3), dtype=np.uint64)
    mean = total / (LARGEST**2 * max(1, rows.shape[2] * rows.shape[3]))
    return np.where(rows[:, :, 0, 0] == ABSENT, np.nan, mean).astype(np.float32)
