"""Training needs gradients; the other tests of the model run as the engine does, without."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Leave the other cores to other tests."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _inference():
    """Run with gradients, in place of the inference mode of the folder above."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield
