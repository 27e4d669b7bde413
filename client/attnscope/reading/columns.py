"""The overview of one environment: at most 512 columns, read in a few kilobytes however long the capture is.

A long capture stores its overview, column by column, as its steps are committed. Of a short one, and of one that an
older version wrote, the same columns are made here from its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, Int64, Shaped

from attnscope.capture import Capture
from attnscope.fetching.lazy import LazyArray
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.kinds.capture.overview import CELLS, COLUMNS, STATISTICS, mean_cells
from attnscope_storage.layout.store_schema import Entries
from attnscope_storage.reductions import factor


@dataclass(frozen=True, eq=False)
class Overview:
    """Columns of adjacent steps of one environment; only steps of whole columns are in it."""

    every: int
    """Steps of a column; the last one of a finished capture may have fewer."""
    end: int
    """The first step that no column holds yet."""
    step: Int64[np.ndarray, " column"]
    """First step of each column."""
    length: Int64[np.ndarray, " column"]
    """Tokens of the first step's context."""
    start: Int64[np.ndarray, " column"]
    """Transition index of its slot 0."""
    episode: Int64[np.ndarray, " column"] | None
    """Episode of the first step; None where episodes were not captured."""
    reward: Float32[np.ndarray, " column"] | None
    """Sum of the rewards of a column's steps; None where rewards were not captured."""
    ended: Int64[np.ndarray, " column"] | None
    """Episodes that ended in a column; None where that was not captured."""
    statistics: Mapping[str, Float32[np.ndarray, " column"]]
    """Means over steps, layers and heads: ``entropy`` in nats, ``max``, ``effective``, ``sink``, ``self``."""
    rows: Float16[np.ndarray, "column cell"] | None
    """The first step's row, averaged over layers and heads and over the slots of a cell; None without such rows."""
    slots: int
    """Slots of a cell."""


def overview(capture: Capture, place: int) -> Overview:
    """Return the overview of a stored environment.

    Parameters
    ----------
    place
        Place among the stored environments.

    Examples
    --------
    >>> overview(capture, 0).step[:3]
    array([0, 1, 2])
    """
    if "overview/step" not in capture.names():
        return _made(capture, place)
    env, names = capture.row_env(place), capture.names()
    step = np.asarray(capture["overview/step"][:], np.int64)
    every = _count(capture["overview/step"], "steps_per_column")
    exact = capture.exact_place(place)
    rows = capture["overview/rows"] if "overview/rows" in names and exact is not None else None

    def column(name: str) -> Shaped[np.ndarray, " column"] | None:
        return capture[f"overview/{name}"][: len(step), env] if f"overview/{name}" in names else None

    return Overview(
        every=every,
        end=min(len(step) * every, capture.steps_committed),
        step=step,
        length=np.asarray(column("length"), np.int64),
        start=np.asarray(column("start"), np.int64),
        episode=_counts(column("episode")),
        reward=column("reward"),
        ended=_counts(column("ended")),
        statistics={name: values for name in STATISTICS if (values := column(name)) is not None},
        rows=None if rows is None else rows[: len(step), exact],
        slots=1 if rows is None else _count(rows, "entries_per_cell"),
    )


def stored_every(capture: Capture) -> tuple[int, int] | None:
    """Return the steps of a stored column, and the slots of a cell of its row; None where no such rows are stored."""
    if not {"overview/step", "overview/rows"} <= set(capture.names()):
        return None
    return _count(capture["overview/step"], "steps_per_column"), _count(capture["overview/rows"], "entries_per_cell")


def _made(capture: Capture, place: int) -> Overview:
    """Return the overview of a capture that stores none, from all of its steps."""
    committed, total = capture.steps_committed, max(capture.resolved.steps, capture.steps_committed)
    row_every = _row_every(capture)
    every = -(-factor(total, COLUMNS) // row_every) * row_every
    end = committed if committed == total else committed // every * every
    step = np.arange(0, end, every, dtype=np.int64)
    env, names = capture.row_env(place), capture.names()

    def steps(name: str) -> Entries | None:
        return capture[name][:end, env] if name in names and end else None

    def over(name: str) -> Float32[np.ndarray, " column"] | None:
        values = steps(name)
        if values is None:
            return None
        flat = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
        sums = np.add.reduceat(flat, step)
        return np.asarray(sums if name == "rollout/reward" else sums / np.diff(np.append(step, end)), np.float32)

    def first(name: str) -> Int64[np.ndarray, " column"] | None:
        values = steps(name)
        return None if values is None else np.asarray(values[step], np.int64)

    flags = [values > 0 for name in ("terminated", "truncated") if (values := steps(f"rollout/{name}")) is not None]
    none = np.zeros(0, np.int64)
    length, start = first("context/length"), first("context/start")
    rows = None
    if capture.row_form != "none" and len(step):
        held = capture.rows.at(step // row_every, [place])
        rows = mean_cells(held)[:, 0]
    found = {name: over(f"stats/{name}") for name in STATISTICS}
    return Overview(
        every=every,
        end=end,
        step=step,
        length=none if length is None else length,
        start=none if start is None else start,
        episode=first("rollout/episode"),
        reward=over("rollout/reward"),
        ended=np.asarray(np.add.reduceat(np.any(flags, axis=0), step), np.int64) if flags else None,
        statistics={name: values for name, values in found.items() if values is not None},
        rows=rows,
        slots=factor(capture.rows.shape[-1], CELLS) if capture.row_form != "none" else 1,
    )


def _row_every(capture: Capture) -> int:
    """Return the steps from one stored row to the next."""
    if "attention/row_step" not in capture.names():
        return 1
    stored = capture["attention/row_step"][: min(2, len(capture["attention/row_step"]))]
    return int(stored[1] - stored[0]) if len(stored) > 1 else max(1, capture.steps_committed)


def _count(array: LazyArray, name: str) -> int:
    """Return an attribute that counts something.

    Raises
    ------
    ChunkDamagedError
        It is none, as only a damaged capture says.
    """
    value = array.attributes.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ChunkDamagedError(f"{array.name}: expected {name} to be a whole number from 1 on, got {value!r:.40}")
    return value


def _counts(values: Shaped[np.ndarray, " column"] | None) -> Int64[np.ndarray, " column"] | None:
    return None if values is None else np.asarray(values, np.int64)
