"""Symbolic links inside a capture: whatever they point to, they are no part of it."""

from __future__ import annotations

import shutil

import pytest

from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader

KEY = "rollout/action/c.0.0"


@pytest.mark.parametrize("place", ["zarr.json", "rollout", "rollout/action", KEY])
def test_a_link_is_damage_wherever_it_stands(pristine, tmp_path, place):
    """The document, a folder or a chunk: each read of it is refused, also where the link leads to the right bytes."""
    capture, outside = tmp_path / "c.zarr", tmp_path / "outside"
    shutil.copytree(pristine, capture)
    (capture / place).rename(outside)
    (capture / place).symlink_to(outside)
    if place == "zarr.json":
        with pytest.raises(ChunkDamagedError, match="symbolic link"):
            CaptureReader.open(capture)
    else:
        reader = CaptureReader.open(capture)
        with pytest.raises(ChunkDamagedError, match="symbolic link"):
            reader.chunk_bytes(KEY)
        with pytest.raises(ChunkDamagedError, match="symbolic link"):
            reader.array("rollout/action")[:]
        with pytest.raises(ChunkDamagedError, match="symbolic link"):
            DecodedChunks().steps(reader, "rollout/action", 0, 1, 0)


def test_the_folder_itself_may_be_a_link(pristine, tmp_path):
    """A link that the caller named is followed; so a capture may lie on another disk."""
    (tmp_path / "link.zarr").symlink_to(pristine)
    assert CaptureReader.open(tmp_path / "link.zarr").chunk_bytes(KEY)
