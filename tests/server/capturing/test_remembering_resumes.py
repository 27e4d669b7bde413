"""Captures of policies that remember: interrupted, they end with the same bits, and each environment acts as alone."""

from __future__ import annotations

import contextlib
from uuid import uuid4

import numpy as np
import pytest
import torch
import yaml

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.reducing import age_bins, retained_curve
from attnscope_server.capturing.resolving import resolve
from attnscope_server.capturing.rollout import RolloutStoppedError
from attnscope_storage.ages import bin_edges
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from forwards import layouts
from reading_here import reading_here

CPU = torch.device("cpu")
STEPS = 60
LISTED = Listings(
    [
        GymnasiumEntry(
            id="field/Uneven-v0", module="field_environments", horizon=5, actions=tuple("abcde"), preset="uneven"
        )
    ]
)
"""Episodes of one to five steps: contexts of a batch differ in length."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return a registry with each policy that remembers, acting where episodes end at different steps."""
    torch.set_num_threads(1)
    registry, files = CheckpointRegistry(tmp_path_factory.mktemp("registry")), tmp_path_factory.mktemp("files")
    with reading_here():
        for name, layout in layouts.REMEMBERING.items():
            torch.save(layout.content(), files / f"{name}.pt")
            config, stated = dict(layout.config), dict(layout.stated)
            if "attnscope" in config:
                config["attnscope"] = config["attnscope"] | {"preset": "uneven", "steps": 3}
            else:
                stated["preset"] = "uneven"
            if layout.bare:
                (files / f"{name}.pt.yaml").write_text(yaml.safe_dump(config))
            registry.add(files / f"{name}.pt", name=name, **stated)
    return registry


@pytest.fixture
def capture(registry, monkeypatch):
    """Return a function that captures with a policy, a few steps a commit."""
    monkeypatch.setattr(lengths, "CHUNK_BYTES", 2**11)
    monkeypatch.setattr(lengths, "LEAST_STEPS", 1)

    def run(path, name, stopped=lambda: False, **changes):
        asked = {"tasks": {"split": "all", "indices": [0]}, "replicas": 3, "steps": STEPS, "maps": {"count": 0}}
        spec = CaptureSpec.model_validate({"checkpoint": name, **asked, **changes})
        info = registry.get(name)
        resolved = resolve(spec, registry, LISTED)
        order = CaptureOrder(str(uuid4()), "local", spec, resolved, path, durable=False, listings=LISTED)
        run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU, stopped=stopped)
        return CaptureReader.open(path)

    return run


@pytest.mark.parametrize("name", layouts.REMEMBERING)
def test_an_interrupted_capture_ends_with_the_same_bits(capture, tmp_path, name):
    """Memories are computed again step by step, so every array is that of a capture without interruption."""
    whole = capture(tmp_path / "whole.zarr", name)
    assert verify(whole).ok
    assert len(np.unique(whole.array("context/length")[5])) > 1
    path = tmp_path / "resumed.zarr"
    for stop_at in (33, 50):
        asked = iter(range(1000))
        with contextlib.suppress(RolloutStoppedError):
            capture(path, name, stopped=lambda asked=asked, stop_at=stop_at: next(asked) >= stop_at)
        assert 0 < CaptureReader.open(path).steps_committed < STEPS
    resumed = capture(path, name)
    for array in whole.root.arrays:
        assert np.array_equal(whole.array(array)[:], resumed.array(array)[:], equal_nan=True), array


@pytest.mark.parametrize("name", layouts.REMEMBERING)
def test_rows_of_some_environments_are_those_of_all(capture, tmp_path, name):
    """A capture that keeps rows of the last environment alone keeps the same row, NaN past its own length."""
    whole = capture(tmp_path / "whole.zarr", name, steps=20)
    some = capture(tmp_path / "some.zarr", name, steps=20, rows={"envs": [2], "layers": [1]})
    assert verify(some).ok
    expected = whole.array("attention/rows")[:, 2:, 1:2]
    assert np.array_equal(some.array("attention/rows")[:], expected, equal_nan=True)


@pytest.mark.parametrize("name", layouts.REMEMBERING)
def test_reductions_are_those_of_each_environments_own_context(capture, tmp_path, name):
    """Bytes, age bins and retained mass of a batch of unequal contexts are those of each row cut to its length."""
    options = {"steps": 20, "rows": {"form": "bins", "exact": [0, 1, 2], "curve": True}}
    whole = capture(tmp_path / "bins.zarr", name, **options)
    shades = capture(tmp_path / "u8.zarr", name, steps=20, rows={"form": "u8"})
    assert verify(whole).ok
    assert verify(shades).ok
    rows, length = whole.array("attention/rows")[:].astype(np.float32), whole.array("context/length")[:]
    assert np.array_equal(np.isnan(shades.array("attention/rows")[:]), np.isnan(rows))
    edges, per = tuple(int(edge) for edge in bin_edges(rows.shape[-1])), whole.policy.tokens_per_transition
    for step, env in np.ndindex(20, 3):
        row = torch.from_numpy(rows[step, env : env + 1, ..., : length[step, env]])
        for array, expected in (
            ("attention/bins", age_bins(row, edges, "last")),
            ("attention/curve", retained_curve(row, "last", per)),
        ):
            stored = whole.array(array)[step, env].astype(np.float32)
            assert np.allclose(stored, expected[0].float().numpy(), atol=2e-3, equal_nan=True), (array, step, env)
