"""The overview of one environment: the same columns whether the capture stores them or they are made of its steps."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

import attnscope
from attnscope.reading import overview
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.kinds.capture import overview as stored


@pytest.fixture
def both(planted, monkeypatch):
    """Return a capture that stores its overview, and the same capture without one."""
    without = attnscope.open(planted(steps=63))
    monkeypatch.setattr(stored, "COLUMNS", 8)
    monkeypatch.setattr("attnscope.reading.columns.COLUMNS", 8)
    return attnscope.open(planted(steps=63, name="AD-long@1")), without


def test_a_stored_overview_is_the_one_of_the_steps(both):
    """Every field of a long capture's overview is that of the same steps read one by one."""
    long, short = both
    assert "overview/step" in long.names()
    assert "overview/step" not in short.names()
    one, other = overview(long, 1), overview(short, 1)
    assert (one.every, one.end, one.slots) == (other.every, other.end, other.slots) == (8, 63, 1)
    assert one.step.tolist() == [0, 8, 16, 24, 32, 40, 48, 56]
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            assert np.allclose(left, right, rtol=1e-3, equal_nan=True), field.name
    for name, values in one.statistics.items():
        assert np.allclose(values, other.statistics[name], rtol=1e-5), name
    assert one.reward.sum() == long.rollout.reward[:, 1].sum()
    assert np.allclose(one.rows[-1], long.rows[56, 1].mean(axis=(0, 1)), atol=1e-3)


def test_a_damaged_overview_is_refused(both, hostile_root, tmp_path):
    """A column of no steps, as only a damaged capture has it, is said and not divided by."""
    long, _ = both

    def change(_root, arrays):
        arrays["overview/step"]["attributes"]["steps_per_column"] = 0

    folder = long._reader._store.root
    with pytest.raises(ChunkDamagedError, match="expected steps_per_column to be a whole number from 1 on, got 0"):
        overview(attnscope.open(hostile_root(folder, tmp_path / "c.zarr", change)), 0)


def test_only_whole_columns_are_in_an_overview(planted, monkeypatch):
    """Of a running capture, the columns end where a column is not whole; the steps after it are left to the rows."""
    monkeypatch.setattr(stored, "COLUMNS", 5)
    monkeypatch.setattr("attnscope.reading.columns.COLUMNS", 5)
    running = attnscope.open(planted(steps=60, until=4, name="AD-growing@1"))
    found = overview(running, 0)
    assert (running.steps_committed, found.every, found.end, found.step.tolist()) == (32, 12, 24, [0, 12])
