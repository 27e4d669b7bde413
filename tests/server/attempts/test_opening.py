"""The start of an attempt: an attempt at a begun job computes as the first one did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.forward.fused import LAYERS, NUMBA, TORCH, implementation
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.attempts.opening import choose_attention
from attnscope_storage.reading.reader import CaptureReader
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CPU = torch.device("cpu")


class Begun(CaptureReader):
    """A store that was begun one way."""

    def __init__(self, way: str) -> None:
        self._way = way

    @property
    def attributes(self):
        """Return a provenance that names the way."""
        return {"provenance": {"attention_implementation": self._way}}


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """Return a policy that can be computed each way."""
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    with reading_here():
        info = registry.add(GOLDEN / "ckpt-causal.pt", causal=True)
    return load_policy(registry.folder(info.id), CPU)


def test_a_new_job_takes_the_fastest_way(policy):
    """Whole layers where they may be compiled, else torch."""
    choose_attention(policy, CPU, None, allowed=True)
    assert implementation(policy) == LAYERS
    choose_attention(policy, CPU, None, allowed=False)
    assert implementation(policy) == TORCH


@pytest.mark.parametrize("way", [TORCH, NUMBA, LAYERS])
def test_a_begun_job_keeps_its_way(policy, way):
    """Also a job that began before whole layers were compiled, and whatever this attempt may."""
    for allowed in (True, False):
        choose_attention(policy, CPU, Begun(way), allowed=allowed)
        assert implementation(policy) == way


def test_a_way_that_is_not_here_is_refused(policy):
    """By name, before a step is computed."""
    with pytest.raises(NotReproducibleError, match="it began with flash attention of another kind"):
        choose_attention(policy, CPU, Begun("flash attention of another kind"), allowed=True)
