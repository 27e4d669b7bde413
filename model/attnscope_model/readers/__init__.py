"""Readers of foreign checkpoints, one file a family; each recognises its own state dict, none guesses."""

from __future__ import annotations

from typing import Final

from attnscope_model.errors import CheckpointUnreadableError
from attnscope_model.readers.amago import AmagoReader
from attnscope_model.readers.base import CheckpointReader, ParsedFile
from attnscope_model.readers.cccad import CccadReader
from attnscope_model.readers.compressing import CadReader, RadPackingReader
from attnscope_model.readers.dicp import DicpAdReader, DicpDptReader
from attnscope_model.readers.gpt2 import DptReader, RadReader
from attnscope_model.readers.hub.bloom import HubBloomReader
from attnscope_model.readers.hub.decision import HubDecisionReader
from attnscope_model.readers.hub.gpt2 import HubGpt2Reader
from attnscope_model.readers.hub.llama import HubLlamaReader
from attnscope_model.readers.installed import installed_readers
from attnscope_model.readers.reference import ReferenceReader
from attnscope_model.readers.refused import REFUSED
from attnscope_model.readers.steps import AdEpsReader, CinemereReader
from attnscope_model.readers.trxl import TrxlReader

READERS: Final[tuple[CheckpointReader, ...]] = (
    ReferenceReader(),
    DicpAdReader(),
    DicpDptReader(),
    CccadReader(),
    RadReader(),
    CadReader(),
    RadPackingReader(),
    AdEpsReader(),
    CinemereReader(),
    DptReader(),
    HubGpt2Reader(),
    HubLlamaReader(),
    HubBloomReader(),
    HubDecisionReader(),
    TrxlReader(),
    AmagoReader(),
)
"""Every family that attnscope itself reads; installed packages add to them."""


def readers() -> tuple[CheckpointReader, ...]:
    """Return the readers of attnscope and of installed policy packages."""
    return (*READERS, *installed_readers({reader.family for reader in READERS}))


def reader_of(file: ParsedFile) -> CheckpointReader:
    """Return the reader of a file's family.

    Parameters
    ----------
    file
        What was read of the checkpoint: tensors and configuration.

    Raises
    ------
    CheckpointUnreadableError
        No family, more than one, or one that is not supported recognises its names.
    """
    names = file.tensors.keys()
    for layout in REFUSED:
        if layout.recognises(names):
            raise CheckpointUnreadableError(f"{layout.name} is not supported, because {layout.reason}")
    every = readers()
    fitting = [reader for reader in every if reader.recognises(names)]
    shown = ", ".join(sorted(names)[:5]) or "none"
    if not fitting:
        families = ", ".join(reader.family for reader in every)
        raise CheckpointUnreadableError(f"of no known family ({families}); its tensors are {shown[:300]}, …")
    if len(fitting) > 1:
        families = ", ".join(reader.family for reader in fitting)
        raise CheckpointUnreadableError(f"its names are those of several families ({families}), so of none for sure")
    return fitting[0]


__all__ = ["READERS", "CheckpointReader", "ParsedFile", "reader_of", "readers"]
