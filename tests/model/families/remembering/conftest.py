"""Golden rollouts of policies that decide out of a memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def trxl_golden():
    """Return what cleanrl's own policy computed."""
    return dict(np.load(GOLDEN / "trxl-cleanrl" / "golden.npz"))


@pytest.fixture(scope="session")
def amago_golden():
    """Return what AMAGO's own agent computed."""
    return dict(np.load(GOLDEN / "amago" / "golden.npz"))


@pytest.fixture
def trxl_of(empty, tmp_path, parsed_here):  # noqa: ARG001 - files are parsed in this process
    """Return a function that gives cleanrl's policy with positions for so many steps."""

    def policy(steps):
        path = tmp_path / "ppo_trxl.cleanrl_model"
        shutil.copy(GOLDEN / "trxl-cleanrl" / path.name, path)
        path.with_name(path.name + ".json").write_text(json.dumps({"max_episode_steps": steps}))
        return load_policy(empty.folder(empty.add(path, preset="some.listed.environment").id), CPU)

    return policy


@pytest.fixture
def amago(empty, parsed_here):  # noqa: ARG001 - files are parsed in this process
    """Return AMAGO's policy, through the registry."""
    folder = GOLDEN / "amago"
    info = empty.add(
        folder / "policy_epoch_50.pt", config=folder / "config.txt", context_length=16, preset="some.listed.environment"
    )
    return load_policy(empty.folder(info.id), CPU)
