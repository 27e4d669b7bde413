"""The quantities that outputs name: each one value a rollout, beside its baseline, with its interval.

Figures, findings, patterns, comparison and summary take every such number from here, so that none has two values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from attnscope.measures.intervals import Estimate, Resampling
from attnscope.measures.sampling import StepError
from attnscope.reading.blocks import LEVELS, Measured
from attnscope.reading.reading import Reading
from attnscope.reading.tally import Tally
from attnscope_storage.reductions import total_over_steps

Values = Float64[np.ndarray, " env"]

STORED: Final = ("summary", "self", "sink", "max", "effective", "normalised_entropy", "entropy")
"""Quantities that are the mean of a stored statistic over layers and heads; ``recency.N`` are, too."""

NO_SHARES: Final = frozenset({"entropy", "effective"})
"""Quantities that may exceed 1; every other one is a share."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One number a rollout, averaged over the decisions that count and over layers and heads."""

    values: Values
    baseline: Values | None
    """The same of uniform attention over the same contexts; None where there is no such thing."""
    resampling: Resampling
    error: StepError | None = None
    """Of the mean over rollouts; None where every step was used."""
    ratio_error: StepError | None = None
    """Of the ratio to the baseline."""

    @property
    def estimate(self) -> Estimate:
        """The mean over rollouts with its interval and baseline."""
        return self.resampling.estimate(self.values, self.baseline, self.error)

    @property
    def lift(self) -> Estimate | None:
        """The ratio to the baseline with its interval; None without a baseline, or where it is 0."""
        if self.baseline is None or not np.nan_to_num(self.baseline).any():
            return None
        return self.resampling.ratio(self.values, self.baseline, self.ratio_error)

    def drawn(self) -> Float64[np.ndarray, " sample"] | None:
        """Return bootstrap samples of the mean, moved by the error of sampled steps; None where nothing is resampled.

        Two quantities with one resampling share their samples, so that differences are paired.
        """
        ones = np.where(np.isfinite(self.values), 1.0, np.nan)
        return self._samples(self.values, ones, self.error)

    def drawn_lift(self) -> Float64[np.ndarray, " sample"] | None:
        """Return bootstrap samples of the ratio to the baseline; None where there is none."""
        return None if self.baseline is None else self._samples(self.values, self.baseline, self.ratio_error)

    def _samples(self, top: Values, bottom: Values, error: StepError | None) -> Float64[np.ndarray, " sample"] | None:
        if not self.resampling.informative:
            return None
        return self.resampling.moved(self.resampling.drawn_ratio(top, bottom)[:, None], error)[:, 0]


def quantity(reading: Reading, tally: Tally | None, resampling: Resampling, name: str) -> Quantity | None:
    """Return a quantity by its name; None where the capture has nothing to measure it by.

    Parameters
    ----------
    name
        One of `STORED`, ``recency.N`` for a window of N tokens, ``flatness``, ``positions.L`` and
        ``shared_positions.L`` for a level L of `LEVELS`, or a mark of `attnscope.reading.marks`.
    """
    kind, _, part = name.partition(".")
    stored = reading.statistics.get(kind) if kind in STORED or kind == "recency" else None
    if stored is not None:
        window = int(part) if part else 0
        if window and window not in reading.windows:
            return None
        cells = stored[..., reading.windows.index(window)] if window else stored
        even = uniform(kind, window, reading.length, reading.summaries)
        return Quantity(_heads_last(cells), _mean_where(even, reading.length >= reading.least), resampling)
    if tally is None:
        return None
    measured = {"flatness": tally.flatness, "positions": tally.positions, "shared_positions": tally.shared_positions}
    of = tally.unstored.get(name) or measured.get(kind) or tally.marked.get(kind)
    most = np.inf if name in NO_SHARES else 1.0
    level = LEVELS.index(float(part)) if kind in measured and part else None
    return None if of is None else _of_rows(tally, of, level, most)


def _of_rows(tally: Tally, of: Measured, cell: int | None, most: float) -> Quantity:
    """Return a measure of the rows that were read, at most so large, with the error of having read a sample."""
    values, even = of.value.mean, of.uniform.mean
    error, ratio = tally.error(of.value, most), tally.ratio_error(of.value, of.uniform)
    if cell is not None:
        values, even = values[:, cell], even[:, cell]
        error, ratio = (
            None if one is None else replace(one, spread=np.asarray(one.spread[cell])) for one in (error, ratio)
        )
    return Quantity(values, even, tally.resampling, error, ratio)


def uniform(
    name: str,
    window: int,
    length: Int64[np.ndarray, "step env"],
    latents: Int64[np.ndarray, "step env"] | None = None,
) -> Float64[np.ndarray, "step env"]:
    """Return the quantity of uniform attention over contexts of these lengths, the query's own slot among them.

    Parameters
    ----------
    window
        Of ``recency``, in tokens before the query.
    latents
        Latents at the front of the contexts, which recency leaves out; None where nothing is packed.
    """
    front = np.zeros(length.shape) if latents is None else np.asarray(latents, np.float64)
    tokens = np.asarray(length, np.float64)
    match name:
        case "recency":
            return np.asarray(np.minimum(window, tokens - 1 - front) / tokens)
        case "summary":
            return np.asarray(front / tokens)
        case "self" | "sink" | "max":
            return np.asarray(1 / tokens)
        case "normalised_entropy":
            return np.ones_like(tokens)
        case "entropy":
            return np.asarray(np.log(tokens))
    return tokens


def _mean_where(values: Float64[np.ndarray, "step env"], counts: Bool[np.ndarray, "step env"]) -> Values:
    return total_over_steps(values, counts).mean


def _heads_last(values: Float64[np.ndarray, "env layer head"]) -> Values:
    """Return the mean over layers and heads, the last thing that is done."""
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))
