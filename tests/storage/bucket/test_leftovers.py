"""Files and objects that writers left without committing them go, and nothing that is committed does."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope_storage.errors import FencedError
from attnscope_storage.layout.bucket_store import BucketStore
from attnscope_storage.layout.store import as_buffer
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.leftovers import remove_leftovers
from attnscope_storage.writing.writer import CaptureWriter


def arrays(where) -> dict[str, np.ndarray]:
    """Return every array as it is committed."""
    reader = CaptureReader.open(where)
    return {name: reader.array(name)[:] for name in reader.names()}


def test_objects_that_no_root_names_go(place, rollout, pristine):
    """Those of a writer that was taken over, and the half-full chunks that the next one wrote again."""
    path = place()
    older = rollout.create(path, rollout.schema(), tenure=Tenure(1))
    rollout.roll(older, 8)
    older._pool.finish(drop=False)
    older._thread.join()
    with CaptureWriter.resume(path, rollout.schema(), tenure=Tenure(2)) as newer:
        block = newer.acquire()
        rollout.fill(block, rollout.schema(), older._committer.steps, 4)
        with pytest.raises(FencedError):
            older._committer.commit(block)
        newer._pool.recycle(block)
        rollout.roll(newer)
        newer.close(complete=True)
    before = dict(path.objects())
    assert remove_leftovers(path, 2, lambda: False) == 0
    assert dict(path.objects()) == before
    removed = remove_leftovers(path, 2, lambda: True)
    assert 0 < removed == len(before) - len(dict(path.objects()))
    assert remove_leftovers(path, 2, lambda: True) == 0
    verify(CaptureReader.open(path))
    for name, values in arrays(pristine).items():
        np.testing.assert_array_equal(arrays(path)[name], values, err_msg=name)


def test_chunks_without_a_root_go(place):
    """An attempt that sent chunks and never made its store leaves none of them."""
    path = place()
    BucketStore(path, read_only=False).stage("stats/entropy/c/0", as_buffer(b"1"))
    assert remove_leftovers(path, 1, lambda: True) == 1
    assert list(path.objects()) == []


def test_objects_of_a_later_attempt_stay(place):
    """Whatever a job database says that was restored from an older copy: its keys tell their attempt."""
    path = place()
    keys = ["stats/entropy/c/0@2.1", "stats/entropy/c/0@3.1", "stats/entropy/c/0@10.2"]
    for key in keys:
        BucketStore(path, read_only=False).stage(key, as_buffer(b"1"))
    assert remove_leftovers(path, 2, lambda: True) == 1
    assert [key for key, _ in path.objects()] == sorted(keys[1:])


def test_a_bucket_that_contradicts_itself_loses_nothing(rollout, place, monkeypatch):
    """It lists a root document and does not give it: nothing tells which objects it names."""
    path = place()
    rollout.write(path)
    before = dict(path.objects())
    with monkeypatch.context() as patched:
        patched.setattr(BucketStore, "read", lambda *_: None)
        assert remove_leftovers(path, 1, lambda: True) == 0
    assert dict(path.objects()) == before


def test_files_without_their_names_go(rollout, tmp_path):
    """Those of this attempt and older ones; a later attempt's stay, and the capture reads as before."""
    path = rollout.write(tmp_path / "c.zarr", until=8)
    before = arrays(path)
    chunk = next(one for one in path.rglob("*") if one.is_file() and one.name != "zarr.json")
    halves = [chunk.with_name(f"{chunk.name}{ending}") for ending in (".partial", ".1.partial", ".2.partial")]
    later = chunk.with_name(f"{chunk.name}.3.partial")
    for one in (*halves, later):
        one.write_bytes(b"half")
    assert remove_leftovers(path, 2, lambda: True) == len(halves)
    assert [one.exists() for one in (*halves, later)] == [False, False, False, True]
    for name, values in before.items():
        np.testing.assert_array_equal(arrays(path)[name], values, err_msg=name)
