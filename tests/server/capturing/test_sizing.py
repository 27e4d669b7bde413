"""The memory that a capture is estimated to take: maps that wait to be written, of the environments that are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from attnscope_env.presets.listing import LISTED
from attnscope_model.acting import deciding
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing import sizing
from attnscope_server.capturing.kind import KIND
from attnscope_server.kinds import Means
from attnscope_server.limits import Limits
from attnscope_storage.wire import CaptureSpec
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
HEADS, TOKENS = 4, 100
ONE_MAP = 2 * 3 * HEADS * TOKENS**2
"""Bytes of the whole map of one environment: 3 layers of 4 heads over 100 tokens, as float16."""


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """Return a function that gives the bytes that a capture of 4,000 steps is estimated to need."""
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    with reading_here():
        registry.add(GOLDEN / "ckpt-causal.pt", causal=True, name="causal")

    def estimated(**asked) -> float:
        common = {"checkpoint": "causal", "tasks": {"goals": [(5, 4)]}, "steps": 4000}
        planned = KIND.plan(CaptureSpec.model_validate(common | asked), registry, LISTED, Limits())
        return KIND.memory(planned, Means(disk_free_bytes=1, compiled=False))

    return estimated


def test_maps_that_wait_together_are_counted_together(memory):
    """Maps of steps near each other are held at a time, far ones one by one; one layer's scores stand beside."""
    none, far, near = (memory(maps=maps) for maps in ({"count": 0}, {"steps": [9, 3999]}, {"steps": [8, 9]}))
    assert near - far == pytest.approx(ONE_MAP)
    assert far - none == pytest.approx(ONE_MAP + (8 * HEADS + 1) * TOKENS**2)


@pytest.mark.parametrize(("window", "mapped"), [("rolling", 0), ("memory", 4 * 32**2 / 4)])
def test_a_policy_that_remembers_computes_one_token_a_step(window, mapped):
    """Each of 500 steps costs one token over what it sees of 100; a memory's keys and values are made anew."""
    policy = SimpleNamespace(window=window, layers=3, heads=4, width=32, context_length=100)
    seen = [min(step, 100) for step in range(1, 501)]
    each = [3 * (24 * 32**2 + 4 * 32 * slots + mapped * slots) for slots in seen]
    found = sizing.capture_flops(SimpleNamespace(steps=500, envs=2), policy)
    assert found == pytest.approx(2 * sum(each))


def test_only_kept_environments_have_maps(memory):
    """Of eight environments whose rows are not all kept, one has a map."""
    maps = [
        memory(replicas=8, rows={"envs": envs}, maps={"steps": [9]})
        - memory(replicas=8, rows={"envs": envs}, maps={"count": 0})
        for envs in (None, [3])
    ]
    assert maps[0] - maps[1] == pytest.approx(7 * ONE_MAP)


def test_tiles_are_as_large_as_the_estimate_says():
    """The service may not import torch, so it says the number again."""
    assert sizing.TILE_ENVS == deciding.TILE_ENVS
