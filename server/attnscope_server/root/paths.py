"""The path of a job's capture; known to the service, which imports no torch, and to the worker."""

from __future__ import annotations

from pathlib import Path


def capture_path(data_root: Path, job: str) -> Path:
    """Return the folder of a job's capture."""
    return data_root / "captures" / f"{job}.zarr"


def beside(path: Path, job: str) -> Path:
    """Return the folder of another job's store, given that of a job of the same service."""
    return path.with_name(f"{job}.zarr")
