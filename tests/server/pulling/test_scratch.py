"""Folders of workers that send their commits: the living keep theirs, what the dead left is removed."""

from __future__ import annotations

import pytest

from attnscope_server.pulling.scratch import Scratch


@pytest.fixture
def scratch(tmp_path):
    """Return the folders below a fresh cache."""
    return Scratch(tmp_path / "scratch")


def test_folders_of_dead_workers_are_removed_and_those_of_the_living_stay(scratch):
    """The kernel drops the lock of a process that is killed, so a folder that nobody holds is a dead worker's."""
    assert scratch.sweep() == 0
    with scratch.held("living") as mine, scratch.held("other") as another:
        for folder in (mine, another, scratch.root / "dead"):
            (folder / "captures").mkdir(parents=True)
            (folder / "captures" / "c.0").write_bytes(b"x")
        assert scratch.sweep() == 1
        assert sorted(folder.name for folder in scratch.root.iterdir()) == ["living", "other"]
        assert (mine / "captures" / "c.0").exists()
    assert list(scratch.root.iterdir()) == []


def test_what_is_no_such_folder_is_left(scratch, tmp_path):
    """A link is not followed, and a file is nobody's folder."""
    scratch.root.mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").touch()
    (scratch.root / "link").symlink_to(tmp_path / "precious")
    (scratch.root / "file").touch()
    assert scratch.sweep() == 0
    assert (tmp_path / "precious" / "x").exists()


def test_a_folder_that_is_swept_before_it_is_held_is_made_again(scratch, monkeypatch):
    """Another worker may start between its making and its locking."""
    import fcntl  # noqa: PLC0415 - to be replaced

    real, stolen = fcntl.flock, []

    def late(descriptor, way):
        if not stolen:
            stolen.append(True)
            (scratch.root / "mine").rmdir()
        real(descriptor, way)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch.held("mine") as mine:
        assert mine.is_dir()
        assert scratch.sweep() == 0
