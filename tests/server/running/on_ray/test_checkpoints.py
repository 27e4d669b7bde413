"""Checkpoints on a far machine: by content, in pieces, and only whole; and the mark that tells a shared folder."""

from __future__ import annotations

import os

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
    return Cache(2**30, tmp_path / "cache")


@pytest.fixture
def bring():
    """Return a function that brings a registered checkpoint into a cache, and returns its id."""

    def into(cache, folder):
        name = read_entry(folder).id
        for file, piece in pieces(folder):
            cache.store(name, file, piece)
        cache.complete(name)
        return name

    return into


def test_a_checkpoint_comes_in_pieces(shipped, cache, monkeypatch):
    """It is there when all of it came; its entry may be stated anew later."""
    monkeypatch.setattr(checkpoints_module, "PIECE_BYTES", 5000)
    name = read_entry(shipped).id
    for file, piece in pieces(shipped):
        assert not (cache.root / "checkpoints" / name).exists()
        cache.store(name, file, piece)
    cache.complete(name)
    assert cache.hold([name]) == ()
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
    assert cache.hold([name]) == (name,)
    assert list((cache.root / "checkpoints").iterdir()) == []
    with pytest.raises(CheckpointChangedError, match="no file"):
        cache.store(name, "../entry.json", b"")


def test_room_is_made_by_what_was_not_used_for_longest(tmp_path, bring):
    """The checkpoints of an attempt stay, another actor's too, however full the cache is; the rest goes by last use."""
    one, other, third = shipped_checkpoints()[:3]
    cache, beside = Cache(1, tmp_path), Cache(1, tmp_path)
    folder = tmp_path / "checkpoints"

    def here():
        return {path.name for path in folder.iterdir()}

    first, second = bring(cache, one), bring(cache, other)
    assert cache.hold([first, second]) == ()
    assert here() == {first, second}
    assert beside.hold([second]) == ()
    assert cache.hold([first]) == ()
    assert here() == {first, second}
    last = bring(beside, third)
    assert beside.hold([last]) == ()
    assert here() == {first, last}
    assert cache.hold([second]) == (second,)


def test_halves_of_an_order_that_was_given_up_go(tmp_path, shipped, cache):
    """The next order brings the checkpoint from its beginning; a dead actor's halves go at a start."""
    name = read_entry(shipped).id
    cache.store(name, *next(pieces(shipped)))
    assert cache.hold([name]) == (name,)
    folder = tmp_path / "cache" / "checkpoints"
    assert list(folder.iterdir()) == []
    (left := folder / ".adding-dead").mkdir()
    os.utime(left, (0, 0))
    cache.sweep()
    assert list(folder.iterdir()) == []


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
