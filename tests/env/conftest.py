"""Comparing a vector environment with Gymnasium's own vectorisation of the single one."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv


def _single_rooms(kind, tasks, mode, horizon, **kwargs):
    """Return Gymnasium's vectorisation of single environments, one for each task's keyword arguments."""

    def one(task):
        return lambda: gymnasium.wrappers.TimeLimit(kind(**task, **kwargs), horizon)

    return SyncVectorEnv([one(task) for task in tasks], autoreset_mode=mode)


def _assert_same(left, right):
    """Compare observations, flags and infos of two environments, nested infos and object arrays too."""
    assert type(left) is type(right)
    if isinstance(left, tuple):
        for ours, theirs in zip(left, right, strict=True):
            _assert_same(ours, theirs)
    elif isinstance(left, dict):
        assert left.keys() == right.keys()
        for key, value in left.items():
            _assert_same(value, right[key])
    elif isinstance(left, np.ndarray) and left.dtype == object:
        assert [None if x is None else x.tolist() for x in left] == [None if x is None else x.tolist() for x in right]
    else:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


def _assert_twins(ours, theirs, actions, seed=1):
    """Step both with the same actions from the same seed, resetting by mask where autoreset is disabled."""
    _assert_same(ours.reset(seed=seed), theirs.reset(seed=seed))
    for chosen in actions:
        result = ours.step(chosen)
        _assert_same(result, theirs.step(chosen))
        ended = result[2] | result[3]
        if ours.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            _assert_same(ours.reset(options={"reset_mask": ended}), theirs.reset(options={"reset_mask": ended}))


@pytest.fixture(scope="session")
def single_rooms():
    """Give `_single_rooms`."""
    return _single_rooms


@pytest.fixture(scope="session")
def assert_same():
    """Give `_assert_same`."""
    return _assert_same


@pytest.fixture(scope="session")
def assert_twins():
    """Give `_assert_twins`."""
    return _assert_twins
