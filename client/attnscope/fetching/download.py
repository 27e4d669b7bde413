"""Downloading a capture: each key inside its own folder, no link followed, nothing larger than the disk has room."""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path

import numpy as np

from attnscope.errors import DownloadRefusedError, UnexpectedAnswerError
from attnscope.fetching.whole_file import write_whole
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.reading.reader import CaptureReader


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
    scratch = target.with_name(f".{target.name}.{capture_id}.partial")
    for key in (*root.metadata_keys()[1:], *root.chunk_keys(), root.metadata_keys()[0]):
        file = scratch / key  # keys come from a parsed root document, which admits plain names only
        _refuse_links(scratch, file)
        is_document = key.split("/")[-1] == "zarr.json"
        if not is_document and file.is_file():
            continue  # fetched by an earlier try: a committed chunk never changes
        write_whole(file, root.node_bytes(key) if is_document else reader.chunk_bytes(key))
    scratch.rename(target)
    return target


def _refuse_too_much(root: Root, target: Path) -> None:
    """Refuse a capture that would not fit even compressed as far as a service says; a hostile one has no end."""
    decoded = sum(math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in root.arrays.values())
    chunks = sum(math.prod(array.grid) for array in root.arrays.values())
    free = shutil.disk_usage(_existing(target)).free
    if chunks > free // 512 or decoded // 1000 > free:  # no chunk takes less than a block, nor zstd 0.1 % of its values
        raise UnexpectedAnswerError(
            f"the capture claims {decoded:.3g} decoded bytes in {chunks:.3g} chunks; {free:.3g} bytes are free here"
        )


def _existing(path: Path) -> Path:
    return next(parent for parent in path.absolute().parents if parent.exists())


def _refuse_links(scratch: Path, file: Path) -> None:
    place = file
    while True:
        if place.is_symlink():
            raise DownloadRefusedError(f"{place} is a symbolic link; remove it, downloads follow none")
        if place == scratch:
            return
        place = place.parent
