"""The device, the places and the patience of a worker on another machine."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import structlog

from attnscope_server.errors import SettingUnusableError
from attnscope_server.pulling.cache import CheckpointCache
from attnscope_server.pulling.hardware import Hardware
from attnscope_server.running.messages import Run
from attnscope_storage.layout.bucket import BucketPath
from attnscope_storage.layout.bucket_store import may_create
from attnscope_storage.layout.places import STORES, place_of

log = structlog.get_logger("attnscope.pulling")


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


def usable_place(stores: str) -> str | None:
    """Return the place of the stores for a child, which may work in another folder; None where commits are to be sent.

    Keys that may also write elsewhere in the bucket are not used: whoever gets hold of the worker's machine would hold
    everything that lies there.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    SettingUnusableError
        The keys may not write where the stores lie.
    StorageUnwritableError
        The bucket does not answer.
    """
    place = place_of(stores)
    if isinstance(place, Path):
        return str(place.resolve(strict=True))
    if not may_create(place / STORES):
        raise SettingUnusableError(
            f"the bucket's keys in the environment may not write into {place / STORES}: give keys that may, or no "
            "--stores; the worker then sends its commits to the service"
        )
    if (further := _further(place)) is not None:
        log.warning(
            "the bucket's keys are not used, because they reach further than captures: commits are sent to the service",
            may_write=str(further),
            remedy=f"give this worker keys that reach {place / STORES} alone",
        )
        return None
    return stores


def _further(place: BucketPath) -> BucketPath | None:
    """Return a place outside the stores that the environment's keys may write into; None where none is found."""
    another = place.bucket / f"probe-{secrets.token_hex(16)}" / STORES  # as of another service in the bucket
    return next((one for one in (place, another) if may_create(one)), None)
