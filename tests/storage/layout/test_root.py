"""The documents: what stock zarr would write, and nothing that a stranger may smuggle in."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata.v3 import ArrayV3Metadata

from attnscope_storage.errors import CaptureNotFoundError, ChunkDamagedError, SchemaVersionError
from attnscope_storage.layout.root import array_document, document_bytes, group_document, group_names, root_document
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store_schema import ArraySpec

CAPTURE = {"capture_id": "0" * 32, "complete": False}


@pytest.fixture
def document(rollout):
    """Return the root document of a capture with 9 of 22 steps."""
    return json.loads(document_bytes(root_document(rollout.schema(), 9, {"job": "j", **CAPTURE})))


def test_array_documents_are_what_zarr_itself_would_write(rollout):
    """Parsed and written again by zarr, every array's document says the same."""
    for spec in rollout.schema().arrays.values():
        ours = array_document(spec, 9 if spec.growth == "step" else spec.shape[0])
        parsed = ArrayV3Metadata.from_dict(copy.deepcopy(ours))
        theirs = json.loads(parsed.to_buffer_dict(default_buffer_prototype())["zarr.json"].to_bytes())
        assert theirs == json.loads(document_bytes(ours))


def test_the_root_commits_every_array_at_once(rollout):
    """Lengths follow from the steps: rows of every third step, maps sampled so far, static arrays whole."""
    schema = rollout.schema(row_every=3)
    nodes = root_document(schema, 12, CAPTURE)["consolidated_metadata"]["metadata"]
    lengths = {name: nodes[name]["shape"][0] for name in schema.arrays}
    assert lengths["rollout/action"] == 12
    assert lengths["attention/rows"] == lengths["attention/row_step"] == 4
    assert lengths["attention/maps"] == lengths["attention/map_step"] == 3
    assert lengths["env/task"] == 3
    assert {name for name, node in nodes.items() if node["node_type"] == "group"} == {
        "attention",
        "context",
        "env",
        "policy",
        "rollout",
        "stats",
    }


def test_group_names_are_all_parents():
    """Each level above an array is a group, the root left out."""
    assert group_names({"a/b/c": 0, "a/d": 0, "e": 0}) == {"a", "a/b"}


def test_a_dtype_without_a_never_written_value_is_refused():
    """An unsigned array could not tell -1 from a value."""
    spec = ArraySpec("rollout/observation", "uint8", ("step",), (4,), (4,), "step")
    with pytest.raises(ValueError, match="uint8"):
        array_document(spec, 4)


def test_numbers_that_json_does_not_know_are_refused():
    """NaN in an attribute would make a document that other readers cannot parse."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        document_bytes(group_document({"loss": float("nan")}))


def test_parsing_returns_what_was_written(document, rollout):
    """Shapes, chunks and names come back."""
    root = Root.parse(document_bytes(document))
    assert root.steps_committed == 9
    assert root.arrays["attention/rows"].shape == (9, 2, 2, 2, 8)
    assert root.arrays["attention/rows"].grid == (3, 2, 1, 1, 1)
    assert set(root.arrays) == set(rollout.schema().arrays)
    assert root.attributes["job"] == "j"


def test_a_group_served_carries_its_arrays(document):
    """A reader that cannot list folders, over HTTP, finds a group's arrays in its document."""
    served = json.loads(Root.parse(document_bytes(document)).metadata_bytes("stats/zarr.json"))
    assert set(served["consolidated_metadata"]["metadata"]) == {
        "effective",
        "entropy",
        "max",
        "recency",
        "self",
        "sink",
        "window",
    }


@pytest.mark.parametrize(
    "stored", [b"{}", b"[]", b"1", b'{"attributes": {}}', b'{"attributes": {"attnscope_schema": "1"}}']
)
def test_other_groups_are_no_captures(stored):
    """A Zarr group that attnscope did not write is not found to be a capture."""
    with pytest.raises(CaptureNotFoundError):
        Root.parse(stored)


@pytest.mark.parametrize("version", [0, 3, 10**6])
def test_unknown_schemas_are_refused_by_version(document, version):
    """The error names the version found and those that can be read."""
    document["attributes"]["attnscope_schema"] = version
    with pytest.raises(SchemaVersionError, match=rf"schema {version}; .*\[1, 2\]"):
        Root.parse(document_bytes(document))


def _set(document, value, *path):
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


NODE = ("consolidated_metadata", "metadata", "env/task")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ("consolidated_metadata",)),
        ([], ("consolidated_metadata", "metadata")),
        (-1, ("attributes", "steps_committed")),
        (True, ("attributes", "steps_total")),
        ("yes", ("attributes", "complete")),
        ("../../id", ("attributes", "capture_id")),
        ({"node_type": "group"}, ("consolidated_metadata", "metadata", "../outside")),
        ({"node_type": "array"}, ("consolidated_metadata", "metadata", "env/more")),
        (None, NODE),
        ([-3], (*NODE, "shape")),
        ([3.0], (*NODE, "shape")),
        ([2**70], (*NODE, "shape")),
        ([3, 3], (*NODE, "shape")),
        ([], (*NODE, "shape")),
        ("object", (*NODE, "data_type")),
        (["int32"], (*NODE, "data_type")),
        (["../env"], (*NODE, "dimension_names")),
        ([0], (*NODE, "chunk_grid", "configuration", "chunk_shape")),
        ("irregular", (*NODE, "chunk_grid", "name")),
        ("/", (*NODE, "chunk_key_encoding", "configuration", "separator")),
        ([{"name": "bytes"}], (*NODE, "codecs")),
        (0, (*NODE, "fill_value")),
        ([{"name": "redirect"}], (*NODE, "storage_transformers")),
    ],
)
def test_a_root_that_no_writer_wrote_is_damaged(document, value, path):
    """Whatever differs from what schema 1 writes is refused, wherever it stands."""
    _set(document, value, *path)
    with pytest.raises(ChunkDamagedError):
        Root.parse(document_bytes(document))


@pytest.mark.parametrize("stored", [b"", b"{", b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_json_are_damaged(stored):
    """A truncated root, or one that nests without end, is damaged and not absent."""
    with pytest.raises(ChunkDamagedError):
        Root.parse(stored)


def test_a_root_is_immutable(document):
    """A snapshot that several answers are taken from cannot change under them."""
    root = Root.parse(document_bytes(document))
    with pytest.raises(dataclasses.FrozenInstanceError):
        root.stored = b""
