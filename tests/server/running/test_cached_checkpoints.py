"""A folder of checkpoints that several workers share: what one holds stays, and none removes another's new copy."""

from __future__ import annotations

import fcntl
import os

import pytest

from attnscope_model.checkpoints.folders import ENTRY
from attnscope_server.running import cached_checkpoints
from attnscope_server.running.cached_checkpoints import hold, make_room


@pytest.fixture
def add(tmp_path):
    """Return a function that makes a checkpoint of ten bytes, last used at a time."""

    def make(name, used=0):
        folder = tmp_path / name
        folder.mkdir()
        (folder / ENTRY).write_bytes(b"0123456789")
        os.utime(folder, (used, used))
        return folder

    return make


@pytest.fixture
def replaced(monkeypatch, tmp_path, add):
    """Return a function: another worker removes a folder and fetches it anew just before it is locked here."""

    def before_the_lock(folder):
        def flock(descriptor, way):
            if folder.exists() and not (tmp_path / ".gone").exists():
                folder.rename(tmp_path / ".gone")
                add(folder.name)
            fcntl.flock(descriptor, way)

        locks = type("Locks", (), {name: getattr(fcntl, name) for name in ("LOCK_SH", "LOCK_EX", "LOCK_NB")})
        locks.flock = staticmethod(flock)
        monkeypatch.setattr(cached_checkpoints, "fcntl", locks)

    return before_the_lock


def test_the_longest_unused_goes_until_the_rest_fits(tmp_path, add):
    """A held checkpoint stays though it is the oldest; to hold is to use."""
    held, *others = [add(name, used) for used, name in enumerate("abcd", start=1)]
    descriptor = hold(held)
    os.utime(held, (0, 0))
    make_room(tmp_path, 25)
    assert [folder.exists() for folder in (held, *others)] == [True, False, False, True]
    os.close(descriptor)
    make_room(tmp_path, 10)
    assert [folder.exists() for folder in (held, others[2])] == [False, True]
    os.close(hold(others[2]))
    assert others[2].stat().st_mtime > 4


def test_only_a_whole_checkpoint_is_held(tmp_path, add):
    """One that is not here, or has no entry, is none."""
    assert hold(tmp_path / "none") is None
    (add("half") / ENTRY).unlink()
    assert hold(tmp_path / "half") is None


def test_a_copy_that_came_meanwhile_is_not_removed(tmp_path, add, replaced):
    """The lock is on the old folder, so it says nothing of the new one."""
    folder = add("one")
    replaced(folder)
    make_room(tmp_path, 0)
    assert (folder / ENTRY).exists()


def test_a_folder_that_went_meanwhile_is_not_held(add, replaced):
    """Its lock would keep nobody from removing the new one."""
    folder = add("one")
    replaced(folder)
    assert hold(folder) is None
    assert hold(folder) is not None
