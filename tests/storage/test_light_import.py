"""The first imports of the laptop stay light."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from attnscope_storage import kinds

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


CONTRACTS = [f"kinds.{found.name}.contract" for found in pkgutil.iter_modules(kinds.__path__)]


@pytest.mark.parametrize(
    "module",
    [
        "errors",
        "kinds.capture.schema",
        "layout.store_schema",
        "wire.specifications.choices",
        "wire.problems",
        *CONTRACTS,
    ],
)
def test_the_contract_needs_no_zarr(module):
    """Errors, schema, wire types and the contract of every kind of job are read without the storage engine."""
    assert not {"zarr", "torch"} & loaded_by(f"attnscope_storage.{module}")


@pytest.mark.parametrize("module", ["reading.reader", "writing.writer", "verify"])
def test_storage_needs_no_torch(module):
    """The storage engine imports zarr, which shows that the probe can see it, and never torch."""
    loaded = loaded_by(f"attnscope_storage.{module}")
    assert "zarr" in loaded
    assert "torch" not in loaded
