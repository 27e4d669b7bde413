"""The rows whose decision is judged: each phase of the rollout counts by its steps, whatever share of it is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Int64


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """A stratified sample of the stored rows, the same of every rollout."""

    entry: Int64[np.ndarray, " decision"]
    """Entries of the rows' first axis, ascending."""
    stratum: Int64[np.ndarray, " decision"]
    """The phase that each lies in."""
    weight: Float64[np.ndarray, " decision"]
    """The weight of each in a mean; weights sum to 1."""
    share: float
    """Share of the stored rows that is judged; 1 where none is left out."""

    def mean(self, values: Float[np.ndarray, " decision *cell"]) -> Float64[np.ndarray, "*cell"]:
        """Return the mean over all stored rows, as far as those that are judged tell it."""
        return np.asarray(np.tensordot(self.weight, values, axes=(0, 0)), np.float64)

    def residuals(self, values: Float[np.ndarray, " decision *cell"]) -> Float64[np.ndarray, " decision *cell"]:
        """Return how far each decision moves the mean; they sum to 0."""
        weight = self.weight.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(weight * (values - self.mean(values)), np.float64)


def judge_rows(entry: Int[np.ndarray, " decision"], edges: list[int]) -> JudgedRows:
    """Return a sample with the phases that its entries lie in.

    Parameters
    ----------
    entry
        Entries that are judged, ascending.
    edges
        The first entry of each phase, and the number of stored rows. A phase without two judged entries joins the next
        one, or the one before where it is the last.
    """
    total, kept = edges[-1], [edges[0]]
    for edge in edges[1:]:
        if ((entry >= kept[-1]) & (entry < edge)).sum() > 1:
            kept.append(edge)
    kept = [*kept[:-1], total] if len(kept) > 1 else [edges[0], total]
    stratum = np.searchsorted(kept, entry, side="right") - 1
    weight = (np.diff(kept) / np.bincount(stratum, minlength=len(kept) - 1))[stratum] / (total - edges[0])
    return JudgedRows(np.asarray(entry, np.int64), stratum.astype(np.int64), weight, len(entry) / total)


def judge_evenly(count: int) -> JudgedRows:
    """Return so many rows that are all there are."""
    every = np.arange(count, dtype=np.int64)
    return JudgedRows(every, np.zeros(count, np.int64), np.full(count, 1 / max(1, count)), 1.0)
