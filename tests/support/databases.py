"""Fixtures: a PostgreSQL server on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgresql import Server, serving


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Return a PostgreSQL server, one for the session; its folder's path must be short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="attnscope-pg-"))
    folder.chmod(0o755)
    try:
        with serving(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)
