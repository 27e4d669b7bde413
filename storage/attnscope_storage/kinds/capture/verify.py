"""Re-reading a capture: every committed row, map and statistic what it promises to be.

Reads one chunk's worth of steps at a time, so its memory does not grow with the capture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Float16, Float64, Integer

from attnscope_storage.kinds.capture.agreement import disagreements
from attnscope_storage.kinds.capture.packed import check_compressions, check_packed
from attnscope_storage.kinds.capture.reduced import check_bins, check_curve
from attnscope_storage.kinds.capture.schema import row_sum_tolerance
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import LARGEST
from attnscope_storage.verify import VerificationReport

_STATISTICS: Final = ("entropy", "max", "effective", "sink", "self", "recency")


def check_capture(reader: CaptureReader, names: set[str], report: VerificationReport) -> None:
    """Check every row, map and statistic of the arrays `names`, whose chunks all decode.

    A row must sum to 1 within `row_sum_tolerance` of the capture's schema and be NaN exactly past its context length; a
    statistic must be that of its row within float16 rounding. Of rows that are stored as bytes, each weight is known
    within `U8_ERROR`, so their sums are held to that and the statistics are not compared. Age bins must sum to 1, and
    a retained-mass curve must rise to 1. Of contexts with latents, both leave the latents' mass out, and each slot must
    say which transitions it stands for.
    """
    if {"attention/rows", "attention/row_env", "context/length"} <= names:
        exact = reader.root.arrays["attention/rows"].dtype == "float16"
        with_statistics = exact and {"stats/window", *(f"stats/{name}" for name in _STATISTICS)} <= names
        for first, last in _row_chunks(reader):
            _check_rows(reader, first, last, report, with_statistics=with_statistics)
            report.advance()
    if {"context/transition_first", "context/transition_last", "context/summaries", "context/length"} <= names:
        check_packed(reader, report)
    check_compressions(reader, names, report)
    if {"attention/bins", "attention/bin_env", "attention/bin_edge", "context/length"} <= names:
        check_bins(reader, report)
    if {"attention/curve", "attention/curve_share"} <= names:
        check_curve(reader, report)
    if {"attention/maps", "attention/map_step", "attention/row_env", "context/length"} <= names:
        _check_maps(reader, report)


def _row_chunks(reader: CaptureReader) -> Iterator[tuple[int, int]]:
    rows = reader.root.arrays["attention/rows"]
    for first in range(0, rows.shape[0], rows.chunks[0]):
        yield first, min(first + rows.chunks[0], rows.shape[0])


def _check_rows(
    reader: CaptureReader, first: int, last: int, report: VerificationReport, *, with_statistics: bool
) -> None:
    every = int(reader.attributes["row_every"])
    steps = slice(first * every, (last - 1) * every + 1, every)
    envs = reader.array("attention/row_env")[:]
    rows = reader.array("attention/rows")[first:last]
    lengths = reader.array("context/length")[steps, envs]
    report.rows += int(np.prod(rows.shape[:-1]))
    exact = reader.root.arrays["attention/rows"].dtype == "float16"
    broken = breaks_contract(rows, lengths[:, :, None, None], None if exact else shade_tolerance(rows))
    wrong = {"attention/rows": np.any(broken, axis=(2, 3))}
    # A statistic of a row that is no distribution would only be noise beside the row itself.
    if with_statistics and not wrong["attention/rows"].any():
        layers, heads = _picked(reader, "layer"), _picked(reader, "head")
        packed = "context/summaries" in reader.root.arrays
        of_rows = (*_STATISTICS, "summary") if packed else _STATISTICS
        statistics = {name: reader.array(f"stats/{name}")[steps, envs, layers, heads] for name in of_rows}
        summaries = reader.array("context/summaries")[steps, envs] if packed else None
        windows, query_slot = reader.array("stats/window")[:], str(reader.attributes["query_slot"])
        wrong |= {
            f"stats/{name}": where
            for name, where in disagreements(rows, lengths, statistics, windows, query_slot, summaries).items()
        }
    for name, where in wrong.items():
        for row, env in np.argwhere(where):
            reason = "is no row of attention" if name == "attention/rows" else "is not that of the stored row"
            report.note(f"{name} at step {(first + row) * every}, env {envs[env]} {reason}")


def _picked(reader: CaptureReader, axis: str) -> slice | Integer[np.ndarray, " picked"]:
    """Return which layers or heads the rows have, as an index into the statistics."""
    name = f"attention/row_{axis}"
    return reader.array(name)[:] if name in reader.root.arrays else slice(None)


def _check_maps(reader: CaptureReader, report: VerificationReport) -> None:
    maps, length = reader.array("attention/maps"), reader.array("context/length")
    envs, steps = reader.array("attention/row_env")[:], reader.array("attention/map_step")[:]
    for sample, step in enumerate(steps):
        for index, tokens in enumerate(length[int(step), envs]):
            values = maps[sample, index]
            report.maps += int(np.prod(values.shape[:2]))
            inside = values[:, :, :tokens]
            if np.any(breaks_contract(inside, tokens)) or not np.all(np.isnan(values[:, :, tokens:])):
                report.note(f"attention/maps at step {step}, env {envs[index]} is no map of attention")
            report.advance()


def breaks_contract(
    rows: Float16[np.ndarray, "*rows slot"],
    lengths: Integer[np.ndarray, ...],
    tolerance: Float64[np.ndarray, "*rows"] | None = None,
) -> Bool[np.ndarray, "*rows"]:
    """Return which rows do not hold weights in [0, 1] that sum to 1 over their context, and NaN exactly past it.

    Parameters
    ----------
    rows
        Stored rows.
    lengths
        Context lengths in tokens; broadcast against the rows.
    tolerance
        How far each row may sum from 1; by default as far as float16 rounds.
    """
    slots = rows.shape[-1]
    inside = np.arange(slots) < np.asarray(lengths)[..., None]
    weights = rows.astype(np.float64)
    sums = np.where(inside, weights, 0.0).sum(axis=-1)
    off = ~(
        np.abs(sums - 1.0) <= (row_sum_tolerance(slots) if tolerance is None else tolerance)
    )  # a NaN inside the context makes the comparison false
    misplaced = np.any(np.isnan(weights) == inside, axis=-1)
    outside_range = np.any((weights < 0) | (weights > 1), axis=-1)
    broken: Bool[np.ndarray, "*rows"] = off | misplaced | outside_range
    return broken


def shade_tolerance(rows: Float16[np.ndarray, "*rows slot"]) -> Float64[np.ndarray, "*rows"]:
    """Return how far rows that are stored as bytes may sum from 1: the rounding of every root, to the weight."""
    half = 0.5 / LARGEST
    weights = np.nan_to_num(rows.astype(np.float64))
    moved = np.where(np.isnan(rows), 0.0, 2 * np.sqrt(weights) * half + half**2)
    return np.asarray(moved.sum(axis=-1) + row_sum_tolerance(rows.shape[-1]))
