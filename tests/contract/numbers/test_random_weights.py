"""A policy that nobody trained: its report begins with the gate, ranks nothing, and stays short."""

from __future__ import annotations

import torch

import attnscope
from attnscope.report import write_report
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.wire import CaptureSpec, MapsChoice, TaskChoice
from planted import write_random
from reading_here import reading_here

CPU = torch.device("cpu")


def test_the_gate_comes_first(tmp_path):
    """Its first sentence says that the policy acts no better than uniform actions; no rule is ranked or proposed."""
    registry = CheckpointRegistry(tmp_path / "registry")
    write_random(tmp_path / "weights")
    with reading_here():
        info = registry.add(tmp_path / "weights")
    tasks = TaskChoice(split="test", indices=(0, 1, 2, 3))
    spec = CaptureSpec(checkpoint=info.id, tasks=tasks, replicas=10, episodes=4, maps=MapsChoice(count=0))
    order = CaptureOrder("random", "me", spec, resolve(spec, registry), tmp_path / "random.zarr", durable=False)
    run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU)
    write_report(attnscope.open(order.path), tmp_path / "report")
    lines = (tmp_path / "report" / "compression_recommendations.txt").read_text().splitlines()
    assert len(lines) <= 80
    told = " ".join(lines[1 : lines.index("")])
    assert "uniform actions here" in told
    assert told.endswith("There is nothing shown to compress, and no rule is ranked.")
    assert any("in no order" in line for line in lines)
    assert not [line for line in lines if line.strip().startswith(("by departure", "by retained attention"))]
