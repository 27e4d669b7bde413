"""Filling placement slots: whose job goes where, when a slot rests, and when its worker is let go."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.turns import Claim
from attnscope_server.running.messages import Interrupted
from attnscope_server.running.runner import Runner, Slot, SlotKind, SlotKinds
from attnscope_server.running.supervising.leases import lease_from
from attnscope_server.running.supervising.placed import Placed
from attnscope_server.running.supervising.signs import Signs
from attnscope_server.settings import Settings

log = structlog.get_logger("attnscope.supervisor")

LONGEST_WAIT: Final = 30.0
"""Seconds that a placement slot is left alone after it refused several jobs in a row, at most."""


@dataclass(frozen=True)
class Place:
    """A placement slot as it is shown."""

    runner: str
    slot: Slot
    hardware: str | None
    """Name that torch gives the device; None where nothing has told it."""
    job: StoredJob | None


class Placing:
    """Gives the jobs whose turn it is to free placement slots.

    Parameters
    ----------
    placed
        The jobs on slots, by the names of runner and slot; shared with the supervisor, under its lock.
    takes
        Kinds of placement slot that a kind of job takes.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: JobStore,
        placed: dict[tuple[str, str], Placed],
        takes: SlotKinds,
        now: Callable[[], float],
    ) -> None:
        self._settings, self._jobs, self._placed, self._takes, self._now = settings, jobs, placed, takes, now
        self._idle_since: dict[tuple[str, str], float] = {}
        self._refused: dict[tuple[str, str], tuple[int, float]] = {}
        self._hardware: dict[tuple[str, str], str] = {}
        self._in_vain: set[Claim] = set()

    def begin_round(self) -> None:
        """Forget which claims found no job: more may wait by now."""
        self._in_vain.clear()

    def keep_only(self, runner: str, slots: Collection[str]) -> None:
        """Forget what was noted about slots of a runner that are gone: workers that ask come and go for months."""
        notes: tuple[dict[tuple[str, str], Any], ...] = (self._idle_since, self._refused, self._hardware)
        for noted in notes:
            for key in [key for key in noted if key[0] == runner and key[1] not in slots and key not in self._placed]:
                del noted[key]

    @property
    def running(self) -> int:
        """Number of jobs on slots."""
        return len(self._placed)

    def freed(self, key: tuple[str, str]) -> None:
        """Note that a slot is free from now on."""
        self._idle_since[key] = self._now()

    def found(self, key: tuple[str, str], hardware: str) -> None:
        """Note the device that a job found on a slot."""
        self._hardware[key] = hardware

    def hardware(self, runner: str, slot: Slot) -> str | None:
        """Return the device of a slot as torch names it; None where neither its runner nor a job has told it."""
        return slot.hardware or self._hardware.get((runner, slot.name))

    def fill(self, runner: Runner, slot: Slot) -> bool:
        """Give a slot the next job, or let its worker go when it has been idle for long; True where a job was taken."""
        key = (runner.name, slot.name)
        if key in self._placed or self._now() < self._refused.get(key, (0, 0.0))[1]:
            return False
        job = self._claim(runner, slot)
        if job is None:
            if key in self._idle_since and self._now() - self._idle_since[key] > self._settings.worker_idle_seconds:
                del self._idle_since[key]
                runner.release(slot.name)
            return False
        self._idle_since.pop(key, None)
        placed = self._placed[key] = Placed(runner, slot, job, Signs(self._now(), datetime.now(UTC)))
        placed.leased_until = lease_from(runner, self._now())
        self._begin(placed)
        return True

    def _begin(self, placed: Placed) -> None:
        """Hand a job to its runner; where that refuses, the job goes back and the slot rests for a while."""
        job, key = placed.job, placed.key
        try:
            placed.runner.run(job, job.attempts, placed.slot.name)
        except Exception as error:
            log.exception("a job could not be started", job=str(job.id), runner=key[0], slot=key[1])
            times = self._refused.get(key, (0, 0.0))[0] + 1
            self._refused[key] = (times, self._now() + min(LONGEST_WAIT, 2.0**times))
            placed.why = f"it could not be started: {type(error).__name__}: {error}"
            placed.ending = Interrupted(job=job.id, attempt=job.attempts)
        else:
            self._refused.pop(key, None)

    def _claim(self, runner: Runner, slot: Slot) -> StoredJob | None:
        only = None
        if slot.kind is not SlotKind.DEVICE:
            only = tuple(kind for kind, slots in self._takes.items() if slot.kind in slots)
            if not only:
                return None
        never = [kind for kind, slots in self._takes.items() if slot.kind not in slots]  # others take a device
        hardware = self.hardware(runner.name, slot)
        wish = Claim(
            only=only,
            never=(*never, *sorted(slot.refuses)),
            per_owner=self._settings.limits.running_per_owner,
            hardware=hardware,
            device_kind=slot.device_kind(hardware),
            owners=None if slot.owners is None else tuple(sorted(slot.owners)),
        )
        if wish in self._in_vain:  # a hundred idle slots alike ask the database once a round
            return None
        claim = replace(wish, runner=runner.name, slot=slot.name, lease_seconds=runner.lease_seconds)
        job = self._jobs.claim(claim)
        if job is None:
            self._in_vain.add(wish)
        return job
