"""A store that arrives chunk by chunk from somebody who is not believed."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from numcodecs.zstd import Zstd

from attnscope_storage.errors import ChunkRefusedError, FencedError, LeaseLostError, SchemaMismatchError
from attnscope_storage.layout.chunks import decode_chunk, encode_chunk
from attnscope_storage.layout.store import PARTIAL_SUFFIX
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.writing.due import due_chunks, next_commit
from attnscope_storage.writing.fence import Tenure
from attnscope_storage.writing.received import ReceivedStore

ATTRIBUTES = {"job": "a job", "attempt": 99, "complete": True, "writer": "of the sender"}
"""Root attributes as a sender gives them; those of the writer are not its to say."""


def sha(encoded: bytes) -> str:
    """Return the hash of bytes, hex."""
    return hashlib.sha256(encoded).hexdigest()


@pytest.fixture
def schema(rollout):
    """Return the schema of the small capture, several commits in one chunk of its short arrays."""
    return rollout.schema()


@pytest.fixture
def arriving(tmp_path, schema):
    """Return a function that opens the arriving store of an attempt."""

    def open_(attempt=1, **rights):
        tenure = Tenure(attempt, placed_on={"device": f"device {attempt}"}, **rights)
        return ReceivedStore(tmp_path / "arrived.zarr", schema, tenure, durable=False)

    return open_


@pytest.fixture
def send(pristine):
    """Return a function that sends the next commits of the finished capture, up to a number of steps."""

    def upto(store, steps=None, *, commit=True):
        while (number := next_commit(store.schema, store.steps)) is not None and number <= (
            steps or store.schema.total
        ):
            listed = {}
            for due in due_chunks(store.schema, store.steps, number):
                encoded = (pristine / due.key).read_bytes()
                listed[due.key] = sha(encoded)
                store.take(number, due.spec.name, due.index, encoded, listed[due.key])
            if not commit:
                return SimpleNamespace(number=number, listed=listed)
            store.commit(number, listed, ATTRIBUTES)
        return None

    return upto


def test_what_arrives_equals_what_was_written(arriving, send, pristine, expected, decoded, assert_same, tmp_path):
    """Bit for bit, live readers included; the documents are the service's own, and equal those of a local writer."""
    store = arriving()
    assert (store.steps, store.complete) == (None, False)
    send(store, 8)
    live = CaptureReader.open(tmp_path / "arrived.zarr")
    assert live.steps_committed == 8
    assert_same({name: live.array(name)[:8] for name in ("stats/entropy", "rollout/action")},
                {name: expected[name][:8] for name in ("stats/entropy", "rollout/action")})  # fmt: skip
    send(store)
    store.declare_complete()
    store.declare_complete()
    path = tmp_path / "arrived.zarr"
    assert_same(decoded(path), expected)
    root, local = CaptureReader.open(path).root, CaptureReader.open(pristine).root
    assert root.nodes == local.nodes
    assert (root.attributes["attempt"], root.attributes["job"], root.attributes["complete"]) == (1, "a job", True)
    assert root.attributes["placed_on"] == [{"from_step": 0, "device": "device 1"}]
    assert store.bytes_written == sum(chunk.stat().st_size for chunk in path.rglob("c.*"))
    assert not list(path.rglob(f"*{PARTIAL_SUFFIX}"))


def test_a_commit_that_is_sent_again_changes_nothing(arriving, send, tmp_path):
    """Its answer was lost; the same number with other chunks is refused, and so is any number but the next."""
    store = arriving()
    send(store, 4)
    sent = send(store, 8, commit=False)
    store.commit(sent.number, sent.listed)
    root = (tmp_path / "arrived.zarr" / "zarr.json").read_bytes()
    store.commit(sent.number, sent.listed)
    assert (tmp_path / "arrived.zarr" / "zarr.json").read_bytes() == root
    key = next(iter(sent.listed))
    for wrong in ({key: sha(b"other")}, {"no/such": sha(b"")}):
        with pytest.raises(ChunkRefusedError, match="with another chunk"):
            store.commit(sent.number, wrong)
    for number in (0, 4, 9, 16, 22, 23):
        with pytest.raises(ChunkRefusedError, match="not the next one"):
            store.commit(number, sent.listed)


def test_a_commit_wants_every_chunk_and_no_other(arriving, send, schema):
    """A chunk that is missing, was announced with another hash, or was not asked for, commits nothing."""
    store = arriving()
    send(store, 4)
    sent = send(store, 8, commit=False)
    key, *rest = sent.listed
    for wrong in ({name: sent.listed[name] for name in rest}, sent.listed | {key: sha(b"")}, sent.listed | {"x": "y"}):
        with pytest.raises(ChunkRefusedError, match="other chunks than were sent"):
            store.commit(8, wrong)
    assert store.steps == 4
    with pytest.raises(ChunkRefusedError, match="not complete"):
        store.declare_complete()
    assert next_commit(schema, schema.total) is None


