"""A bound on what reading a hostile file may take."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

MOST_BYTES = 2**30
"""Memory that reading a file may take beyond what this process has."""


@pytest.fixture
def _bounded():
    """Let an allocation beyond `MOST_BYTES` fail, so that a file cannot take more unseen."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MOST_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
