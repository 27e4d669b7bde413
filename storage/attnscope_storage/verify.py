"""Verification of a store of any kind: no chunk is missing or damaged, and every array keeps its contract.

Reads one chunk at a time, so its memory does not grow with the store.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Final

from attnscope_storage.errors import ChunkDamagedError, ChunkLostError, VerificationError
from attnscope_storage.layout.chunks import chunk_key, decode_chunk, indices
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.contract import contracts, imported

MAX_PROBLEMS: Final = 100
"""Number of problems that a report describes; further ones are only counted."""


@dataclass
class VerificationReport:
    """The result of a verification: counts of what was read, and the problems found."""

    steps: int = 0
    """Committed environment steps of a capture, or conditions of a trial."""
    chunks: int = 0
    rows: int = 0
    """Decision rows checked, one per step, environment, layer and head."""
    maps: int = 0
    """Attention maps checked, one per sample, environment, layer and head."""
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    """Descriptions of the first `MAX_PROBLEMS` problems; `wrong` counts all."""
    on_advance: InitVar[Callable[[VerificationReport], None] | None] = None
    """Called after each chunk that is read, and after each block of rows or maps that is checked."""

    def __post_init__(self, on_advance: Callable[[VerificationReport], None] | None) -> None:
        """Note who follows the verification; it is no part of the result."""
        self._on_advance = on_advance

    def advance(self) -> None:
        """Tell that the counts have grown."""
        if self._on_advance is not None:
            self._on_advance(self)

    @property
    def ok(self) -> bool:
        """True where no problem was found."""
        return self.wrong == 0

    def note(self, problem: str) -> None:
        """Add a problem to the report."""
        self.wrong += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def raise_if_wrong(self) -> None:
        """Raise `VerificationError` with the problems, if there are any."""
        if not self.ok:
            raise VerificationError(f"{self.wrong} problems: " + "; ".join(self.problems))


def verify(reader: CaptureReader, on_advance: Callable[[VerificationReport], None] | None = None) -> VerificationReport:
    """Check every committed chunk, then check the decoded arrays against the contract of the store's kind.

    Where the kind of the store is not registered, only the chunks are checked.

    Parameters
    ----------
    reader
        The store.
    on_advance
        Called with the report so far, after each chunk that is read and each block that is checked.
    """
    report = VerificationReport(steps=reader.steps_committed, on_advance=on_advance)
    damaged = {name for name in reader.names() if not _chunks_decode(reader, name, report)}
    names = set(reader.names()) - damaged
    known = contracts().get(reader.kind)
    if known is not None:
        imported(known.verify)(reader, names, report)
    return report


def chunks_of(reader: CaptureReader) -> int:
    """Return how many chunks a verification reads."""
    return sum(math.prod(array.grid) for array in reader.root.arrays.values())


def _chunks_decode(reader: CaptureReader, name: str, report: VerificationReport) -> bool:
    array, before = reader.root.arrays[name], report.wrong
    for index in indices(array.grid):
        key = chunk_key(name, index)
        report.chunks += 1
        try:
            decode_chunk(reader.chunk_bytes(key), array.dtype, array.chunks)
        except ChunkLostError as error:
            report.note(error.message)
        except ChunkDamagedError as error:
            known = key in error.message
            report.note(error.message if known else f"the committed chunk {key} is damaged: {error.message}")
        report.advance()
    return report.wrong == before
