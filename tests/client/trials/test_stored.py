"""What captures and trials have in common: their root document says what they are, and may say anything."""

from __future__ import annotations

import json
import shutil

import pytest

import attnscope
from attnscope_storage.errors import ChunkDamagedError, StoreKindError


@pytest.mark.parametrize("attribute", ["spec", "resolved", "policy"])
def test_a_root_that_holds_something_else_is_refused(stored, tmp_path, attribute):
    """With the kind and the part that is missing, instead of an error of the library that reads it."""
    path = shutil.copytree(stored, tmp_path / "other.zarr")
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"][attribute] = {"layers": "\x1b[31mmany"}
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(ChunkDamagedError, match="the trial's root document holds no"):
        getattr(attnscope.open_trial(path), attribute)


def test_the_other_kind_is_refused_with_what_opens_it(stored):
    """A trial is no capture."""
    with pytest.raises(StoreKindError, match=r"a trial, not a capture; open it with attnscope\.open_trial"):
        attnscope.open(stored)
