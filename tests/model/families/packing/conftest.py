"""Golden rollouts of policies that pack their older history."""

from __future__ import annotations

import lzma
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
MEASURED = {"cad": 6.4e-6, "rad": 2.9e-6}
"""Largest distance of an independent forward in double precision from the originals; ten times that is allowed."""


@pytest.fixture(scope="session")
def packing(tmp_path_factory):
    """Return each policy, its golden numbers and what is allowed between them, by name."""
    folder = tmp_path_factory.mktemp("packing")
    registry = CheckpointRegistry(folder / "registry")
    found = {}
    for name, measured in MEASURED.items():
        path = folder / f"{name}.pt"
        path.write_bytes(lzma.decompress((GOLDEN / name / "ckpt-50000.pt.xz").read_bytes()))
        with reading_here():
            info = registry.add(path, name=name)
        policy = load_policy(registry.folder(info.id), torch.device("cpu"))
        golden = dict(np.load(GOLDEN / name / "golden.npz"))
        found[name] = SimpleNamespace(policy=policy, golden=golden, allowed=10 * measured, info=info)
    return found


@pytest.fixture(params=list(MEASURED))
def subject(packing, request):
    """Return each of them in turn."""
    return packing[request.param]
