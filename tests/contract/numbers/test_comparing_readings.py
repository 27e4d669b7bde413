"""Both readings of one reference file, causal and not, rolled out by the real engine and compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch

import attnscope
from attnscope.comparison import write_comparison
from attnscope.comparison.numbers import MEASURES
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.wire import CaptureSpec
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CPU = torch.device("cpu")
RECENT = MEASURES[0].name


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """Return captures of the same rollouts, as far as the policy makes them so, read with a causal mask and without."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("readings")
    registry, captures = CheckpointRegistry(folder / "registry"), []
    for name, causal in (("causal", True), ("non-causal", False)):
        with reading_here():
            registry.add(GOLDEN / "ckpt-causal.pt", causal=causal, name=name)
        spec = CaptureSpec(checkpoint=name, tasks={"goals": [(5, 4), (2, 7)]}, steps=150, maps={"count": 2})
        resolved, info = resolve(spec, registry), registry.get(name)
        path = folder / f"{name}.zarr"
        order = CaptureOrder(str(uuid4()), "tester", spec, resolved, path, durable=False)
        run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU)
        captures.append(attnscope.open(path))
    return captures


def test_the_two_readings_of_a_file_are_told_apart(readings, tmp_path):
    """Each is named by its mask, whole maps show it, and the numbers that differ are those of the raw rows."""
    causal, free = (capture.map(149)[:, :, :-1, -1] for capture in readings)
    assert not causal.any(), "of a causal policy only the query sees the query"
    assert (free > 0).mean() > 0.9
    write_comparison(readings, tmp_path)
    data = json.loads((tmp_path / "comparison.json").read_text())
    text = (tmp_path / "comparison.txt").read_text()
    assert re.search(r"causal.*\), causal \(mask stated by", text)
    assert re.search(r"non-causal.*\), non-causal \(mask stated by", text)
    recent = []
    for entry, capture in zip(data["captures"], readings, strict=True):
        assert entry["name"] == capture.resolved.checkpoint_name
        full = np.asarray(capture.rows[99:], np.float64)  # contexts of 100 tokens
        recent.append((full[..., 79:99].sum(axis=-1) / full.sum(axis=-1)).mean())
        assert entry["measures"][RECENT]["value"] == pytest.approx(recent[-1], abs=1e-4)
    (pair,) = data["differences"]
    (change,) = [one["value"] for one in pair["measures"] if one["measure"] == RECENT]
    assert change == pytest.approx(recent[1] - recent[0], abs=1e-4)
    assert abs(change) > 0.01, "the mask changes what the policy looks at"
    assert {verdict["verdict"] for verdict in data["verdicts"]} <= {"consistent", "not consistent", "undecided"}
    for name in ("comparison_measures.png", "comparison_multiples.png"):
        assert (tmp_path / name).stat().st_size > 20_000
