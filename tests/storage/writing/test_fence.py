"""The fence: after a takeover no byte of an older attempt is ever read, whenever that attempt wakes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from attnscope_storage.errors import CaptureLockedError, FencedError, LeaseLostError
from attnscope_storage.layout.places import lock_path
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.writing import fence as fence_module
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.lock import locked_briefly
from attnscope_storage.writing.writer import CaptureWriter

PROGRAM = Path(__file__).parents[1] / "rollout.py"

CPU = {"device": "cpu", "dtype": "float32", "threads": 1, "torch": "2.10"}


def taken(path, rollout, attempt, **options) -> CaptureWriter:
    """Return the writer of a further attempt."""
    tenure = options.pop("tenure", Tenure(attempt, placed_on=CPU))
    return CaptureWriter.resume(path, rollout.schema(), durable=False, tenure=tenure, **options)


def begun(path, rollout, until=8, **options) -> CaptureWriter:
    """Return the writer of a first attempt that has committed some steps and goes on."""
    writer = rollout.create(path, rollout.schema(), tenure=Tenure(1, placed_on=CPU), **options)
    rollout.roll(writer, until)
    settle(writer)
    return writer


def settle(writer) -> None:
    """Wait until all that was submitted is committed: only then is it known where the next block begins."""
    with writer._pool._changed:
        writer._pool._changed.wait_for(lambda: not writer._pool._queued and not writer._pool._writing)


def files(path) -> dict[str, bytes]:
    """Return every file below a folder, with its bytes."""
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def finish(writer, rollout) -> None:
    """Write the rest."""
    with writer:
        rollout.roll(writer)
        writer.close(complete=True)


def test_an_older_attempt_is_refused_after_a_takeover(tmp_path, rollout, expected, decoded, assert_same):
    """The root names the newer attempt from its first moment; the older one changes no byte, and leaves no file."""
    path = tmp_path / "c.zarr"
    with begun(path, rollout) as older:
        newer = taken(path, rollout, 2)
        before = files(path)
        with pytest.raises(FencedError, match="attempt 1"):
            finish(older, rollout)
        assert files(path) == before
        finish(newer, rollout)
    assert_same(decoded(path), expected)
    attributes = CaptureReader.open(path).attributes
    assert attributes["attempt"] == 2
    assert attributes["placed_on"] == [{"from_step": 0, **CPU}]
    with pytest.raises(FencedError, match="attempt 2 has taken over from attempt 1"):
        taken(path, rollout, 1)


def test_an_older_attempt_is_refused_at_the_end_too(tmp_path, rollout):
    """It cannot declare complete what another attempt has."""
    path = tmp_path / "c.zarr"
    older = begun(path, rollout, until=None)
    newer = taken(path, rollout, 2)
    with pytest.raises(FencedError), older:
        older.close(complete=True)
    assert not CaptureReader.open(path).complete
    with newer:
        newer.close(complete=True)
    assert CaptureReader.open(path).complete


def test_of_one_attempt_the_later_writer_has_the_store(tmp_path, rollout):
    """Two processes that were given the same attempt do not both write."""
    path = tmp_path / "c.zarr"
    with begun(path, rollout) as first, taken(path, rollout, 1), pytest.raises(FencedError):
        finish(first, rollout)


@pytest.mark.parametrize("begins", ["create", "resume", "commit"])
def test_without_a_lease_nothing_is_written(tmp_path, rollout, begins):
    """An attempt that could not renew makes nothing, takes nothing over, and commits nothing."""
    path, alive = tmp_path / "c.zarr", [begins != "create"]
    tenure = Tenure(1, lambda: alive[0])
    if begins == "create":
        with pytest.raises(LeaseLostError):
            rollout.create(path, rollout.schema(), tenure=tenure)
        assert files(tmp_path).keys() == {"c.zarr.lock"}
        return
    with rollout.create(path, rollout.schema(), tenure=tenure) as writer:
        alive[0] = False
        before = files(path)
        with pytest.raises(LeaseLostError, match="renew"):
            finish(writer, rollout) if begins == "commit" else taken(path, rollout, 2, tenure=tenure)
        assert files(path) == before


def test_a_deleted_store_is_not_made_again(tmp_path, rollout):
    """The writer of a capture that was deleted is refused, and leaves neither documents nor a lock."""
    path = tmp_path / "c.zarr"
    with begun(path, rollout) as writer:
        shutil.rmtree(path)
        lock_path(path).unlink()
        with pytest.raises(FencedError, match="deleted"):
            finish(writer, rollout)
    assert files(tmp_path) == {}


def test_a_lock_file_that_was_deleted_is_made_again(tmp_path):
    """Two writers never hold two files of one name: the one who locked the deleted file locks the new one."""
    path = tmp_path / "c.zarr"
    with locked_briefly(path):
        lock_path(path).unlink()
        with locked_briefly(path), pytest.raises(CaptureLockedError), locked_briefly(path, 0):
            pytest.fail("two hold it")


def test_unfinished_files_of_older_attempts_are_removed(tmp_path, rollout):
    """A killed attempt leaves files without their names; the next one removes them, and no file of a newer one."""
    path = tmp_path / "c.zarr"
    begun(path, rollout).abort()
    for name in ("c.9.0.0.0.0.partial", "c.9.0.0.0.0.1.partial", "c.9.0.0.0.0.3.partial"):
        (path / "attention/rows" / name).write_bytes(b"x")
    taken(path, rollout, 2).abort()
    assert [one.name for one in path.rglob("*.partial")] == ["c.9.0.0.0.0.3.partial"]


def test_a_disk_that_fails_in_the_middle_leaves_nothing_unnamed(tmp_path, rollout, monkeypatch):
    """A commit that fails while its files are written removes those that were."""
    path = tmp_path / "c.zarr"
    store = fence_module.DurableStore
    with begun(path, rollout) as writer, monkeypatch.context() as broken:
        stage, left = store.stage, [3]

        def full(self, key, value):
            left[0] -= 1
            if not left[0]:
                raise OSError(errno.ENOSPC, "full")
            return stage(self, key, value)

        broken.setattr(store, "stage", full)
        with pytest.raises(OSError, match="full"):
            finish(writer, rollout)
    assert not list(path.rglob("*.partial"))


def test_the_places_of_a_store_are_listed(tmp_path, rollout):
    """The root says from which step on which device computed, one entry a change."""
    path = tmp_path / "c.zarr"
    begun(path, rollout).abort()
    for attempt, device in ((2, "cpu"), (3, "H200"), (4, "H200")):
        taken(path, rollout, 0, tenure=Tenure(attempt, placed_on=CPU | {"device": device})).abort()
    found = CaptureReader.open(path).attributes["placed_on"]
    assert [(one["from_step"], one["device"]) for one in found] == [(0, "cpu"), (8, "H200")]


@contextmanager
def stopped_at(path, stage) -> Iterator[subprocess.Popen]:
    """Run a process of the first attempt that stops itself (SIGSTOP) when it passes a stage for the third time."""
    command = [sys.executable, PROGRAM, path, stage, "3", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            yield process
        finally:
            process.kill()


def test_an_orphan_that_wakes_between_chunk_and_root_is_harmless(tmp_path, rollout, expected, decoded, assert_same):
    """Stopped with its chunks written and its root not, it wakes after the takeover: no reader ever sees its bytes."""
    path = tmp_path / "c.zarr"
    with stopped_at(path, "chunks-staged") as orphan:
        assert CaptureReader.open(path).steps_committed == 8
        newer = taken(path, rollout, 2)
        finish(newer, rollout)
        before = files(path)
        assert [name for name in before if name.endswith(".partial")] == []
        os.kill(orphan.pid, signal.SIGCONT)
        assert "FencedError" in orphan.stderr.read()
    assert files(path) == before
    assert_same(decoded(path), expected)
    assert verify(CaptureReader.open(path)).ok


def test_an_orphan_that_wakes_in_the_middle_of_the_other_attempt_is_harmless(
    tmp_path, rollout, expected, decoded, assert_same
):
    """It wakes while the other attempt is half done; that one goes on to the same arrays."""
    path = tmp_path / "c.zarr"
    with stopped_at(path, "chunks-staged") as orphan:
        newer = taken(path, rollout, 2)
        rollout.roll(newer, 16)
        os.kill(orphan.pid, signal.SIGCONT)
        assert "FencedError" in orphan.stderr.read()
        settle(newer)
        finish(newer, rollout)
    assert_same(decoded(path), expected)


def test_an_orphan_stopped_in_its_publication_holds_the_next_one_up_until_it_is_killed(
    tmp_path, rollout, expected, decoded, assert_same, monkeypatch
):
    """Within the few milliseconds of a publication nobody can take over; the end of the process frees the lock."""
    path = tmp_path / "c.zarr"
    with stopped_at(path, "chunks-written") as orphan:
        with monkeypatch.context() as short:
            short.setattr(fence_module, "locked_briefly", partial(locked_briefly, seconds=0))
            with pytest.raises(CaptureLockedError):
                taken(path, rollout, 2)
        orphan.kill()
        orphan.wait()
        finish(taken(path, rollout, 2), rollout)
    assert_same(decoded(path), expected)
