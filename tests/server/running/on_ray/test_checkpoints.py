"""Checkpoints on a far machine: by content, in pieces, and only whole; and the mark that tells a shared folder."""

from __future__ import annotations

import pytest

from attnscope_model.checkpoints.folders import read_entry, shipped_checkpoints
from attnscope_model.errors import CheckpointChangedError
from attnscope_server.running.on_ray import checkpoints as checkpoints_module
from attnscope_server.running.on_ray.checkpoints import ENTRY, FILES, Cache, pieces
from attnscope_server.running.on_ray.marks import mark_of, sees


@pytest.fixture
def shipped():
    """Return the folder of a registered checkpoint."""
    return shipped_checkpoints()[0]


@pytest.fixture
def cache(tmp_path):
    """Return an empty cache."""
    return Cache(tmp_path / "cache")


def test_a_checkpoint_comes_in_pieces(shipped, cache, monkeypatch):
    """It is there when all of it came; its entry may be stated anew later."""
    monkeypatch.setattr(checkpoints_module, "PIECE_BYTES", 5000)
    name = read_entry(shipped).id
    for file, piece in pieces(shipped):
        assert not cache.has(name)
        cache.store(name, file, piece)
    cache.complete(name)
    assert cache.has(name)
    folder = cache.root / "checkpoints" / name
    assert all((folder / file).read_bytes() == (shipped / file).read_bytes() for file in FILES)
    cache.renew(name, b"{}")
    assert (folder / ENTRY).read_bytes() == b"{}"
    assert [path.name for path in folder.parent.iterdir()] == [name]


def test_other_bytes_are_no_checkpoint(shipped, cache):
    """Whatever changed them on their way, nothing stays."""
    name = read_entry(shipped).id
    for file, piece in pieces(shipped):
        cache.store(name, file, bytes(reversed(piece)))
    with pytest.raises(CheckpointChangedError, match="changed on their way"):
        cache.complete(name)
    assert not cache.has(name)
    assert list((cache.root / "checkpoints").iterdir()) == []
    with pytest.raises(CheckpointChangedError, match="no file"):
        cache.store(name, "../entry.json", b"")


def test_a_folder_is_told_by_its_mark(tmp_path):
    """The mark stays; another folder at the same path, or none, has not this mark."""
    here, other = tmp_path / "here", tmp_path / "other"
    here.mkdir()
    other.mkdir()
    mark = mark_of(here)
    assert mark_of(here) == mark
    assert sees(here, mark)
    assert mark_of(other) != mark
    assert not sees(other, mark)
    assert not sees(tmp_path / "none", mark)
