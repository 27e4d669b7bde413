"""Downloading a capture: each key inside its own folder, no link followed, nothing larger than the disk has room."""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path
from typing import Final

import numpy as np

from attnscope.errors import DownloadRefusedError, UnexpectedAnswerError
from attnscope.fetching.whole_file import write_whole
from attnscope_storage.layout.keys import Committed
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.reading.reader import CaptureReader

GROWING: Final = ".growing"
"""The ending of a chunk's name that later commits add to, until the download is whole."""


def download(reader: CaptureReader, path: str | Path) -> Path:
    """Write every committed chunk into a new folder; it appears whole or not at all.

    Raises
    ------
    DownloadRefusedError
        There is something at `path` already, or a link where the unfinished download lies.
    UnexpectedAnswerError
        The root document speaks of more than the disk has room for.
    """
    target = Path(path)
    if target.exists() or target.is_symlink():
        raise DownloadRefusedError(f"{target} exists already")
    root = reader.root
    _refuse_too_much(root, target)
    # Named after the capture too, so that an earlier try for another one is never taken for a part of this.
    capture_id = hashlib.sha256(str(root.attributes["capture_id"]).encode()).hexdigest()[:16]
    scratch, whole = (target.with_name(f".{target.name}.{capture_id}.{state}") for state in ("partial", "whole"))
    _refuse_links(whole, whole)
    shutil.rmtree(whole, ignore_errors=True)
    growing: set[Path] = set()
    for key in (*root.metadata_keys()[1:], *root.chunk_keys(), root.metadata_keys()[0]):
        located = root.locate(key)
        grows = isinstance(located, Committed) and not root.is_full(located)
        file = scratch / (key + GROWING * grows)  # keys come from a parsed root document, which admits plain names only
        growing |= {file} if grows else set()
        _refuse_links(scratch, file)
        if isinstance(located, Committed) and not grows and file.is_file():
            continue  # fetched by an earlier try: a full chunk never changes
        write_whole(file, reader.chunk_bytes(key) if isinstance(located, Committed) else root.node_bytes(key))
    for left in set(scratch.rglob(f"*{GROWING}")) - growing:
        left.unlink()  # of an earlier try, when the chunk was not full
    scratch.rename(whole)  # from here on a chunk may have its name though a later try would have to fetch it again
    for file in growing:
        moved = whole / file.relative_to(scratch)
        moved.rename(moved.with_name(moved.name.removesuffix(GROWING)))
    whole.rename(target)
    return target


def _refuse_too_much(root: Root, target: Path) -> None:
    """Refuse a capture that would not fit even compressed as far as a service says; a hostile one has no end."""
    decoded = sum(math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in root.arrays.values())
    chunks = sum(math.prod(array.grid) for array in root.arrays.values())
    free = shutil.disk_usage(next(parent for parent in target.absolute().parents if parent.exists())).free
    if chunks > free // 512 or decoded // 1000 > free:  # no chunk takes less than a block, nor zstd 0.1 % of its values
        raise UnexpectedAnswerError(
            f"the capture claims {decoded:.3g} decoded bytes in {chunks:.3g} chunks; {free:.3g} bytes are free here"
        )


def _refuse_links(scratch: Path, file: Path) -> None:
    place = file
    while True:
        if place.is_symlink():
            raise DownloadRefusedError(f"{place} is a symbolic link; remove it, downloads follow none")
        if place == scratch:
            return
        place = place.parent
