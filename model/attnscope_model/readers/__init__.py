"""Readers of foreign checkpoints, one file a family; each recognises its own state dict, none guesses."""

from __future__ import annotations

from typing import Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.readers.base import CheckpointReader, ParsedFile
from attnscope_model.readers.reference import ReferenceReader

READERS: Final[tuple[CheckpointReader, ...]] = (ReferenceReader(),)
"""Every family that is read."""


def reader_of(file: ParsedFile) -> CheckpointReader:
    """Return the reader of a file's family.

    Raises
    ------
    CheckpointUnreadableError
        No family, or more than one, recognises its names.
    """
    fitting = [reader for reader in READERS if reader.recognises(file.tensors.keys())]
    if len(fitting) != 1:
        families = ", ".join(reader.family for reader in READERS)
        names = ", ".join(sorted(file.tensors)[:5]) or "none"
        raise CheckpointUnreadableError(f"of no known family ({families}); its tensors are {names[:300]}, …")
    return fitting[0]


__all__ = ["READERS", "CheckpointReader", "ParsedFile", "reader_of"]
