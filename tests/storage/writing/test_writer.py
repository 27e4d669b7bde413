"""Writing beside the rollout: bounded memory, nothing lost, failures that say why."""

from __future__ import annotations

import gc
import threading
import tracemalloc

import numpy as np
import pytest

from attnscope_storage.errors import (
    CaptureNotFoundError,
    StorageFullError,
    StorageUnwritableError,
)
from attnscope_storage.layout.store import PARTIAL_SUFFIX
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.writing.writer import CaptureWriter


class Gate:
    """An `at_stage` that holds the writer's thread at its first stage after creation until told to go on."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()
        self._creator = threading.get_ident()

    def __call__(self, _stage):
        """Wait, if this is the writer's thread."""
        if threading.get_ident() != self._creator:
            self.reached.set()
            self.opened.wait()


def submit(rollout, writer, first, steps=4):
    """Fill a block and submit it."""
    block = writer.acquire()
    rollout.fill(block, writer.schema, first, steps)
    writer.submit(block)


def test_a_slow_disk_slows_the_rollout_and_loses_nothing(tmp_path, rollout, expected, decoded, assert_same):
    """While the disk hangs, the blocks run out and acquiring waits; then every step is there."""
    gate = Gate()
    with rollout.create(tmp_path / "c.zarr", rollout.schema(), blocks=2, at_stage=gate) as writer:
        submit(rollout, writer, 0)
        submit(rollout, writer, 4)
        gate.reached.wait()
        acquired = []
        waiting = threading.Thread(target=lambda: acquired.append(writer.acquire()))
        waiting.start()
        waiting.join(timeout=0.05)
        assert acquired == []
        gate.opened.set()
        waiting.join()
        rollout.fill(acquired[0], writer.schema, 8, 4)
        writer.submit(acquired[0])
        for first in (12, 16):
            submit(rollout, writer, first)
        submit(rollout, writer, 20, steps=2)
        writer.close(complete=True)
    assert_same(decoded(tmp_path / "c.zarr"), expected)


def test_blocks_are_reused_and_come_back_empty(tmp_path, rollout):
    """A writer of two blocks lends two for ever, each "never written" again: NaN, -1 and no maps."""
    with rollout.create(tmp_path / "c.zarr", rollout.schema(), blocks=2) as writer:
        seen = set()
        for first in range(0, 20, 4):
            block = writer.acquire()
            seen.add(id(block))
            assert block.steps == 0
            assert block.maps == []
            for name, values in block.arrays.items():
                spec = writer.schema.arrays[name]
                assert np.array_equal(values, np.full_like(values, spec.fill), equal_nan=values.dtype.kind == "f")
            rollout.fill(block, writer.schema, first, 4)
            writer.submit(block)
    assert len(seen) <= 2


def test_memory_does_not_grow_with_steps(tmp_path, rollout):
    """After fifty more commits the writer keeps no more than it did."""
    kept = []
    with rollout.create(tmp_path / "c.zarr", rollout.schema(steps=240, map_steps=())) as writer:
        tracemalloc.start()
        for first in range(0, 240, 4):
            submit(rollout, writer, first)
            if first in {36, 236}:
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        writer.close(complete=True)
    assert kept[1] < kept[0] + 50_000


def test_commits_are_reported_in_order_and_once(tmp_path, rollout):
    """`on_commit` hears of every commit after it is readable, with the bytes of all chunks so far."""
    path, heard = tmp_path / "c.zarr", []

    def on_commit(commit):
        assert CaptureReader.open(path).steps_committed == commit.steps_committed
        heard.append(commit)

    with rollout.create(path, rollout.schema(), on_commit=on_commit) as writer:
        rollout.roll(writer)
        writer.close(complete=True)
    assert [commit.steps_committed for commit in heard] == [4, 8, 12, 16, 20, 22]
    stored = sum(chunk.stat().st_size for chunk in path.rglob("c.*"))
    assert heard[-1].bytes_written == stored


def test_bytes_are_counted_across_a_resumption(running, rollout):
    """A resumed writer goes on counting where the killed one stood."""
    heard = []
    with CaptureWriter.resume(running, rollout.schema(), durable=False, on_commit=heard.append) as writer:
        rollout.roll(writer)
        writer.close(complete=True)
    assert heard[-1].bytes_written == sum(chunk.stat().st_size for chunk in running.rglob("c.*"))


