"""Small captures, made by `rollout.py` beside this file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from attnscope_storage.reading.reader import CaptureReader

Decoded = dict[str, np.ndarray]


def _load_rollout() -> ModuleType:
    path = Path(__file__).with_name("rollout.py")
    spec = importlib.util.spec_from_file_location("storage_rollout", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ROLLOUT = _load_rollout()


@pytest.fixture(scope="session")
def rollout() -> ModuleType:
    """Return the module that makes captures."""
    return _ROLLOUT


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """Return a finished capture that was never interrupted. Tests may only read it."""
    return _ROLLOUT.write(tmp_path_factory.mktemp("pristine") / "capture.zarr")


@pytest.fixture
def finished(tmp_path) -> Path:
    """Return a finished capture that a test may damage."""
    return _ROLLOUT.write(tmp_path / "finished.zarr")


@pytest.fixture
def running(tmp_path) -> Path:
    """Return a capture that has committed 8 of its 22 steps."""
    return _ROLLOUT.write(tmp_path / "running.zarr", until=8)


@pytest.fixture(scope="session")
def decoded() -> Callable[[Path], Decoded]:
    """Return a function that reads every array of a capture."""

    def read(path: Path) -> Decoded:
        reader = CaptureReader.open(path)
        return {name: reader.array(name)[:] for name in reader.names()}

    return read


@pytest.fixture(scope="session")
def expected(pristine, decoded) -> Decoded:
    """Return every array of the uninterrupted capture."""
    return decoded(pristine)


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Decoded, Decoded], None]:
    """Return an assertion that two captures' arrays are bit-equal."""

    def compare(one: Decoded, other: Decoded) -> None:
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert values.dtype == other[name].dtype, name
            assert values.shape == other[name].shape, name
            assert values.tobytes() == other[name].tobytes(), name

    return compare
