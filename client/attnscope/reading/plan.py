"""The decision rows that are read of a capture, bounded in bytes. Pure arithmetic: knows no array, fetches nothing.

A sample is made of *bursts*: adjacent steps of which the mean row over layers and heads is read, and of the last step
the row of every layer and head. The last step's decision is judged; the steps before it are what a strategy would
have known by then. Statistics and the rollout are no part of the plan: they are used for every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Int, Int64

from attnscope.reading.judging import JudgedRows, judge_rows

LEAD: Final = 16
"""Decision rows before a judged decision, in a burst."""

LEAST_BYTES: Final = 2 * 2**20
"""Bytes of rows, and as many of mean rows, that are read where there are so many."""

MOST_BYTES: Final = 6 * 2**20
"""Bytes of rows, and as many of mean rows, that are read at most."""

SHARE: Final = 0.01
"""Share of the rows' bytes that is read between these two."""

WANTED_BURSTS: Final = 24
"""Bursts that are read where `MOST_BYTES` allow."""

DECODED_BYTES: Final = 256 * 2**20
"""Bytes of rows that are decoded, where the data lies, to take their means over layers and heads, at most."""

FEWEST_BURSTS: Final = 6
"""Bursts that are read in any case; where they do not fit, fewer environments' rows are read."""

MOST_BURSTS: Final = 64
"""Bursts, at most: as many decisions of each rollout are judged."""

HISTORIES: Final = 1024
"""Decisions that are judged, over all rollouts, about; it bounds memory and time."""

USUAL: Final = 160
"""Tokens of a context up to which so many are judged; rules that compare entries take the square of their number."""

STRATA: Final = 3
"""Phases of the steps that count, of equal length; the steps before them are one more."""

GROWTH: Final = 0.25
"""Share of the bursts, at most, that lie before the first step that counts."""

HEAD_STEPS: Final = 48
"""Steps whose rows are reduced by head, where their decoded bytes allow."""

HEAD_BYTES: Final = 64 * 2**20
"""Bytes of rows, decoded, that are reduced by head where fewer than `HEAD_STEPS` are read."""

BLOCK_ROWS: Final = 256
"""Rows of a block where everything is read, at most."""

BLOCK_BYTES: Final = 4 * 2**20
"""Bytes, as stored, that are measured at a time; a measure needs about ten times as much."""

OVERVIEW_STEPS: Final = 400
"""Columns of the picture of attention over time, at most."""

PICTURE_BYTES: Final = 4 * 2**20
"""Bytes of one picture of rows or of one map, at most."""

FOLLOWED_CONTEXTS: Final = 4
"""Context lengths of steps that transitions are followed over, one after the other."""


@dataclass(frozen=True)
class Size:
    """The size of a capture's decision rows, as far as they take part."""

    entries: int
    """Stored steps."""
    envs: int
    cells: int
    """Stored layers × heads."""
    slots: int
    """Tokens of the longest context: slots past it are never read."""

    @property
    def env_bytes(self) -> int:
        """Bytes of the rows of one step of one environment, as float16."""
        return 2 * self.cells * self.slots

    @property
    def mean_bytes(self) -> int:
        """Bytes of the mean row of one step of one environment, as float16."""
        return 2 * self.slots

    @property
    def step_bytes(self) -> int:
        """Bytes of the rows of one step of all environments."""
        return self.envs * self.env_bytes


@dataclass(frozen=True)
class Stretch:
    """Adjacent entries of the rows' axis that are read together."""

    first: int
    end: int
    fresh: int
    """Entries before this one only tell what came before, and were counted already."""
    stratum: int = 0
    heads: int = 1
    """Last entries of which the row of every layer and head is read."""


@dataclass(frozen=True, eq=False)
class ReadingPlan:
    """Entries of the rows' first axis to read, and the environments whose rows are read."""

    parts: tuple[Stretch, ...]
    envs: tuple[int, ...]
    """Places among the reading's environments."""
    judged: JudgedRows
    """Entries whose decision is judged; each is the last of a burst, unless every row is read."""
    whole: bool
    """True where every stored row is read."""
    heads: Int64[np.ndarray, " row"] | None
    """Entries whose rows are reduced by head where they lie; None: those that are read are enough."""

    @property
    def rows_read(self) -> int:
        """Steps whose mean row over layers and heads is read."""
        return sum(part.end - part.fresh for part in self.parts)

    @property
    def head_rows_read(self) -> int:
        """Steps whose row of every layer and head is read."""
        return sum(part.heads for part in self.parts)

    def bytes(self, size: Size) -> int:
        """Return the bytes of rows and mean rows that this plan transfers."""
        if self.whole:
            return self.rows_read * len(self.envs) * size.env_bytes
        leads = sum(part.end - part.first for part in self.parts)
        return len(self.envs) * (self.head_rows_read * size.env_bytes + leads * size.mean_bytes)


