"""Captures written by older schema versions stay readable, value for value."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from attnscope_storage.layout.snapshot import KNOWN_SCHEMAS
from attnscope_storage.layout.store_schema import SCHEMA_VERSION
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify

GOLDEN = Path(__file__).parents[2] / "golden"
CAPTURES = sorted(path for path in GOLDEN.glob("capture-v*") if path.is_dir())


def version(path):
    """Return the schema version in a golden capture's name."""
    return int(re.fullmatch(r"capture-v(\d+)", path.name)[1])


def test_every_known_version_has_a_golden_capture():
    """A schema version that is written or read has its capture here; a new one must bring its own."""
    assert {version(path) for path in CAPTURES} == KNOWN_SCHEMAS
    assert SCHEMA_VERSION in KNOWN_SCHEMAS


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_an_old_capture_is_still_readable(path):
    """Our reader, stock zarr and stock xarray read the values that the version wrote; nothing is missing."""
    reader = CaptureReader.open(path)
    assert (reader.schema_version, reader.complete) == (version(path), True)
    assert reader.policy.family == "ad-reference"
    assert verify(reader).problems == []
    group = zarr.open_group(path, mode="r")
    with np.load(path.with_suffix(".npz")) as golden, xarray.open_datatree(path, engine="zarr") as tree:
        assert set(golden.files) == set(reader.names())
        for name in golden.files:
            values = golden[name]
            for read in (reader.array(name)[:], group[name][:], tree[name].values):
                assert read.dtype == values.dtype, name
                assert np.array_equal(read, values, equal_nan=values.dtype.kind == "f"), name
