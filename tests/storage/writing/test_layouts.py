"""Chunks that outlive a commit, reduced rows and the overview: killed or not, read early or late, the same values."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from attnscope_storage.errors import StorageFullError
from attnscope_storage.kinds.capture import overview
from attnscope_storage.layout.keys import Committed
from attnscope_storage.layout.store import PARTIAL_SUFFIX
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import U8_ERROR
from attnscope_storage.verify import verify
from attnscope_storage.writing.writer import CaptureWriter

FORMS = {
    "bytes": {"row_form": "u8"},
    "bins and a curve": {"row_envs": None, "bin_envs": (0, 1, 2), "curve": True, "map_steps": ()},
    "some rows beside bins": {"bin_envs": (0, 1, 2), "curve": True, "row_every": 3, "chunk_bytes": 64},
    "the first version": {"version": 1},
}


@pytest.fixture(params=FORMS)
def of(request, rollout):
    """Return the schema of a capture of each form, whose overview has 6 columns where there is one."""
    with mock.patch.object(overview, "COLUMNS", 6):
        yield rollout.schema(**FORMS[request.param])


def test_a_resumed_capture_of_every_form_is_the_uninterrupted_one(tmp_path, rollout, of, decoded, assert_same):
    """Killed after each of the first commits, it ends with every array bit-equal and its bytes counted."""
    whole = rollout.write(tmp_path / "whole.zarr", of)
    assert verify(CaptureReader.open(whole)).problems == []
    expected = decoded(whole)
    for commits in (1, 2, 3):
        if of.flush_steps * commits < of.total:
            path = rollout.write(tmp_path / f"{commits}.zarr", of, until=of.flush_steps * commits)
            early = decoded(path)
            for name, values in early.items():
                assert np.array_equal(values, expected[name][: len(values)], equal_nan=values.dtype.kind == "f"), name
            rollout.work(path, of)
            assert_same(decoded(path), expected)
            stored = sum(chunk.stat().st_size for chunk in path.rglob("c.*"))
            assert CaptureReader.open(path).attributes["bytes_written"] == stored


def test_bytes_are_counted_once_where_a_commit_ends_one_chunk_and_begins_another(tmp_path, rollout):
    """A commit that adds columns on both sides of a chunk's end counts both chunks, and the next one replaces one."""
    with mock.patch.multiple(overview, COLUMNS=40, CHUNK_BYTES=700):
        of = rollout.schema(chunk_bytes=4096, steps=640, row_every=3, map_steps=())
    path = rollout.write(tmp_path / "capture.zarr", of)
    stored = sum(chunk.stat().st_size for chunk in path.rglob("c.*"))
    assert CaptureReader.open(path).attributes["bytes_written"] == stored


def test_an_older_root_reads_the_same_of_a_chunk_that_grew(running, rollout, expected):
    """A reader that opened before a commit reads its own steps from chunks that the commit wrote again."""
    older = CaptureReader.open(running)
    chunks = DecodedChunks()
    before = chunks.steps(older, "stats/sink", 0, 8, 1)
    rollout.work(running)
    assert np.array_equal(older.array("stats/sink")[:], expected["stats/sink"][:8])
    newer = CaptureReader.open(running)
    assert np.array_equal(chunks.steps(newer, "stats/sink", 0, 22, 1), expected["stats/sink"][:, 1])
    assert np.array_equal(before, expected["stats/sink"][:8, 1])


def test_decoded_chunks_follow_a_chunk_that_grows(tmp_path, rollout, expected):
    """A chunk that was held while it had room left is decoded again once it holds more."""
    path = rollout.write(tmp_path / "c.zarr", until=12)
    chunks = DecodedChunks()
    chunks.steps(CaptureReader.open(path), "rollout/action", 8, 12, 0)
    rollout.work(path)
    found = chunks.steps(CaptureReader.open(path), "rollout/action", 8, 16, 0)
    assert np.array_equal(found, expected["rollout/action"][8:16, 0])


def test_only_full_chunks_have_a_tag_that_needs_no_read(tmp_path, rollout):
    """A chunk that later commits add to has none; once full, or once the capture is complete, it has one."""
    path = rollout.write(tmp_path / "c.zarr", until=12)
    root = CaptureReader.open(path).root
    tags = {key: root.etag(key) for key in ("rollout/action/c.0.0", "rollout/action/c.1.0")}
    assert (tags["rollout/action/c.0.0"] is None, tags["rollout/action/c.1.0"] is None) == (False, True)
    rollout.work(path)
    root = CaptureReader.open(path).root
    assert all(isinstance(found := root.locate(key), Committed) and root.is_full(found) for key in root.chunk_keys())


