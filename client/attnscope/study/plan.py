"""Which steps a report reads. Pure arithmetic: knows no array and fetches nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from attnscope_storage.schema import RECENCY_WINDOWS

ROW_SHARE = 0.01
"""Share of the rows' bytes that a default report reads as rows."""

ROW_BYTES = 2 * 2**20
"""Bytes of rows that it reads in any case, where there are so many."""

ROW_STEPS = 48
"""Steps of rows that it reads in any case, where there are so many."""

STATISTIC_STEPS = 256
"""Steps of stored statistics that it reads, at most."""

STATISTIC_BYTES = 4 * (5 + len(RECENCY_WINDOWS))
"""Bytes of the stored statistics of one decision, layer and head."""

OVERVIEW_STEPS = 400
"""Columns of the picture of attention over time, at most."""

FOLLOWED_CONTEXTS = 4
"""Context lengths of steps that transitions are followed over, one after the other."""

HEATMAPS = 5
"""Sample heatmaps."""


@dataclass(frozen=True)
class Choice:
    """What a report is asked for."""

    envs: tuple[int, ...] | None = None
    """Places among the stored environments; None takes all."""
    steps: int | None = None
    """Evaluation length: only so many steps from the beginning count; None takes all that is committed."""
    heatmaps: int = HEATMAPS
    """Sample heatmaps, evenly spaced over the sampled maps."""
    full: bool = False
    """Read the rows and statistics of every step."""


@dataclass(frozen=True, eq=False)
class ReadingPlan:
    """Steps to read, as entries of the arrays' first axes."""

    rows: Int64[np.ndarray, " row"]
    """Entries of the rows' axis, one from each equal stretch."""
    statistics: Int64[np.ndarray, " step"]
    overview: Int64[np.ndarray, " overviewed"]
    """Entries of the rows' axis for the picture over time; of one environment, averaged over layers and heads."""
    followed: range
    """Entries of the rows' axis, every one, at the end."""


def plan(*, entries: int, entry_bytes: int, steps: int, slots: int, full: bool = False) -> ReadingPlan:
    """Return what to read of a capture.

    Parameters
    ----------
    entries
        Stored rows' steps; 0 where no rows are stored.
    entry_bytes
        Bytes of the rows of one step, all chosen environments, layers and heads.
    steps
        Environment steps.
    slots
        Tokens of a full context.
    """
    budget = max(ROW_BYTES, int(ROW_SHARE * entries * entry_bytes))
    rows = entries if full else max(ROW_STEPS, budget // max(1, entry_bytes))
    return ReadingPlan(
        rows=stratified(entries, rows),
        statistics=stratified(steps, steps if full else STATISTIC_STEPS),
        overview=stratified(entries, OVERVIEW_STEPS),
        followed=range(max(0, entries - FOLLOWED_CONTEXTS * slots), entries),
    )


def bytes_read(reading: ReadingPlan, *, entry_bytes: int, envs: int, cells: int) -> int:
    """Return the bytes of rows and statistics that a study of this plan transfers.

    Parameters
    ----------
    entry_bytes
        As for `plan`.
    cells
        Layers × heads of the policy: statistics are stored of all of them.
    """
    return len(reading.rows) * entry_bytes + len(reading.statistics) * envs * cells * STATISTIC_BYTES


def stratified(total: int, count: int) -> Int64[np.ndarray, " entry"]:
    """Return one entry from each of `count` equal stretches of 0 … total−1, at a place drawn with a fixed seed.

    Evenly spaced entries would fall on the same step of every episode where the spacing is a multiple of its length.
    """
    if count >= total:
        return np.arange(total, dtype=np.int64)
    edges = np.linspace(0, total, count + 1).astype(np.int64)
    return np.random.default_rng(total).integers(edges[:-1], edges[1:])
