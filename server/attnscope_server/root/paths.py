"""The place of a job's store; known to the service, which imports no torch, and to the worker."""

from __future__ import annotations

from attnscope_storage.layout.places import STORES, PlaceT


def capture_path(root: PlaceT, job: str) -> PlaceT:
    """Return the place of a job's store, below a data root, a bucket or a backup."""
    return root / STORES / f"{job}.zarr"


def beside(path: PlaceT, job: str) -> PlaceT:
    """Return the place of another job's store, given that of a job of the same service."""
    return path.with_name(f"{job}.zarr")
