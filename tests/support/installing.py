"""Example packages installed as an operator would, where this interpreter finds them, with nothing fetched."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def install(name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Install an example into a folder, and let it be found until the patch is undone."""
    source, target = folder / "source", folder / "installed"
    shutil.copytree(EXAMPLES / name, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True)
    patch.syspath_prepend(target)
    importlib.invalidate_caches()
