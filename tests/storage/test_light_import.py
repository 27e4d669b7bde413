"""What the laptop imports first stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = "import sys; import {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"


def loaded_by(module):
    """Return the top-level packages that importing a module loads."""
    probe = subprocess.run(
        [sys.executable, "-c", PROBE.format(module=module)], capture_output=True, text=True, check=True
    )
    return set(probe.stdout.split())


def test_the_package_itself_imports_nothing_heavy():
    """`import attnscope_storage` brings neither zarr nor numpy."""
    assert not {"zarr", "numpy", "pydantic", "torch"} & loaded_by("attnscope_storage")


@pytest.mark.parametrize(
    "module", ["errors", "kinds.capture.schema", "layout.store_schema", "wire.specs", "wire.problems"]
)
def test_the_contract_needs_no_zarr(module):
    """Errors, schema and wire types are read without the storage engine."""
    assert not {"zarr", "torch"} & loaded_by(f"attnscope_storage.{module}")


@pytest.mark.parametrize("module", ["reading.reader", "writing.writer", "verify"])
def test_storage_needs_no_torch(module):
    """The storage engine imports zarr, which shows that the probe can see it, and never torch."""
    loaded = loaded_by(f"attnscope_storage.{module}")
    assert "zarr" in loaded
    assert "torch" not in loaded
