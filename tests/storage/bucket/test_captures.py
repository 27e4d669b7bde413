"""Captures in a bucket: the same arrays as on a disk, and no byte of a writer that was taken over."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.errors import CaptureExistsError, CaptureNotFoundError, FencedError
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.store import as_buffer
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.writing.copying import copy_committed
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.writer import CaptureWriter


def arrays(where) -> dict[str, np.ndarray]:
    """Return every array as it is committed."""
    reader = CaptureReader.open(where)
    return {name: reader.array(name)[:] for name in reader.names()}


def same(found, expected) -> None:
    """Assert that two captures hold the same bits."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_capture_in_a_bucket_equals_one_on_a_disk(place, rollout, pristine, tmp_path):
    """Every array has the same bits, the check passes, and a copy on a disk opens as a capture."""
    path = rollout.write(place())
    same(arrays(path), arrays(pristine))
    verify(CaptureReader.open(path))
    copy_committed(path, tmp_path / "copy.zarr", durable=False)
    same(arrays(tmp_path / "copy.zarr"), arrays(pristine))


def test_the_root_document_is_the_only_document_until_the_end(place, rollout):
    """A commit writes chunks and one document; the documents of the arrays come when nothing more will."""
    path = place()
    rollout.write(path, until=8)
    assert [key for key, _ in path.objects() if key.endswith("zarr.json")] == ["zarr.json"]
    with CaptureWriter.resume(path, rollout.schema()) as writer:
        rollout.roll(writer)
        writer.close(complete=True)
    documents = {key for key, _ in path.objects() if key.endswith("zarr.json")}
    assert documents == set(CaptureReader.open(path).root.metadata_keys())


def test_a_capture_is_made_once_and_continued_where_it_is(place, rollout):
    """A second creation is refused, and so is the continuation of what is not there."""
    path = place()
    with pytest.raises(CaptureNotFoundError):
        CaptureReader.open(path)
    with pytest.raises(CaptureNotFoundError):
        CaptureWriter.resume(path, rollout.schema())
    rollout.write(path, until=4)
    with pytest.raises(CaptureExistsError):
        rollout.create(path, rollout.schema())


@pytest.mark.parametrize("until", [4, 8, 12])
def test_a_writer_that_was_taken_over_changes_nothing(place, rollout, pristine, until):
    """It writes its chunks, as one that wakes between chunks and root does; no reader ever sees them."""
    path = place()
    older = rollout.create(path, rollout.schema(), tenure=Tenure(1))
    rollout.roll(older, until)
    older._pool.finish(drop=False)
    older._thread.join()
    with CaptureWriter.resume(path, rollout.schema(), tenure=Tenure(2)) as newer:
        committer, block = older._committer, newer.acquire()
        rollout.fill(block, rollout.schema(), committer.steps, 4)
        for values in block.arrays.values():
            values[...] = 0  # nothing that this one writes may be read
        with pytest.raises(FencedError, match="replaced"):
            committer.commit(block)
        newer._pool.recycle(block)
        rollout.roll(newer)
        newer.close(complete=True)
    same(arrays(path), arrays(pristine))
    attributes = CaptureReader.open(path).attributes
    assert [one["attempt"] for one in attributes["takeovers"]] == [1, 2]
    with pytest.raises(FencedError, match="attempt 2 has taken over"):
        CaptureWriter.resume(path, rollout.schema(), tenure=Tenure(1))


def test_many_takeovers_leave_the_same_capture(place, rollout, pristine):
    """A capture that every attempt leaves after one commit, or before any, has the same bits at its end."""
    path, of = place(), rollout.schema()
    rollout.create(path, of, tenure=Tenure(3)).abort()
    for attempt, until in enumerate([4, 4, 8, 12, 16, 16, 20, None], start=4):
        with CaptureWriter.resume(path, of, tenure=Tenure(attempt)) as writer:
            rollout.roll(writer, until)
            writer.close(complete=until is None)
    same(arrays(path), arrays(pristine))


def test_a_live_reader_sees_whole_commits(place, rollout):
    """A reader that was opened before a takeover reads its own steps afterwards, and the new ones once it refreshes."""
    path, of = place(), rollout.schema()
    rollout.write(path, until=8)
    reader = CaptureReader.open(path)
    before = reader.array("stats/entropy")[:]
    with CaptureWriter.resume(path, of) as writer:
        rollout.roll(writer, 16)
        writer.close(complete=False)
    np.testing.assert_array_equal(reader.array("stats/entropy")[:], before)
    assert reader.refresh()
    assert reader.steps_committed == 16
    np.testing.assert_array_equal(reader.array("stats/entropy")[:8], before)


def test_a_deleted_capture_is_not_made_again(place, rollout):
    """Deletion takes the root document first; the writer's next commit is refused."""
    path, of = place(), rollout.schema()
    writer = rollout.create(path, of, tenure=Tenure(1))
    path.remove()
    path.remove()
    with writer:
        rollout.roll(writer, 4)
        with pytest.raises(FencedError, match="deleted"):
            writer.close(complete=False)
    with pytest.raises(CaptureNotFoundError):
        CaptureReader.open(path)


def test_a_write_that_was_tried_twice_has_happened(place):
    """A request whose answer was lost finds its own object, and says the same as the first time."""
    store = BucketStore(place(), read_only=False)
    first = store.replace("zarr.json", b"{}", None)
    assert store.replace("zarr.json", b"{}", None) == first
    second = store.replace("zarr.json", b"[]", first)
    assert store.replace("zarr.json", b"[]", first) == second
    store.set_sync("zarr.json", as_buffer(b"other"))
    with pytest.raises(FencedError):
        store.replace("zarr.json", b"{}", second)