@pytest.mark.parametrize(
    ("array", "index"),
    [
        ("stats/nothing", (1, 0, 0, 0)),
        ("../../service.sqlite3", (0,)),
        ("stats/entropy/../../x", (0,)),
        ("zarr.json", ()),
        ("stats/entropy", (9, 0, 0, 0)),
        ("stats/entropy", (0, 0, 0, 0)),
        ("stats/entropy", (1, 0, 0)),
        ("stats/entropy", (1, 1, 0, 0)),
        ("env/task", (0,)),
        ("", ()),
    ],
)
def test_only_chunks_of_the_next_commit_are_taken(arriving, send, tmp_path, array, index):
    """Unknown arrays, paths, committed chunks, those of later commits, and static arrays are none."""
    store = arriving()
    send(store, 16)
    before = sorted(path for path in tmp_path.rglob("*"))
    encoded = encode_chunk(np.zeros(4, np.float32))
    with pytest.raises(ChunkRefusedError, match="writes no chunk"):
        store.take(20, array, index, encoded, sha(encoded))
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_bytes_that_are_no_such_chunk_are_refused(arriving, send, pristine, tmp_path):
    """Another hash, no frame, a frame that claims more than the chunk has, one that holds less, a flipped bit."""
    store = arriving()
    send(store, 4)
    due = next(one for one in due_chunks(store.schema, 4, 8) if one.spec.name == "attention/rows")
    good = (pristine / due.key).read_bytes()
    bomb = Zstd(level=1, checksum=True).encode(b"\0" * 2**28)
    short = Zstd(level=1, checksum=True).encode(b"\0" * 16)
    padded = good + b"\x50\x2a\x4d\x18" + (2**20).to_bytes(4, "little") + bytes(2**20)  # a frame that is skipped
    assert decode_chunk(padded, due.spec.dtype, due.spec.chunks).tobytes()
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    for encoded in (b"", b"no frame", bomb, short, padded, flipped, good[: len(good) // 2]):
        with pytest.raises(ChunkRefusedError, match="attention/rows"):
            store.take(8, due.spec.name, due.index, encoded, sha(encoded))
    with pytest.raises(ChunkRefusedError, match="another SHA-256"):
        store.take(8, due.spec.name, due.index, good, sha(b"other"))
    assert not list((tmp_path / "arrived.zarr").rglob(f"*{PARTIAL_SUFFIX}"))


def test_committed_entries_never_change(arriving, send, pristine):
    """A chunk that has room left is sent again with more entries; those that are committed must be the same."""
    store = arriving()
    send(store, 4)
    grown = [one for one in due_chunks(store.schema, 4, 8) if one.committed]
    for due in grown:
        values = decode_chunk((pristine / due.key).read_bytes(), due.spec.dtype, due.spec.chunks).copy()
        values[0] = 1 - values[0]
        changed = encode_chunk(values)
        with pytest.raises(ChunkRefusedError, match="committed entries would change"):
            store.take(8, due.spec.name, due.index, changed, sha(changed))
    assert grown, "no array of the schema holds two commits in one chunk: choose another schema"


def test_an_attempt_goes_on_where_the_one_before_stood(arriving, send, tmp_path, expected, decoded, assert_same):
    """Also where it had sent chunks of a further commit: they go, and its own later words are refused."""
    first = arriving()
    send(first, 8)
    sent = send(first, 12, commit=False)
    second = arriving(2)
    assert second.steps == 8
    assert not list((tmp_path / "arrived.zarr").rglob(f"*.1{PARTIAL_SUFFIX}"))
    with pytest.raises(FencedError):
        first.commit(sent.number, sent.listed)
    with pytest.raises(FencedError):
        arriving(1)
    send(second)
    second.declare_complete()
    path = tmp_path / "arrived.zarr"
    assert_same(decoded(path), expected)
    assert [place["from_step"] for place in CaptureReader.open(path).attributes["placed_on"]] == [0, 8]


def test_a_service_that_starts_anew_goes_on_with_the_same_attempt(
    arriving, send, expected, decoded, assert_same, tmp_path
):
    """Chunks that were sent and not committed are sent again."""
    store = arriving()
    send(store, 8)
    sent = send(store, 12, commit=False)
    again = arriving()
    with pytest.raises(ChunkRefusedError, match="other chunks than were sent"):
        again.commit(sent.number, sent.listed)
    send(again)
    again.declare_complete()
    assert_same(decoded(tmp_path / "arrived.zarr"), expected)


def test_an_attempt_whose_lease_is_over_commits_nothing(arriving, send):
    """Neither the store's creation nor a later commit."""
    alive = [True]
    store = arriving(may_write=lambda: alive[0])
    sent = send(store, 0, commit=False)
    alive[0] = False
    with pytest.raises(LeaseLostError):
        store.commit(sent.number, sent.listed, ATTRIBUTES)
    with pytest.raises(LeaseLostError):
        arriving(may_write=lambda: False)


def test_a_store_of_another_specification_is_not_continued(arriving, send, rollout, tmp_path):
    """Its arrays are others."""
    send(arriving(), 4)
    with pytest.raises(SchemaMismatchError):
        ReceivedStore(tmp_path / "arrived.zarr", rollout.schema(steps=40), Tenure(2), durable=False)
