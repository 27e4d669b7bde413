"""`import attnscope` stays light: proved in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.service  # without the extra there is no torch that could be loaded

NEVER = {"torch", "fastapi", "gymnasium", "sqlalchemy", "starlette", "attnscope_server", "attnscope_model"}
LATER = {"zarr", "matplotlib", "numcodecs", "xarray"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads in a fresh interpreter."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout))


def test_importing_the_client_loads_nothing_heavy():
    """Neither the service's packages nor, before they are used, zarr and matplotlib."""
    loaded = loaded_by("import attnscope")
    assert "httpx" in loaded
    assert loaded & (NEVER | LATER) == set()


def test_the_command_line_loads_nothing_heavy():
    """The same for the program as it starts."""
    assert loaded_by("import attnscope.cli") & (NEVER | LATER) == set()


def test_the_probe_can_fail():
    """The probe sees a package that is loaded."""
    assert "matplotlib" in loaded_by("import attnscope.figures.style")
