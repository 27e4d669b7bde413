"""Bytes that nobody will read any more: stores of deleted jobs that a late worker wrote into, and halves of commits.

What they are is told by the job database and by root documents, and only after they have been so for a grace time by a
steady clock; no time of a file is believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

import structlog

from attnscope_server.kinds import kinds
from attnscope_server.records.fates import Fate
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.captures import Captures
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.layout.bucket import BucketPath, StorePath
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.writing.leftovers import remove_leftovers

log = structlog.get_logger("attnscope.housekeeping")

LOOK_EVERY: Final = 1800.0
"""Seconds from one look to the next, which lists the folder or bucket of all stores."""

GRACE_SECONDS: Final = 3600.0
"""Seconds after which an orphan is removed; no worker's lease lasts that long."""


class Orphans:
    """Finds what nobody will read, and removes it after a grace time.

    Parameters
    ----------
    lease_seconds
        Of a worker: whoever may still write has as long.
    steady
        Seconds that only rise.
    """

    def __init__(
        self,
        jobs: JobStore,
        captures: Captures,
        *,
        lease_seconds: float = 0.0,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs, self._captures, self._steady = jobs, captures, steady
        self._grace = max(GRACE_SECONDS, 2 * lease_seconds)
        self._looked: float | None = None
        self._since: dict[tuple[UUID, int], float] = {}
        """When something was first seen to be an orphan: a store and 0, or a job and its attempts."""
        self._swept: set[tuple[UUID, int]] = set()
        """Jobs and attempts whose halves are removed."""

    def look(self) -> None:
        """Look, if the last look was long ago; what cannot be done is left for a later one."""
        now = self._steady()
        if self._looked is not None and now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        fates = self._jobs.fates(_owning())
        present = dict(self._captures.stores())
        orphaned = {(store, 0) for store in _unread(fates, present)}
        ended = {(fate.job, fate.attempts): fate for fate in fates if fate.ended and not fate.clean}
        self._swept &= ended.keys()
        self._since = {one: self._since.get(one, now) for one in (*orphaned, *(ended.keys() - self._swept))}
        for one in [one for one, since in self._since.items() if now - since >= self._grace]:
            try:
                if one in orphaned:
                    self._captures.remove(one[0])
                    log.info("a store that nobody can read was removed", store=str(one[0]))
                else:
                    self._sweep(ended[one], present)
                    self._swept.add(one)
            except (AttnscopeError, OSError) as error:
                log.warning("what nobody reads could not be removed yet", store=str(one[0]), detail=str(error))

    def _sweep(self, fate: Fate, present: Mapping[UUID, StorePath]) -> None:
        """Remove the halves of commits of an ended job."""
        removed = sum(
            remove_leftovers(present[store], fate.attempts, lambda: self._still(fate))
            for store in fate.stores
            if store in present
        )
        if removed:
            log.info("halves of commits removed", job=str(fate.job), files=removed)

    def _still(self, fate: Fate) -> bool:
        """Return True where a job has not begun anew since."""
        return self._jobs.fates(_owning(), fate.job) == (fate,)


def _owning() -> list[str]:
    """Return the kinds of job that own stores."""
    return [name for name, kind in kinds().items() if kind.owning is not None]


def _unread(fates: tuple[Fate, ...], present: Mapping[UUID, StorePath]) -> set[UUID]:
    """Return the stores that are there and that nobody can read.

    A store of a removed job is one; a store of no job is one where it has no root document. With one, a database that
    was lost may have known it: the doctor names it. While a job's record does not tell what the job owns, a store of no
    job may be its own.
    """
    removed = {store for fate in fates if fate.removed for store in fate.stores}
    known = {store for fate in fates if not fate.removed for store in fate.stores}
    told = all(fate.told for fate in fates)
    return {
        store
        for store, place in present.items()
        if store not in known and (store in removed or (told and _rootless(place)))
    }


def _rootless(place: StorePath) -> bool:
    """Return True where a store surely has no root document; one that only cannot be looked at may have one."""
    try:
        if isinstance(place, BucketPath):
            return place.stamp() is None
        (place / ROOT_KEY).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        log.warning("a store of no job cannot be looked at", store=str(place), detail=str(error))
    return False