def plan(
    size: Size, tasks: Int[np.ndarray, " env"], *, counted: int = 0, full: bool = False, context: int = USUAL
) -> ReadingPlan:
    """Return the rows to read.

    Parameters
    ----------
    size
        Of the stored rows that take part.
    tasks
        The task of each environment: where rows of few are read, they are of different tasks.
    counted
        First entry whose context counts in the means.
    full
        Read every row and judge every decision.
    context
        Tokens of a full context, which bounds the decisions that are judged.
    """
    total, histories = size.entries, HISTORIES * min(1.0, (USUAL / context) ** 2)
    targets = int(np.clip(histories // size.envs, FEWEST_BURSTS, MOST_BURSTS))
    wanted = max(SHARE * total, min(WANTED_BURSTS, targets)) * size.step_bytes
    budget = int(np.clip(wanted, LEAST_BYTES, MOST_BYTES))
    if full or total * size.step_bytes <= budget or total <= LEAD + 1:
        block = max(1, min(BLOCK_ROWS, BLOCK_BYTES // size.step_bytes))
        judged = stratified(total, total if full or total < 2 * targets else targets)
        parts, every = _whole(total, block), tuple(range(size.envs))
        return ReadingPlan(parts, every, judge_rows(judged, _phases(total, counted)), whole=True, heads=None)
    fitting = min(budget // size.env_bytes, MOST_BYTES // ((LEAD + 1) * size.mean_bytes)) // FEWEST_BURSTS
    envs = _some(np.asarray(tasks, np.int64), max(1, fitting))
    burst = len(envs) * size.env_bytes, len(envs) * (LEAD + 1) * size.mean_bytes, (LEAD + 1) * size.step_bytes
    affordable = min(cap // one for cap, one in zip((budget, budget, DECODED_BYTES), burst, strict=True))
    parts = _bursts(total, min(max(FEWEST_BURSTS, affordable), targets, total // (LEAD + 1)), counted)
    fewer = min(HEAD_STEPS, HEAD_BYTES // size.step_bytes, total)
    heads = stratified(total, fewer) if fewer > len(parts) else None
    lasts = np.array([part.end - 1 for part in parts])
    return ReadingPlan(parts, envs, judge_rows(lasts, _phases(total, counted)), whole=False, heads=heads)


def stratified(total: int, count: int) -> Int64[np.ndarray, " entry"]:
    """Return one entry from each of `count` equal stretches of 0 … total−1, at a place drawn with a fixed seed.

    Evenly spaced entries would fall on the same step of every episode where the spacing is a multiple of its length.
    """
    if count >= total:
        return np.arange(total, dtype=np.int64)
    edges = np.linspace(0, total, count + 1).astype(np.int64)
    return np.random.default_rng(total).integers(edges[:-1], edges[1:])


def overview(entries: int) -> Int64[np.ndarray, " row"]:
    """Return the entries of the picture over time; of one environment, averaged over layers and heads."""
    return stratified(entries, OVERVIEW_STEPS)


def followed(entries: int, slots: int) -> range:
    """Return the last entries, every one, over which transitions are followed; of one environment's mean rows."""
    most = max(2, PICTURE_BYTES // max(1, slots))
    return range(max(0, entries - min(FOLLOWED_CONTEXTS * slots, most)), entries)


def _whole(total: int, block: int) -> tuple[Stretch, ...]:
    ends = [(first, min(total, first + block)) for first in range(0, total, block)]
    return tuple(Stretch(max(0, first - LEAD), end, first, heads=end - first) for first, end in ends)


def _bursts(total: int, count: int, counted: int) -> tuple[Stretch, ...]:
    """Return one burst in each of `count` stretches of the strata, at a place drawn with a fixed seed."""
    drawn = np.random.default_rng(total)
    before = min(round(count * counted / total), max(1, int(GROWTH * count)), counted // (LEAD + 1))
    parts = _stretches(0, counted, before, 0, drawn)
    edges = _phases(total, counted if before else 0)[-STRATA - 1 :]
    shares = np.diff(np.linspace(0, max(STRATA, count - before), STRATA + 1).round().astype(int)).tolist()
    for stratum, ((first, end), share) in enumerate(zip(pairwise(edges), shares, strict=True), start=1):
        parts += _stretches(first, end, share, stratum, drawn)
    return tuple(parts)


def _phases(total: int, counted: int) -> list[int]:
    """Return the first entry of each phase, and the end: what is before `counted`, then `STRATA` of equal length."""
    return [*([0] if counted else []), *np.linspace(counted, total, STRATA + 1).astype(int).tolist()]


def _stretches(first: int, end: int, count: int, stratum: int, drawn: np.random.Generator) -> list[Stretch]:
    """Return a burst in each of `count` equal stretches of a stratum; fewer where they would overlap."""
    count = min(count, max(1, (end - first) // (LEAD + 1)))
    if count < 1 or end <= first:
        return []
    edges = np.linspace(first, end, count + 1).astype(np.int64)
    starts = drawn.integers(edges[:-1], np.maximum(edges[1:] - LEAD, edges[:-1] + 1))
    return [Stretch(int(at), min(int(at) + LEAD + 1, end), int(at), stratum) for at in starts]


def _some(tasks: Int64[np.ndarray, " env"], most: int) -> tuple[int, ...]:
    """Return at most so many environments, one of each task before any task has two."""
    if most >= len(tasks):
        return tuple(range(len(tasks)))
    _, place = np.unique(tasks, return_inverse=True)
    turn = np.array([int((place[:env] == place[env]).sum()) for env in range(len(tasks))])
    return tuple(sorted(np.lexsort((place, turn))[:most].tolist()))
