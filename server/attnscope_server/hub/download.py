"""The download of a repository's files into a folder, each held against the size and the hash of the listing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attnscope_server.errors import HubRefusedError
from attnscope_server.hub.asking import Hub
from attnscope_server.hub.listing import HubFile, listed
from attnscope_server.hub.source import HubSource

COPIES: Final = 4
"""Times its own size that a checkpoint may take on disk while it is added: fetched, copied, written natively as float32
of half precision."""


def download(hub: Hub, source: HubSource, folder: Path, most: int, say: Callable[[str], object]) -> None:
    """Fetch the files of a repository's commit that are read here.

    Parameters
    ----------
    hub
        The Hub.
    source
        The repository and its commit.
    folder
        Where the files go; it exists.
    most
        Bytes of all files together, at most.
    say
        Told what is about to be fetched, and the hash of what was.

    Raises
    ------
    HubRefusedError
        A file is missing, too large, not what was announced or not to be had, or the disk has too little room.
    """
    files = listed(hub, source)
    total = sum(file.size for file in files)
    say(f"{source}: " + ", ".join(f"{file.name} {file.size:,} bytes" for file in files) + f"; {total:,} in all")
    if total > most:
        raise HubRefusedError(f"{source} has {total} bytes, more than the {most} of the setting hub_bytes")
    if (free := shutil.disk_usage(folder).free) < COPIES * total:
        raise HubRefusedError(f"{source} needs up to {COPIES * total} bytes while it is added, and {free} are free")
    for file in files:
        say(f"  {file.name}  sha256 {_fetch(hub, source, file, folder)}")


def _fetch(hub: Hub, source: HubSource, file: HubFile, folder: Path) -> str:
    """Fetch one file and return the sha256 of its bytes."""
    sha256, blob = (
        hashlib.sha256(),
        hashlib.sha1(usedforsecurity=False),
    )  # git's name of a file, checked where LFS is not
    blob.update(f"blob {file.size}\0".encode())
    path = f"/{source.owner}/{source.name}/resolve/{source.revision}/{file.name}"
    got = 0
    with hub.asked(path, file.size) as answer, (folder / file.name).open("xb") as writing:
        if answer.commit != source.revision:
            raise HubRefusedError(f"{file.name}: expected the commit {source.revision}, the Hub names {answer.commit}")
        for block in hub.blocks(answer, file.size):
            got += len(block)
            sha256.update(block)
            blob.update(block)
            writing.write(block)
    if got != file.size:
        raise HubRefusedError(f"{file.name}: expected {file.size} bytes as listed, got {got}")
    whole = sha256.hexdigest() == file.sha256 if file.sha256 is not None else blob.hexdigest() == file.blob
    if not whole:
        raise HubRefusedError(f"{file.name}: its bytes are not those of the listing's hash")
    return sha256.hexdigest()