def test_bytes_are_read_as_weights_within_their_error(tmp_path, rollout, expected):
    """Rows that are stored as bytes are read as float16, and each weight is where it was, within the stated error."""
    reader = CaptureReader.open(rollout.write(tmp_path / "u8.zarr", rollout.schema(row_form="u8")))
    rows = reader.array("attention/rows")
    assert (rows.dtype, reader.root.arrays["attention/rows"].dtype) == (np.float16, "uint8")
    off = np.abs(rows[:].astype(np.float64) - expected["attention/rows"])
    assert np.nanmax(off) <= U8_ERROR + 2.0**-11
    assert np.array_equal(np.isnan(rows[:]), np.isnan(expected["attention/rows"]))
    assert rows.attributes["largest_error"] == U8_ERROR


def test_a_store_of_the_first_version_is_continued_in_it(tmp_path, rollout):
    """A capture that an older version began goes on with one chunk a commit; the newest layout is refused."""
    first = rollout.schema(version=1)
    path = rollout.write(tmp_path / "c.zarr", first, until=8)
    with pytest.raises(ValueError, match="written by schema 1; schema 2 cannot continue it"):
        CaptureWriter.resume(path, rollout.schema(), durable=False)
    rollout.work(path, first)
    reader = CaptureReader.open(path)
    assert (reader.schema_version, reader.complete, reader.array("rollout/action").chunks[0]) == (1, True, 4)
    assert verify(reader).ok


def finish(rollout, writer):
    """Write a capture to its end."""
    with writer:
        rollout.roll(writer)
        writer.close(complete=True)


@pytest.mark.parametrize("stage", ["chunks-written", "array-metadata-written:rollout/reward", "root-staged"])
def test_files_that_are_written_at_once_are_committed_at_once(tmp_path, rollout, decoded, assert_same, expected, stage):
    """Made durable, several files a time: a crash leaves the commit before, and going on ends with the same arrays."""
    path, passed = tmp_path / "c.zarr", []

    def crash(name):
        passed.append(name)
        if passed.count(stage) == 3:  # the second commit; the first time is the creation
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(rollout, rollout.create(path, rollout.schema(), durable=True, at_stage=crash))
    assert CaptureReader.open(path).steps_committed == 4
    rollout.work(path)
    assert_same(decoded(path), expected)


def test_a_full_disk_is_said_by_the_thread_that_meets_it(tmp_path, rollout):
    """One of several files that are written at once does not fit: the rollout hears of it, and the commit is not."""
    path = tmp_path / "c.zarr"
    writer = rollout.create(path, rollout.schema(), durable=True)
    (path / f"stats/entropy/c.0.0.0.0{PARTIAL_SUFFIX}").symlink_to("/dev/full")
    with pytest.raises(StorageFullError, match="stats/entropy"):
        finish(rollout, writer)
    assert CaptureReader.open(path).steps_committed == 0


def test_an_overview_says_what_its_steps_say(tmp_path, rollout):
    """First steps, sums, means and mean rows of every column are those of the arrays that they follow from."""
    with mock.patch.object(overview, "COLUMNS", 6):
        reader = CaptureReader.open(rollout.write(tmp_path / "c.zarr", rollout.schema()))
    whole = {name: reader.array(name)[:] for name in reader.names()}
    step, last = whole["overview/step"], 22
    assert step.tolist() == [0, 4, 8, 12, 16, 20]
    assert np.array_equal(whole["overview/start"], whole["context/start"][step])
    assert np.allclose(whole["overview/reward"], np.add.reduceat(whole["rollout/reward"], step))
    ended = (whole["rollout/truncated"] > 0) | (whole["rollout/terminated"] > 0)
    assert np.array_equal(whole["overview/ended"], np.add.reduceat(ended.astype(np.int32), step))
    means = [whole["stats/entropy"][a:b].mean(axis=(0, 2, 3)) for a, b in zip(step, [*step[1:], last], strict=True)]
    assert np.allclose(whole["overview/entropy"], means)
    rows = whole["attention/rows"][step].mean(axis=(2, 3), dtype=np.float32)
    assert np.allclose(whole["overview/rows"], rows, atol=1e-3, equal_nan=True)


def test_cells_hold_the_mean_of_the_slots_that_a_context_reaches():
    """Rows of more slots than cells are pooled; a cell past the context is NaN, one at its end takes what is there."""
    rows = np.full((1, 1, 1, 2, 600), np.nan, np.float16)
    rows[..., :4] = [[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.4]]
    cells = overview.mean_cells(rows)[0, 0]
    assert cells.shape == (200,)
    assert np.allclose(cells[:2], [0.2, 0.4], atol=1e-3)
    assert np.isnan(cells[2:]).all()
