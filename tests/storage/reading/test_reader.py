"""Reading: what is committed, exactly, and errors where it is gone."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore

from attnscope_storage.errors import CaptureNotFoundError, ChunkDamagedError, ChunkLostError, NotCommittedError
from attnscope_storage.reading.committed import CommittedStore
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.writing.writer import CaptureWriter

CHUNK = "attention/rows/c.1.0.0.0.0"


def test_a_finished_capture_says_what_it_is(pristine):
    """Progress, policy and arrays are there without a chunk being read."""
    reader = CaptureReader.open(pristine)
    assert (reader.steps_committed, reader.steps_total, reader.complete, reader.schema_version) == (22, 22, True, 2)
    assert reader.policy.query_slot == "last"
    assert reader.attributes["provenance"] == {"mask": "stated by user"}
    rows = reader.array("attention/rows")
    assert rows.dims == ("step", "row_env", "layer", "head", "slot")
    assert (rows.shape, rows.chunks, rows.dtype) == ((22, 2, 2, 2, 8), (4, 1, 2, 2, 8), np.float16)
    assert rows.nbytes == 22 * 2 * 2 * 2 * 8 * 2
    assert len(rows) == 22
    assert "attention/rows" in repr(rows)
    assert reader.names() == tuple(sorted(reader.names()))
    with pytest.raises(KeyError):
        reader.array("attention/none")


def test_what_was_written_is_read(pristine, rollout):
    """Each step holds what the rollout put there."""
    of = rollout.schema()
    block = rollout.StepBlock(of)
    rollout.fill(block, of, 8, 4)
    reader = CaptureReader.open(pristine)
    for name, values in block.arrays.items():
        assert reader.array(name)[8:12].tobytes() == values.tobytes(), name
    assert [int(step) for step in reader.array("attention/map_step")[:]] == [0, 9, 10, 21]
    assert reader.array("attention/maps")[1].tobytes() == block.maps[0][1].tobytes()
    for name, values in rollout.static(of).items():
        assert np.array_equal(reader.array(name)[:], values), name


def test_rows_of_some_steps_have_an_axis_of_their_own(tmp_path, rollout):
    """With every third row stored, `row_step` says which, and statistics still cover every step."""
    path = rollout.write(tmp_path / "c.zarr", rollout.schema(row_every=3))
    reader = CaptureReader.open(path)
    assert reader.array("attention/rows").dims[0] == "row_step"
    assert reader.array("attention/row_step")[:].tolist() == list(range(0, 22, 3))
    assert reader.array("stats/entropy").shape[0] == 22


def test_uncommitted_steps_are_refused_until_they_are_committed(running, rollout):
    """A reader sees a new commit only after `refresh`, and refuses its steps before."""
    reader = CaptureReader.open(running)
    array = reader.array("rollout/action")
    assert array[:].shape == (8, 3)
    with pytest.raises(NotCommittedError, match="8 committed"):
        array[8]
    assert not reader.refresh()
    with CaptureWriter.resume(running, rollout.schema(), durable=False) as writer:
        rollout.roll(writer)
        writer.close(complete=True)
    with pytest.raises(NotCommittedError):
        reader.array("rollout/action")[:9]
    assert reader.refresh()
    assert reader.array("rollout/action")[:9].shape == (9, 3)
    assert array.shape == (8, 3)


def test_orphans_of_a_crash_are_not_shown(running):
    """Chunks and array documents ahead of the root are as if they were not there."""
    ahead = running / "rollout/action/c.1.0"
    shutil.copy(running / "rollout/action/c.0.0", ahead)
    own = running / "rollout/action/zarr.json"
    own.write_text(own.read_text().replace('"shape":[8,3]', '"shape":[12,3]'))
    reader = CaptureReader.open(running)
    assert reader.array("rollout/action").shape == (8, 3)
    assert reader.chunk_path("rollout/action/c.1.0") is None
    assert zarr.open_array(reader.store, path="rollout/action", mode="r").shape == (8, 3)


def test_a_lost_chunk_is_an_error_and_not_nan(finished):
    """A committed chunk that is gone raises, through our arrays, through zarr and as bytes."""
    (finished / CHUNK).unlink()
    reader = CaptureReader.open(finished)
    rows = reader.array("attention/rows")
    assert not np.isnan(rows[0, 0, :, :, 0]).any()
    for read in (
        lambda: rows[4],
        lambda: rows[:],
        lambda: zarr.open_group(reader.store, mode="r")["attention/rows"][:],
        lambda: reader.chunk_bytes(CHUNK),
    ):
        with pytest.raises(ChunkLostError, match=CHUNK):
            read()


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "another chunk's", "a folder"])
def test_a_damaged_chunk_is_named(finished, damage):
    """Whatever happened to the bytes, the error says which chunk it is and the others still read."""
    path = finished / CHUNK
    stored = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(stored[:-5])
        case "flipped":
            path.write_bytes(stored[:30] + bytes([stored[30] ^ 16]) + stored[31:])
        case "another chunk's":
            shutil.copy(finished / "rollout/action/c.0.0", path)
        case "a folder":
            path.mkdir()
    rows = CaptureReader.open(finished).array("attention/rows")
    with pytest.raises((ChunkDamagedError, ChunkLostError), match=CHUNK):
        rows[2:6]
    assert rows[:4].shape == (4, 2, 2, 2, 8)
    assert rows[4:8, 1].shape == (4, 2, 2, 8)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(5, os.strerror(5)), ChunkDamagedError),
        (PermissionError(13, os.strerror(13)), ChunkDamagedError),
        (ChunkLostError("lost at the server"), ChunkLostError),
        (LookupError("the network's own"), LookupError),
    ],
)
def test_what_cannot_be_read_is_not_absent(finished, monkeypatch, error, kind):
    """An I/O error of the disk is reported as damage, for chunks and for the root; a store's own error stays."""

    async def fail(*_):
        raise error

    reader = CaptureReader.open(finished)
    monkeypatch.setattr(LocalStore, "get", fail)
    for read in (lambda: reader.chunk_bytes(CHUNK), reader.refresh):
        with pytest.raises(kind, match=str(error.args[-1])):
            read()


