"""The refusals of a writer: other writers, other schemas, blocks that would leave a hole."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.errors import (
    CaptureExistsError,
    CaptureLockedError,
    CaptureNotFoundError,
    SchemaMismatchError,
)
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.writing.writer import CaptureWriter


def test_one_writer_a_capture(tmp_path, rollout):
    """A second writer is refused, even in the same process, until the first lets go; a reader never is."""
    path = tmp_path / "c.zarr"
    with rollout.create(path, rollout.schema()) as writer:
        rollout.roll(writer, 4)
        with pytest.raises(CaptureLockedError):
            CaptureWriter.resume(path, rollout.schema())
        CaptureReader.open(path)
        writer.close(complete=False)
    with CaptureWriter.resume(path, rollout.schema()) as second:
        assert second.steps_committed == 4


def test_a_capture_is_not_created_twice(finished, rollout):
    """A capture that exists is resumed or left alone."""
    with pytest.raises(CaptureExistsError):
        rollout.create(finished, rollout.schema())
    with pytest.raises(CaptureNotFoundError):
        CaptureWriter.resume(finished.with_name("none.zarr"), rollout.schema())


@pytest.mark.parametrize(
    "changes", [{"slots": 9}, {"envs": 4}, {"steps": 23}, {"row_every": 2}, {"map_steps": (0, 1)}, {"row_heads": (0,)}]
)
def test_another_schema_is_not_resumed(running, rollout, changes):
    """A capture whose arrays are others is refused, and stays as it is."""
    with pytest.raises(SchemaMismatchError):
        CaptureWriter.resume(running, rollout.schema(**changes))
    assert CaptureReader.open(running).steps_committed == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "expected 1 to 4 steps, got 0"),
        ({"steps": 5}, "expected 1 to 4 steps, got 5"),
        ({"steps": 3}, "may only be the last, but 19 steps are to come"),
        ({"maps": []}, r"expected maps of steps \[0\], got \[\]"),
        ({"maps": [(1, np.zeros((2, 2, 2, 8, 8), np.float16))]}, r"expected maps of steps \[0\], got \[1\]"),
        ({"maps": [(0, np.zeros((2, 2, 2, 8, 8), np.float32))]}, "expected float16"),
        ({"maps": [(0, np.zeros((2, 2, 2, 8, 7), np.float16))]}, "expected float16"),
    ],
)
def test_malformed_blocks_are_refused(tmp_path, rollout, change, message):
    """A block that would leave a hole or not fit is refused when it is submitted, and may be corrected."""
    with rollout.create(tmp_path / "c.zarr", rollout.schema()) as writer:
        block = writer.acquire()
        rollout.fill(block, writer.schema, 0, 4)
        good = {name: getattr(block, name) for name in change}
        for name, value in change.items():
            setattr(block, name, value)
        with pytest.raises(ValueError, match=message):
            writer.submit(block)
        for name, value in good.items():
            setattr(block, name, value)
        writer.submit(block)
        writer.close(complete=False)
    assert CaptureReader.open(tmp_path / "c.zarr").steps_committed == 4


def test_misuse_is_an_error_and_no_deadlock(tmp_path, rollout):
    """Acquiring more blocks than there are, submitting twice or a stranger's, and using a closed writer all raise."""
    with rollout.create(tmp_path / "c.zarr", rollout.schema(), blocks=1) as writer:
        block = writer.acquire()
        with pytest.raises(RuntimeError, match="every block is lent"):
            writer.acquire()
        rollout.fill(block, writer.schema, 0, 4)
        writer.submit(block)
        writer.close(complete=False)
        with pytest.raises(RuntimeError, match="closed"):
            writer.acquire()
        rollout.fill(block, writer.schema, 4, 4)
        block.maps.clear()
        with pytest.raises(RuntimeError, match="only a block that was acquired"):
            writer.submit(block)


def test_an_unfinished_capture_cannot_be_declared_complete(tmp_path, rollout):
    """`complete` is said only when every step is committed, and what is there stays."""
    path = tmp_path / "c.zarr"
    with rollout.create(path, rollout.schema()) as writer:
        rollout.roll(writer, 8)
        with pytest.raises(ValueError, match="8 of 22"):
            writer.close(complete=True)
    reader = CaptureReader.open(path)
    assert (reader.steps_committed, reader.complete) == (8, False)


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "dtype"])
def test_static_arrays_must_be_those_of_the_schema(tmp_path, rollout, change):
    """A static array that is missing, unknown, misshapen or of another kind is refused before anything is written."""
    of = rollout.schema()
    values = rollout.static(of)
    if change == "missing":
        del values["env/task"]
    else:
        name = "env/none" if change == "extra" else "env/task"
        values[name] = np.zeros(4 if change == "shape" else 3, np.float32 if change == "dtype" else np.int32)
    with pytest.raises(ValueError, match="env/"):
        CaptureWriter.create(tmp_path / "c.zarr", of, {}, values)
    assert not (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize("attributes", [{"complete": True}, {"x": float("nan")}, {"x": object()}])
def test_attributes_that_cannot_be_kept_are_refused(tmp_path, rollout, attributes):
    """The writer's own attributes, and what is no JSON, are refused before anything is written."""
    of = rollout.schema()
    with pytest.raises((ValueError, TypeError)):
        CaptureWriter.create(tmp_path / "c.zarr", of, attributes, rollout.static(of))
    assert not (tmp_path / "c.zarr").exists()
