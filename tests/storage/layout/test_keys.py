"""Store keys: only what the root names is a key, however it is spelled."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnscope_storage.layout.keys import Beyond, Committed, Metadata, Unknown, is_name
from attnscope_storage.reading.reader import CaptureReader


@pytest.fixture(scope="module")
def reader(pristine):
    """Return a reader of a finished capture: 22 steps, 6 commits, 2 row environments, 4 maps."""
    return CaptureReader.open(pristine)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("zarr.json", Metadata),
        ("attention/zarr.json", Metadata),
        ("attention/rows/zarr.json", Metadata),
        ("attention/rows/c.0.0.0.0.0", Committed),
        ("attention/rows/c.5.1.0.0.0", Committed),
        ("attention/rows/c.6.1.0.0.0", Beyond),
        ("attention/rows/c.5.2.0.0.0", Beyond),
        ("attention/maps/c.3.0.0.0.0.0", Committed),
        ("attention/maps/c.4.0.0.0.0.0", Beyond),
        ("env/task/c.0", Committed),
        ("env/task/c.999999999999999999", Beyond),
        ("env/task/c.1000000000000000000", Unknown),
        ("env/task/c." + "9" * 5000, Unknown),
        ("attention/rows/c.0.0.0.0", Unknown),
        ("attention/rows/c.0.0.0.0.0.0", Unknown),
        ("attention/rows/c.00.0.0.0.0", Unknown),
        ("attention/rows/c.-1.0.0.0.0", Unknown),
        ("attention/rows/c.+1.0.0.0.0", Unknown),
        ("attention/rows/c.1_0.0.0.0.0", Unknown),
        ("attention/rows/c. 0.0.0.0.0", Unknown),
        ("attention/rows/c.٣.0.0.0.0", Unknown),
        ("attention/rows/c/0/0/0/0/0", Unknown),
        ("attention/rows/c.0.0.0.0.0\n", Unknown),
        ("attention/rows/c.0.0.0.0.0\0", Unknown),
        ("attention/rows/c.0.0.0.0.0.partial", Unknown),
        ("attention/rows/c", Unknown),
        ("attention/rows", Unknown),
        ("attention/c.0", Unknown),
        ("/attention/rows/c.0.0.0.0.0", Unknown),
        ("attention//rows/c.0.0.0.0.0", Unknown),
        ("attention/rows/c.0.0.0.0.0/", Unknown),
        ("attention\\rows\\c.0.0.0.0.0", Unknown),
        ("attention%2frows/c.0.0.0.0.0", Unknown),
        ("%2e%2e/zarr.json", Unknown),
        ("../zarr.json", Unknown),
        ("attention/../zarr.json", Unknown),
        ("./zarr.json", Unknown),
        ("/zarr.json", Unknown),
        ("zarr.json\0", Unknown),
        ("ZARR.JSON", Unknown),
        ("zarr.json.partial", Unknown),
        (".zgroup", Unknown),
        ("", Unknown),
        (".", Unknown),
        ("/", Unknown),
    ],
)
def test_a_key_means_one_thing(reader, key, kind):
    """Each spelling is what it is, and no other spelling of a key is one."""
    assert type(reader.locate(key)) is kind


@given(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet="acdegjlmnorstvwz/.0123456789-_%\\\0 \n", max_size=40),
        st.lists(
            st.sampled_from(
                ["..", ".", "", "attention", "rows", "c.0.0.0.0.0", "env", "task", "c.0", "zarr.json", "%2f"]
            )
        ).map("/".join),
    )
)
def test_whatever_is_asked_only_the_captures_own_files_are_named(reader, pristine, key):
    """A key is known exactly if it is one of those that the root lists, and then it is a file of the capture's."""
    known = {*reader.root.metadata_keys(), *reader.root.chunk_keys()}
    located = reader.locate(key)
    assert isinstance(located, Metadata | Committed) == (key in known)
    path = reader.chunk_path(key)
    assert (path is not None) == isinstance(located, Committed)
    if path is not None:
        assert path.resolve().is_relative_to(pristine.resolve())
        assert path.is_file()
    if not isinstance(located, Metadata):
        assert reader.metadata_bytes(key) is None


@given(st.lists(st.integers(0, 10**17), min_size=1, max_size=7))
def test_a_chunk_is_committed_exactly_if_it_is_inside_the_grid(reader, index):
    """Canonical indices are told apart by the committed grid alone."""
    array = reader.root.arrays["attention/rows"]
    located = reader.locate("attention/rows/c." + ".".join(map(str, index)))
    if len(index) != len(array.grid):
        assert located == Unknown()
    else:
        inside = all(i < count for i, count in zip(index, array.grid, strict=True))
        assert located == (Committed if inside else Beyond)(array, tuple(index))


def test_every_file_of_a_finished_capture_is_known(reader, pristine):
    """The folder holds the root's keys and nothing else: no chunk is missing and nothing is left over."""
    files = {path.relative_to(pristine).as_posix() for path in Path(pristine).rglob("*") if path.is_file()}
    assert files == {*reader.root.metadata_keys(), *reader.root.chunk_keys()}


def test_etags_tell_chunks_documents_and_captures_apart(reader, finished):
    """No two keys share an ETag, equal chunks of two captures neither, and what is not committed has none."""
    other = CaptureReader.open(finished)
    keys = [*reader.root.metadata_keys(), *reader.root.chunk_keys()]
    chunks = list(reader.root.chunk_keys())
    tags = [one.etag(key) for one, key in itertools.product((reader, other), chunks)]
    assert len(set(tags)) == len(tags)
    assert all(tag.startswith('"') and tag.endswith('"') and tag.isascii() and " " not in tag for tag in tags)
    assert all(reader.etag(key) for key in keys)
    assert reader.etag("attention/rows/c.6.0.0.0.0") is None
    assert reader.etag("../zarr.json") is None


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "..", "a/..", "a.b", "A", "1a", "a\n", "a\\b", "a" * 600, "nul", "stats/con", "com1/a"],
)
def test_names_that_a_capture_may_not_have(name):
    """A root document from another machine cannot name a folder outside its capture's."""
    assert not is_name(name)


@pytest.mark.parametrize("name", ["nulls", "stats/console", "com10", "a1/b_2"])
def test_names_that_only_begin_like_a_device_are_names(name):
    """Windows keeps the devices' own names alone."""
    assert is_name(name)
