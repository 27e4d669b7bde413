"""The end of a program that used zarr: nothing of zarr's loop is printed, however busy it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUSY = """
import asyncio, time
import zarr
from zarr.core.sync import _get_loop
{imported}
loop = _get_loop()
asyncio.run_coroutine_threadsafe(asyncio.sleep(600), loop)
loop.call_soon_threadsafe(time.sleep, 0.6)  # longer than zarr waits for its loop
"""


def ended(imported: str) -> tuple[int, str]:
    """Run a program that ends while zarr's loop is busy; return its status and what it wrote about that."""
    folders = os.pathsep.join(path for path in sys.path if path and Path(path).is_dir())
    program = BUSY.format(imported=imported)
    environment = {**os.environ, "PYTHONPATH": folders}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("module", ["attnscope_storage.reading.reader", "attnscope_storage.writing.writer"])
def test_a_busy_loop_ends_without_a_word(module):
    """Whoever reads or writes a store gets zarr's loop ended in order."""
    assert ended(f"import {module}") == (0, "")


def test_the_program_makes_zarr_complain_by_itself():
    """Without our part the same program ends with zarr's traceback; else the test above could not fail."""
    assert "Cannot close a running event loop" in ended("")[1]
