"""Periodic tasks: expired captures are deleted, interrupted deletions and additions are ended, orphans are removed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.captures import Captures

log = structlog.get_logger("attnscope.housekeeping")

CLOCK_DRIFT: Final = timedelta(minutes=1)
"""Distance of the wall clock from the steady one between two rounds beyond which nothing is deleted by it."""


class Housekeeping:
    """Deletes what has expired, and removes from disk what is deleted.

    Deletion has two phases: a job is marked in the database, which hides it for ever, then its capture leaves the disk.
    What dies or fails in between is done by a later round.

    Parameters
    ----------
    every
        Seconds between two rounds.
    now, steady
        The wall clock and the steady one. Where they disagree since the last round, the wall clock was set: a capture
        is not deleted because of that, only when the new time has lasted a whole round.
    sweep
        Removes what interrupted additions of checkpoints left, and counts it.
    orphans
        Removes what nobody will read.
    """

    def __init__(
        self,
        jobs: JobStore,
        captures: Captures,
        every: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = time.monotonic,
        *,
        sweep: Callable[[], int] = lambda: 0,
        orphans: Callable[[], None] = lambda: None,
    ) -> None:
        self._sweep, self._orphans = sweep, orphans
        self._jobs, self._captures, self._every = jobs, captures, every
        self._now, self._steady = now, steady
        self._last: tuple[datetime, float] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Do a round now, and one from time to time."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is being done."""
        self._stop.set()
        self._thread.join()

    def unwell(self) -> str | None:
        """Say what keeps captures from being deleted; None where nothing does."""
        return None if self._thread.is_alive() else "the housekeeping's thread has ended"

    def round(self) -> None:
        """Delete what has expired, then remove what is deleted; what cannot be done is left for a later round."""
        for part in (self._expire, self._remove_deleted, self._remove_swept, self._orphans):
            try:
                part()
            except UNANSWERED as error:
                log.warning("the job database did not answer", detail=str(error))
                return
            except Exception:  # whatever it was, it stops no other part, and the next round tries again
                log.exception("a part of housekeeping failed")

    def _expire(self) -> None:
        now, steady = self._now(), self._steady()
        before, self._last = self._last, (now, steady)
        if before is None:
            return
        drift = (now - before[0]) - timedelta(seconds=steady - before[1])
        if abs(drift) > CLOCK_DRIFT:
            log.warning("the clock was set; nothing expires in this round", drift=str(drift))
            return
        for job in self._jobs.expire(now):
            log.info("capture expired", job=str(job))

    def _remove_deleted(self) -> None:
        for job in self._jobs.deleted_leftovers():
            remove(self._jobs, self._captures, job)

    def _remove_swept(self) -> None:
        if (swept := self._sweep()) > 0:
            log.info("leftovers of interrupted additions of checkpoints removed", folders=swept)

    def _loop(self) -> None:
        while True:
            self.round()
            if self._stop.wait(self._every):
                return


def remove(jobs: JobStore, captures: Captures, job: UUID) -> None:
    """Remove the capture of a deleted job; where the disk refuses, it stays hidden and a later round tries again."""
    try:
        captures.remove(job)
    except OSError as error:
        log.warning("a deleted capture could not be removed yet", job=str(job), detail=str(error))
    else:
        jobs.mark_removed(job)
