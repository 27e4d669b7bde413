"""The check of what a capture stores in the place of rows: age bins and retained-mass curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from attnscope_storage.kinds.capture.schema import row_sum_tolerance
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport

SLACK: Final = 2.0**-10
"""The distance of a stored mass above 1, or below its predecessor, at most: two roundings to float16."""


def check_bins(reader: CaptureReader, report: VerificationReport) -> None:
    """Check that the age bins of every decision sum to 1, and are NaN exactly where no context reaches."""
    edges = np.asarray(reader.array("attention/bin_edge")[:], np.int64)
    envs, lengths = reader.array("attention/bin_env")[:], reader.array("context/length")
    tolerance = row_sum_tolerance(int(edges[-1]))
    for entries, steps in _blocks(reader, "attention/bins"):
        bins = reader.array("attention/bins")[entries].astype(np.float64)
        reached = edges[:-1] < lengths[steps, envs][:, :, None, None, None]
        sums = np.where(reached, bins, 0).sum(axis=-1)
        wrong = ~(np.abs(sums - 1) <= tolerance) | np.any(np.isnan(bins) == reached, axis=-1)
        report.rows += int(np.prod(bins.shape[:-1]))
        for entry, env in np.argwhere(wrong.any(axis=(2, 3))):
            step = range(steps.start, steps.stop, steps.step)[entry]
            report.note(f"attention/bins at step {step}, env {envs[env]} do not hold the attention of one row")


def check_curve(reader: CaptureReader, report: VerificationReport) -> None:
    """Check that the retained mass of every decision rises from at least 0 to 1."""
    for entries, steps in _blocks(reader, "attention/curve"):
        curve = reader.array("attention/curve")[entries].astype(np.float64)
        falls = np.diff(curve, axis=-1) < -SLACK
        off = ~(np.abs(curve[..., -1] - 1) <= SLACK) | ~(curve[..., 0] >= 0)
        for entry, env in np.argwhere((falls.any(axis=-1) | off).any(axis=(2, 3))):
            step = range(steps.start, steps.stop, steps.step)[entry]
            report.note(f"attention/curve at step {step}, env {env} is no retained mass")


def _blocks(reader: CaptureReader, name: str) -> Iterator[tuple[slice, slice]]:
    """Yield entries of an array, a chunk at a time, and the steps that they were stored of."""
    array, every = reader.root.arrays[name], int(reader.attributes["row_every"])
    for first in range(0, array.shape[0], array.chunks[0]):
        last = min(first + array.chunks[0], array.shape[0])
        yield slice(first, last), slice(first * every, (last - 1) * every + 1, every)
