"""The common part of captures and trials: their root document says what they are, and may say anything."""

from __future__ import annotations

import json
import multiprocessing
import pickle  # noqa: TID251 - what a pool of workers does
import shutil

import numpy as np
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


def total(content: bytes) -> float:
    """Return a number that a worker process reads from a pickled trial."""
    return float(pickle.loads(content).results().returns.sum())  # noqa: S301 - our own


def test_a_trial_is_read_in_a_worker_process(stored):
    """It travels without its arrays, and is opened again where it arrives."""
    trial = attnscope.open_trial(stored)
    wanted = float(trial.results().returns.sum())
    content = pickle.dumps(trial)
    assert len(content) < 100_000
    assert total(content) == wanted
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.isclose(pool.apply(total, (content,)), wanted)
