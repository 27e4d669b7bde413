"""The device, the places and the patience of a worker on another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnscope_server.pulling.cache import CheckpointCache
from attnscope_server.pulling.hardware import Hardware
from attnscope_server.running.messages import Run
from attnscope_storage.layout.bucket import BucketPath
from attnscope_storage.layout.places import place_of


@dataclass(frozen=True)
class Means:
    """The device, the places and the patience of a worker."""

    name: str
    """Name for people."""
    hardware: Hardware
    cache: CheckpointCache
    stores: str | None
    """Folder or bucket that the service's stores lie below, as this machine reaches it; None: commits are sent."""
    command: tuple[str, ...]
    """Starts the child."""
    threads: int | None = None
    niceness: int = 0
    idle_seconds: float | None = None
    """Time without a job after which the worker ends; None: never."""
    cancel_grace: float = 1.0
    kill_grace: float = 0.5
    stop_grace: float = 10.0

    def unreached(self, order: Run) -> str | None:
        """Say why this worker cannot write where the service's stores are; None where it can, or sends them."""
        if self.stores is None:
            return None
        mine = place_of(self.stores)
        if isinstance(mine, BucketPath) != bool(order.stores) or (order.stores and order.stores != str(mine)):
            where = order.stores or "in a folder"
            return f"the service keeps its stores {where}, and --stores names {mine}"
        return None


def usable_place(stores: str) -> str:
    """Return the place of the stores for a child, which may work in another folder.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """
    place = place_of(stores)
    return str(place.resolve(strict=True)) if isinstance(place, Path) else stores
