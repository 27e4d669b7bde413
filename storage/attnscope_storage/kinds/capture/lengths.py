"""The steps of a commit and the entries of a chunk: arithmetic over bytes, without an array's name.

Many steps a commit make few files and few fsyncs; few steps lose little with an interrupted worker and take little
memory. Chunks of decision rows are what a view decodes, so they stay small. Chunks of the other arrays outlive many
commits: each commit writes the last one again, with its new entries.
"""

from __future__ import annotations

import math
from typing import Final

CHUNK_BYTES: Final = 256 * 1024
"""Decoded size, in bytes, that a chunk of decision rows reaches."""

MAX_FLUSH_STEPS: Final = 4096
"""Environment steps of a commit, at most."""

STATISTICS_FLUSH_STEPS: Final = 512
"""Environment steps of a commit, at most, where no rows are kept: more would be lost with an interrupted worker."""

LEAST_STEPS: Final = 32
"""Environment steps of a commit, where `BLOCK_BYTES` allow so many."""

BLOCK_BYTES: Final = 96 * 2**20
"""Bytes of the steps of a commit, at most, unless a chunk of rows would be smaller than `CHUNK_BYTES`."""

ROW_CHUNK_BYTES: Final = 4 * 2**20
"""Decoded bytes of a chunk of decision rows, at most, unless one entry is larger: a view of one step decodes it."""

LONG_STEPS: Final = 512
"""Entries of a chunk of any other array, where `LONG_BYTES` allow so many."""

LONG_BYTES: Final = 2 * 2**20
"""Decoded bytes of such a chunk, at most, unless one commit is larger."""


def first_version_steps(row_bytes: int, every: int, steps: int, *, rows: bool) -> int:
    """Return the steps of a commit in the first version of the layout: one chunk of rows of at least `CHUNK_BYTES`.

    Parameters
    ----------
    row_bytes
        Bytes of one environment's rows of one step; without rows, of one statistic of all environments.
    every
        Steps from one stored row to the next; the result is a power of two times it.
    steps
        Of the finished capture.
    rows
        Whether rows are kept; else `STATISTICS_FLUSH_STEPS` bounds the commit.
    """
    most = MAX_FLUSH_STEPS if rows else STATISTICS_FLUSH_STEPS
    entries = min(_power_of_two(CHUNK_BYTES / row_bytes), _power_of_two(steps / every))
    while entries > 1 and entries * every > most:
        entries //= 2
    return entries * every


def commit_steps(first_version: int, step_bytes: int, every: int, steps: int) -> int:
    """Return the steps of a commit: those of the first version, and more where that is less than `LEAST_STEPS`.

    Parameters
    ----------
    first_version
        As `first_version_steps` returns it.
    step_bytes
        Bytes of one step of all growing arrays.
    every, steps
        As there.
    """
    wanted = min(_power_of_two(LEAST_STEPS / every), _power_of_two(steps / every)) * every
    while wanted > every and wanted * step_bytes > BLOCK_BYTES:
        wanted //= 2
    return max(first_version, wanted)


def row_entries(first_version: int, commit: int, entry_bytes: int) -> int:
    """Return the entries of a chunk of decision rows: all of a commit, where `ROW_CHUNK_BYTES` allow so many.

    Parameters
    ----------
    first_version, commit
        Entries of a commit in the first version, and now.
    entry_bytes
        Bytes of one environment's rows of one step.
    """
    entries = commit
    while entries > first_version and entries * entry_bytes > ROW_CHUNK_BYTES:
        entries //= 2
    return max(1, entries)


def long_entries(commit: int, entry_bytes: int) -> int:
    """Return the entries of a chunk of any other array: a power of two times those of a commit.

    Parameters
    ----------
    commit
        Entries that one commit adds.
    entry_bytes
        Bytes of one entry.
    """
    entries = commit
    while 2 * entries <= LONG_STEPS and 2 * entries * entry_bytes <= LONG_BYTES:
        entries *= 2
    return entries


def grouped(commit: int, envs: int, env_bytes: int) -> tuple[int, int]:
    """Return the entries and the environments of a chunk that holds something large of each environment.

    Parameters
    ----------
    commit
        Entries that one commit adds.
    envs
        Environments in all.
    env_bytes
        Bytes of one entry of one environment.
    """
    width = min(envs, _power_of_two(max(1, LONG_BYTES // (commit * env_bytes) // 2 + 1)))
    return (long_entries(commit, envs * env_bytes) if width == envs else commit), width


def _power_of_two(at_least: float) -> int:
    return 1 << max(0, math.ceil(math.log2(max(at_least, 1))))
