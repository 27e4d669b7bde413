"""The decision cards that are shipped with attnscope, each checked against its digest."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.wire.specifications.decisions import DecisionCard

FOLDER: Final = "cards"
"""Folder beside this file: a JSON document a checkpoint, and the digests of all in `SHA256SUMS`."""

DIGESTS: Final = "SHA256SUMS"


def shipped_card(checkpoint: str) -> DecisionCard:
    """Return the card of the decision on a shipped checkpoint; it was made by the command that it names.

    Parameters
    ----------
    checkpoint
        Name of the checkpoint.

    Raises
    ------
    LookupError
        No card of this checkpoint is shipped.
    ChunkDamagedError
        The file is not the one whose digest is shipped beside it.
    """
    folder = files("attnscope.decisions").joinpath(FOLDER)
    name = f"{checkpoint}.json"
    digests = [line.split("  ", 1) for line in folder.joinpath(DIGESTS).read_text("utf-8").splitlines()]
    known = {file: digest for digest, file in digests}
    if name not in known:
        raise LookupError(f"no decision on {checkpoint} is shipped; there are {', '.join(known)}")
    content = folder.joinpath(name).read_bytes()
    if hashlib.sha256(content).hexdigest() != known[name]:
        raise ChunkDamagedError(f"{name} is not the card that was shipped: its digest differs")
    return DecisionCard.model_validate_json(content)
