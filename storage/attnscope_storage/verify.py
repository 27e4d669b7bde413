"""Re-reading a store of any kind: nothing missing, nothing damaged, every array what its contract promises.

Reads one chunk at a time, so its memory does not grow with the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from attnscope_storage.chunks import chunk_key, decode_chunk, indices
from attnscope_storage.errors import ChunkDamagedError, ChunkLostError, VerificationError
from attnscope_storage.reader import CaptureReader
from attnscope_storage.wire.contract import contracts, imported

MAX_PROBLEMS: Final = 100
"""Problems that a report spells out; the rest is only counted."""


@dataclass
class VerificationReport:
    """What was checked, and what is wrong."""

    steps: int = 0
    """Environment steps that the capture commits; of a trial, conditions."""
    chunks: int = 0
    rows: int = 0
    """Decision rows checked, one per step, environment, layer and head."""
    maps: int = 0
    """Attention maps checked, one per sample, environment, layer and head."""
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    """The first `MAX_PROBLEMS` of the `wrong` ones, for people."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong == 0

    def note(self, problem: str) -> None:
        """Note something wrong."""
        self.wrong += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def raise_if_wrong(self) -> None:
        """Raise `VerificationError` with the problems, if there are any."""
        if not self.ok:
            raise VerificationError(f"{self.wrong} problems: " + "; ".join(self.problems))


def verify(reader: CaptureReader) -> VerificationReport:
    """Check every committed chunk, then what the contract of the store's kind promises of the arrays that decode.

    Of a store whose kind nobody registered only the chunks are checked.
    """
    report = VerificationReport(steps=reader.steps_committed)
    damaged = {name for name in reader.names() if not _chunks_decode(reader, name, report)}
    names = set(reader.names()) - damaged
    known = contracts().get(reader.kind)
    if known is not None:
        imported(known.verify)(reader, names, report)
    return report


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
    return report.wrong == before
