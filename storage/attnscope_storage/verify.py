"""Re-reading a capture: nothing missing, nothing damaged, every committed row what it promises to be."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from attnscope_storage.chunks import chunk_key, indices
from attnscope_storage.errors import ChunkDamagedError, ChunkLostError, VerificationError
from attnscope_storage.reader import CaptureReader
from attnscope_storage.schema import row_sum_tolerance

MAX_FINDINGS = 100
"""Findings that a report keeps; the rest is only counted."""


@dataclass
class VerificationReport:
    """What was checked, and what is wrong."""

    chunks: int = 0
    rows: int = 0
    maps: int = 0
    wrong: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong == 0

    def found(self, finding: str) -> None:
        """Note something wrong."""
        self.wrong += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def raise_if_wrong(self) -> None:
        """Raise `VerificationError` with the findings, if there are any."""
        if not self.ok:
            raise VerificationError(f"{self.wrong} findings: " + "; ".join(self.findings))


def verify(reader: CaptureReader) -> VerificationReport:
    """Check every committed chunk of every array, and every row's and map's sum over its context."""
    report = VerificationReport()
    whole = {name for name in reader.names() if _chunks_decode(reader, name, report)}
    if {"attention/rows", "context/length", "attention/row_env"} <= whole:
        _check_rows(reader, report)
    if {"attention/maps", "context/length", "attention/map_step"} <= whole:
        _check_maps(reader, report)
    return report


def _chunks_decode(reader: CaptureReader, name: str, report: VerificationReport) -> bool:
    array, before = reader.array(name), report.wrong
    for index in indices(reader.root.arrays[name].grid):
        cut = tuple(
            slice(i * chunk, min((i + 1) * chunk, size))
            for i, chunk, size in zip(index, array.chunks, array.shape, strict=True)
        )
        report.chunks += 1
        try:
            array[cut]
        except (ChunkLostError, ChunkDamagedError) as error:
            report.found(f"{chunk_key(name, index)}: {error.message}")
    return report.wrong == before


def _check_rows(reader: CaptureReader, report: VerificationReport) -> None:
    rows, length = reader.array("attention/rows"), reader.array("context/length")
    envs = reader.array("attention/row_env")[:]
    every = int(reader.attributes["row_every"])
    for first in range(0, rows.shape[0], rows.chunks[0]):
        last = min(first + rows.chunks[0], rows.shape[0])
        lengths = length[first * every : (last - 1) * every + 1 : every][:, envs]
        report.rows += (last - first) * int(np.prod(rows.shape[1:4]))
        values = rows[first:last]
        for step, env in np.argwhere(_breaks(values, lengths[:, :, None, None]).any(axis=(2, 3))):
            report.found(f"attention/rows: step {(first + step) * every}, env {envs[env]} breaks the contract")


def _check_maps(reader: CaptureReader, report: VerificationReport) -> None:
    maps, length = reader.array("attention/maps"), reader.array("context/length")
    envs, steps = reader.array("attention/row_env")[:], reader.array("attention/map_step")[:]
    for sample, step in enumerate(steps):
        lengths = length[int(step)][envs]
        for row_env, tokens in enumerate(lengths):
            values = maps[sample, row_env]
            report.maps += int(np.prod(values.shape[:2]))
            queries = values[:, :, :tokens]
            past = values[:, :, tokens:]
            if _breaks(queries, np.full(queries.shape[:3], tokens)).any() or not np.isnan(past).all():
                report.found(f"attention/maps: step {step}, env {envs[row_env]} breaks the contract")


def _breaks(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return which rows [..., slot] do not sum to 1 over their context, or are not NaN exactly past it."""
    slots = values.shape[-1]
    inside = np.arange(slots) < lengths[..., None]
    wide = values.astype(np.float64)
    sums = np.where(inside, wide, 0.0).sum(axis=-1)
    wrong = ~(np.abs(sums - 1.0) <= row_sum_tolerance(slots))  # a NaN inside the context compares false
    broken: np.ndarray = wrong | ((np.isnan(wide) == inside).any(axis=-1))
    return broken
