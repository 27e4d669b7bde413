"""Both reference checkpoints, as files, as a registry and as policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.forward.policy import Policy
from reading_here import reading_here


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Leave the other cores to other tests; the numbers below are compared at one thread count."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Return the folder of the reference's files."""
    return Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="session")
def golden(golden_folder) -> dict[str, dict[str, np.ndarray]]:
    """Return the reference's own outputs, by checkpoint."""
    return {name: dict(np.load(golden_folder / f"golden-{name}.npz")) for name in ("causal", "noncausal")}


@pytest.fixture(scope="session")
def registry(golden_folder, tmp_path_factory) -> CheckpointRegistry:
    """Return a registry that holds both checkpoints under the names of their masks; not to be changed."""
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    with reading_here():
        registry.add(golden_folder / "ckpt-causal.pt", causal=True, name="causal")
        registry.add(golden_folder / "ckpt-noncausal.pt", causal=False, name="noncausal")
    return registry


@pytest.fixture(scope="session")
def policies(registry) -> dict[str, Policy]:
    """Return both policies on the CPU."""
    return {name: load_policy(registry.folder(name), torch.device("cpu")) for name in ("causal", "noncausal")}


@pytest.fixture(params=["causal", "noncausal"])
def name(request) -> str:
    """Return the name of each checkpoint in turn."""
    return request.param


@pytest.fixture(autouse=True)
def _inference():
    """Run as the engine does."""
    with torch.inference_mode():
        yield


@pytest.fixture
def _outside_inference_mode():
    """Write and parse files outside inference mode, as a trainer and a command line do."""
    with torch.inference_mode(mode=False):
        yield


@pytest.fixture
def parsed_here():
    """Parse in this process, which is quicker than a child."""
    with reading_here():
        yield


@pytest.fixture
def empty(tmp_path) -> CheckpointRegistry:
    """Return a registry that holds nothing yet."""
    return CheckpointRegistry(tmp_path / "checkpoints")


@pytest.fixture
def causal_file(golden_folder):
    """Return the causal reference file."""
    return golden_folder / "ckpt-causal.pt"