@pytest.mark.parametrize("first_call", ["acquire", "submit", "close"])
def test_a_full_disk_reaches_the_rollout_and_leaves_a_readable_store(tmp_path, rollout, first_call):
    """The kernel's ENOSPC is raised from whatever the rollout calls next, and again from the call after that."""
    path = tmp_path / "c.zarr"
    with rollout.create(path, rollout.schema(), blocks=3) as writer:
        submit(rollout, writer, 0)
        spare, other = writer.acquire(), writer.acquire()
        (path / f"attention/rows/c.1.0.0.0.0{PARTIAL_SUFFIX}").symlink_to("/dev/full")
        rollout.fill(spare, writer.schema, 4, 4)
        rollout.fill(other, writer.schema, 8, 4)
        writer.submit(spare)
        writer._thread.join()
        with pytest.raises(StorageFullError, match="No space left"):
            {
                "acquire": writer.acquire,
                "submit": lambda: writer.submit(other),
                "close": lambda: writer.close(complete=False),
            }[first_call]()
        with pytest.raises(StorageFullError):
            writer.close(complete=False)
    reader = CaptureReader.open(path)
    assert reader.steps_committed == 4
    assert verify(reader).ok


def test_a_failing_disk_wakes_a_rollout_that_waits(tmp_path, rollout):
    """A rollout that waits for a block while the disk fails hears of it instead of waiting for ever."""
    gate, path = Gate(), tmp_path / "c.zarr"
    with rollout.create(path, rollout.schema(), blocks=1, at_stage=gate) as writer:
        (path / f"zarr.json{PARTIAL_SUFFIX}").symlink_to("/dev/full")
        submit(rollout, writer, 0)
        gate.reached.wait()
        threading.Timer(0.02, gate.opened.set).start()
        with pytest.raises(StorageFullError):
            writer.acquire()
    assert CaptureReader.open(path).steps_committed == 0


def test_a_full_disk_during_creation_leaves_no_capture(tmp_path, rollout):
    """Nothing is there after a failed creation, the lock is free, and creating again succeeds."""
    path = tmp_path / "c.zarr"
    path.mkdir()
    (path / f"zarr.json{PARTIAL_SUFFIX}").symlink_to("/dev/full")
    with pytest.raises(StorageFullError):
        rollout.create(path, rollout.schema())
    with pytest.raises(CaptureNotFoundError):
        CaptureReader.open(path)
    rollout.write(path)
    assert verify(CaptureReader.open(path)).ok


def test_an_unwritable_root_is_said_to_be_unwritable(tmp_path, rollout):
    """A captures folder that is no folder fails the creation with that reason."""
    (tmp_path / "captures").write_bytes(b"")
    with pytest.raises(StorageUnwritableError):
        rollout.create(tmp_path / "captures" / "c.zarr", rollout.schema())


def test_resuming_keeps_the_attributes(running, rollout):
    """Job, owner, provenance and the capture's id are those of the creation."""
    before = CaptureReader.open(running).attributes
    with CaptureWriter.resume(running, rollout.schema(), durable=False) as writer:
        rollout.roll(writer)
        writer.close(complete=True)
    after = CaptureReader.open(running).attributes
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"steps_committed", "bytes_written", "complete"}
    assert (before["complete"], after["complete"]) == (False, True)


def test_a_finished_rollout_that_was_not_declared_complete_can_be(tmp_path, rollout):
    """A crash between the last commit and the declaration needs no step taken again."""
    path = tmp_path / "c.zarr"
    with rollout.create(path, rollout.schema()) as writer:
        rollout.roll(writer)
        writer.close(complete=False)
    assert not CaptureReader.open(path).complete
    with CaptureWriter.resume(path, rollout.schema()) as writer:
        assert writer.steps_committed == 22
        assert not writer.complete
        writer.close(complete=True)
    assert CaptureReader.open(path).complete


def test_leaving_without_closing_drops_what_is_not_committed(tmp_path, rollout):
    """An error in the rollout leaves the last commit, and queued blocks are not written."""
    path, gate = tmp_path / "c.zarr", Gate()

    def leave():
        with rollout.create(path, rollout.schema(), at_stage=gate) as writer:
            submit(rollout, writer, 0)
            submit(rollout, writer, 4)
            gate.reached.wait()
            threading.Timer(0.02, gate.opened.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    reader = CaptureReader.open(path)
    assert reader.steps_committed == 0
    assert verify(reader).ok


def test_an_error_in_on_commit_is_the_rollouts(tmp_path, rollout):
    """Whatever fails in the writer's thread is raised in the rollout's."""

    def fail(_):
        raise LookupError("progress")

    with rollout.create(tmp_path / "c.zarr", rollout.schema(), on_commit=fail) as writer:
        submit(rollout, writer, 0)
        with pytest.raises(LookupError, match="progress"):
            writer.close(complete=False)
    assert CaptureReader.open(tmp_path / "c.zarr").steps_committed == 4