def test_bytes_and_paths_of_chunks_are_only_those_committed(finished):
    """The raw route gets a file or the bytes of a committed chunk, and nothing for any other key."""
    reader = CaptureReader.open(finished)
    assert reader.chunk_path(CHUNK) == finished / CHUNK
    assert reader.chunk_bytes(CHUNK) == (finished / CHUNK).read_bytes()
    for key in ("attention/rows/c.6.0.0.0.0", "zarr.json", "../finished.zarr/zarr.json", "zarr.json.partial"):
        assert reader.chunk_path(key) is None
        with pytest.raises(NotCommittedError):
            reader.chunk_bytes(key)


def test_any_zarr_store_will_do(finished, expected, decoded):
    """A capture copied into another kind of store reads the same, though it has no paths there."""
    store = MemoryStore()
    for path in finished.rglob("*"):
        if path.is_file():
            key = path.relative_to(finished).as_posix()
            sync(store.set(key, default_buffer_prototype().buffer.from_bytes(path.read_bytes())))
    reader = CaptureReader.open(store)
    assert reader.chunk_path(CHUNK) is None
    assert reader.array("attention/rows")[:].tobytes() == expected["attention/rows"].tobytes()
    assert decoded(store).keys() == expected.keys()


def test_nothing_is_not_a_capture(tmp_path):
    """A folder that is missing or empty, and a file, hold no capture."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty", "file"):
        with pytest.raises(CaptureNotFoundError):
            CaptureReader.open(tmp_path / name)
    assert not (tmp_path / "missing").exists()


def test_a_capture_that_was_deleted_is_not_found_when_refreshing(finished):
    """A reader whose capture goes away says so."""
    reader = CaptureReader.open(finished)
    shutil.rmtree(finished)
    with pytest.raises(CaptureNotFoundError):
        reader.refresh()


class TestCommittedStore:
    """The store that zarr and xarray open."""

    def test_it_is_read_only(self, pristine):
        """No write, no deletion, no writable twin."""
        store = CaptureReader.open(pristine).store
        buffer = default_buffer_prototype().buffer.from_bytes(b"")
        assert store.read_only
        assert not store.supports_writes
        assert not store.supports_deletes
        assert store.with_read_only(read_only=True) == store
        for refused in (store.with_read_only, lambda: sync(store.set("zarr.json", buffer))):
            with pytest.raises(ValueError, match="only read"):
                refused()
        with pytest.raises(ValueError, match="only read"):
            sync(store.delete("zarr.json"))

    @pytest.mark.parametrize("key", ["zarr.json", CHUNK])
    @pytest.mark.parametrize(
        ("request_", "cut"),
        [
            (RangeByteRequest(3, 9), slice(3, 9)),
            (OffsetByteRequest(5), slice(5, None)),
            (SuffixByteRequest(4), slice(-4, None)),
            (None, slice(None)),
        ],
    )
    def test_parts_of_values(self, pristine, key, request_, cut):
        """Documents from memory and chunks from disk are cut alike."""
        store = CaptureReader.open(pristine).store
        whole = (pristine / key).read_bytes()
        part = sync(store.get(key, default_buffer_prototype(), request_))
        assert part.to_bytes() == whole[cut]
        (same,) = sync(store.get_partial_values(default_buffer_prototype(), [(key, request_)]))
        assert same.to_bytes() == whole[cut]

    def test_listing_follows_the_root(self, running):
        """A listing holds the arrays that the root commits, on every level."""
        (running / "attention/map_step/c.1").write_bytes(b"orphan")
        (running / "attention/rows/c.2.0.0.0.0").write_bytes(b"orphan")
        store = CaptureReader.open(running).store

        async def names(listing):
            return [name async for name in listing]

        assert sorted(sync(names(store.list_dir("")))) == sorted(
            ["zarr.json", "attention", "context", "env", "policy", "rollout", "stats"]
        )
        rows = [f"c.{step}.{env}.0.0.0" for step in range(2) for env in range(2)]
        assert sorted(sync(names(store.list_dir("attention/rows")))) == [*rows, "zarr.json"]
        assert sync(names(store.list_prefix("attention/rows/c"))) == [f"attention/rows/{row}" for row in rows]
        assert sync(store.exists("attention/rows/c.1.0.0.0.0"))
        assert sync(store.exists("rollout/zarr.json"))
        assert not sync(store.exists("attention/rows/c.2.0.0.0.0"))

    def test_two_views_of_one_commit_are_equal(self, pristine, running):
        """Stores compare by what they show."""
        reader = CaptureReader.open(pristine)
        assert reader.store == reader.store
        assert reader.store == CommittedStore(LocalStore(pristine, read_only=True), reader.root)
        assert reader.store != CaptureReader.open(running).store
