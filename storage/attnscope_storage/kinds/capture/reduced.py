"""The check of what a capture stores in the place of rows: age bins and retained-mass curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Float, Integer

from attnscope_storage.kinds.capture.schema import row_sum_tolerance
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import VerificationReport

SLACK: Final = 2.0**-10
"""The distance of a stored mass above 1, or below its predecessor, at most: two roundings to float16."""


def check_bins(reader: CaptureReader, report: VerificationReport) -> None:
    """Check that the age bins of every decision sum to 1, and are NaN exactly where no context reaches.

    Where transitions are packed, they sum to what the latents leave, and reach as far as the tokens behind them.
    """
    edges = np.asarray(reader.array("attention/bin_edge")[:], np.int64)
    envs, lengths = reader.array("attention/bin_env")[:], reader.array("context/length")
    tolerance = row_sum_tolerance(int(edges[-1]))
    packed = "context/summaries" in reader.root.arrays
    for entries, steps in _blocks(reader, "attention/bins"):
        bins = reader.array("attention/bins")[entries].astype(np.float64)
        latents = reader.array("context/summaries")[steps, envs] if packed else 0
        reached = edges[:-1] < (lengths[steps, envs] - latents)[:, :, None, None, None]
        sums = np.where(reached, bins, 0).sum(axis=-1)
        wrong = ~(np.abs(sums - (1 - _on_latents(reader, steps, envs))) <= tolerance) | np.any(
            np.isnan(bins) == reached, axis=-1
        )
        report.rows += int(np.prod(bins.shape[:-1]))
        for entry, env in np.argwhere(wrong.any(axis=(2, 3))):
            step = range(steps.start, steps.stop, steps.step)[entry]
            report.note(f"attention/bins at step {step}, env {envs[env]} do not hold the attention of one row")
        report.advance()


def check_curve(reader: CaptureReader, report: VerificationReport) -> None:
    """Check that the retained mass of every decision rises from at least 0 to 1, or to what packed latents leave."""
    for entries, steps in _blocks(reader, "attention/curve"):
        curve = reader.array("attention/curve")[entries].astype(np.float64)
        falls = np.diff(curve, axis=-1) < -SLACK
        off = ~(np.abs(curve[..., -1] - (1 - _on_latents(reader, steps, slice(None)))) <= SLACK) | ~(curve[..., 0] >= 0)
        for entry, env in np.argwhere((falls.any(axis=-1) | off).any(axis=(2, 3))):
            step = range(steps.start, steps.stop, steps.step)[entry]
            report.note(f"attention/curve at step {step}, env {env} is no retained mass")
        report.advance()


def _on_latents(
    reader: CaptureReader, steps: slice, envs: slice | Integer[np.ndarray, " env"]
) -> Float[np.ndarray, "step env layer head"] | float:
    """Return the mass on latents of the layers and heads that are kept; 0 where nothing is packed."""
    if "stats/summary" not in reader.root.arrays:
        return 0.0
    kept = [
        reader.array(f"attention/row_{axis}")[:] if f"attention/row_{axis}" in reader.root.arrays else slice(None)
        for axis in ("layer", "head")
    ]
    return np.asarray(reader.array("stats/summary")[steps, envs, kept[0], kept[1]], np.float64)


def _blocks(reader: CaptureReader, name: str) -> Iterator[tuple[slice, slice]]:
    """Yield entries of an array, a chunk at a time, and the steps that they were stored of."""
    array, every = reader.root.arrays[name], int(reader.attributes["row_every"])
    for first in range(0, array.shape[0], array.chunks[0]):
        last = min(first + array.chunks[0], array.shape[0])
        yield slice(first, last), slice(first * every, (last - 1) * every + 1, every)
