"""The supervisor: takes queued jobs to free placement slots, and writes down what becomes of them.

Every change of state is in the database before anybody is told. Interrupted jobs go back to the queue by themselves;
three deaths in a row without a new commit fail a job, so that a poisonous one does not run for ever. No exception
ends the supervisor: it is logged, what it held up is tried again, each time after a longer while.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from attnscope_server.errors import DatabaseBusyError, TransitionError
from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_store import JobStore
from attnscope_server.running.messages import Alive, AnyJobReport, Interrupted
from attnscope_server.running.runner import Runner, SlotKind, SlotKinds
from attnscope_server.running.supervising.hearing import take
from attnscope_server.running.supervising.leases import take_back
from attnscope_server.running.supervising.placed import Placed, write_end
from attnscope_server.running.supervising.placing import Place, Placing
from attnscope_server.running.supervising.watching import pass_on_cancel, shown, watch
from attnscope_server.settings import Settings
from attnscope_storage.wire import JobState, Progress

log = structlog.get_logger("attnscope.supervisor")

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the queue and at the signs of life, at most."""

CANCEL_WAITS: Final = 1.0
"""Seconds that a cancel waits for the supervisor, at most: it holds a thread that reads need too."""


class Supervisor:
    """Runs the jobs of one service.

    Parameters
    ----------
    settings
        Deadlines and limits.
    jobs
        Where states are written.
    runners
        What runs jobs; each has a name of its own.
    changed
        Called, from any thread, whenever a job may look different from outside.
    takes
        Kinds of placement slot that a kind of job takes.
    now
        The steady clock, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: JobStore,
        runners: Sequence[Runner],
        changed: Callable[[], None] = lambda: None,
        *,
        takes: SlotKinds | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._jobs, self._changed, self._now = settings, jobs, changed, now
        self._runners = {runner.name: runner for runner in runners}
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stopping = False
        self._placed: dict[tuple[str, str], Placed] = {}
        self._placing = Placing(settings, jobs, self._placed, dict(takes or {}), now)
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)
        for runner in runners:
            runner.connect(partial(self._on_report, runner.name))

    def start(self) -> None:
        """Take back what an earlier service left behind, then begin. That service's death counts for no job.

        A job whose lease is alive goes on where it runs, if its runner takes it up.
        """
        self._jobs.fail_unreadable()
        for kept in take_back(self._jobs, self._runners, self._now()):
            self._placed[kept.key] = kept
        for job in self._jobs.in_state(JobState.INTERRUPTED):
            self._jobs.move(job.id, JobState.QUEUED)
        self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """Stop every worker in an orderly way; running jobs become interrupted and resume at the next start.

        Jobs with a lease run on: the next service takes them up, or their leases run out.
        """
        with self._lock:
            self._stopping = True
        self._wake.set()
        self._thread.join()
        with self._lock:
            self._settle()
            for key in [key for key, placed in self._placed.items() if placed.leased_until is not None]:
                del self._placed[key]
            for placed in self._placed.values():
                placed.ending = placed.ending or Interrupted(job=placed.job.id, attempt=placed.job.attempts)
                placed.why, placed.over = placed.why or "the service stopped", placed.over or self._now()
            self._settle()  # what the database refuses now, the next start finds running, and queues it again

    def wake(self) -> None:
        """Look for queued jobs."""
        self._wake.set()

    def unwell(self) -> str | None:
        """Say what keeps jobs from being run; None where nothing does."""
        if not self._thread.is_alive():
            return "the supervisor's thread has ended"
        for runner in self._runners.values():
            if (wrong := runner.unwell()) is not None:
                return wrong
        return None

    def progress(self, job: UUID) -> Progress | None:
        """Return how far a running job is, fresher than the database; of a stalled one, no rate."""
        # Without the lock: a database that is slow to write must not hold up a poll.
        placed = next((one for one in tuple(self._placed.values()) if one.job.id == job), None)
        return None if placed is None else shown(placed, self._settings, self._now())

    def devices(self) -> list[tuple[str, StoredJob | None]]:
        """Return each device and the job it runs."""
        return [(place.slot.device, place.job) for place in self.places() if place.slot.kind is SlotKind.DEVICE]

    def places(self) -> list[Place]:
        """Return every placement slot of this moment, with its job; a runner that cannot say its slots has none."""
        jobs = {key: placed.job for key, placed in tuple(self._placed.items())}
        found = []
        for runner in self._runners.values():
            with contextlib.suppress(Exception):  # `_feed` logs it
                for slot in runner.slots():
                    job, hardware = jobs.get((runner.name, slot.name)), self._placing.hardware(runner.name, slot)
                    found.append(Place(runner.name, slot, hardware, job))
        return found

    def runner(self, name: str) -> Runner | None:
        """Return the runner of a name; None where the settings name no such runner."""
        return self._runners.get(name)

    def cancel(self, job: StoredJob) -> StoredJob:
        """Cancel a job; it stays `cancelling` until its work has ended.

        Raises
        ------
        DatabaseBusyError
            The supervisor itself waits for the job database; the caller must not wait behind it.
        """
        if not self._lock.acquire(timeout=CANCEL_WAITS):
            raise DatabaseBusyError("the supervisor waits for the job database; try again")
        try:
            return self._cancel(job)
        finally:
            self._lock.release()
            self._changed()

    def _cancel(self, job: StoredJob) -> StoredJob:
        try:
            if job.state in {JobState.QUEUED, JobState.INTERRUPTED}:
                return self._jobs.move(job.id, JobState.CANCELLED, "cancelled while waiting")
            if job.state is JobState.RUNNING:
                job = self._jobs.move(job.id, JobState.CANCELLING)
        except TransitionError:
            return self._jobs.get(job.id) or job  # it moved on by itself
        for placed in self._placed.values():
            if placed.job.id == job.id:
                pass_on_cancel(placed)
        return job

    def look(self) -> None:
        """Write down what ended, end what hangs, fill free slots; one of these that fails does not stop the others."""
        for part in (self._settle, self._watch, self._feed):
            try:
                with self._lock:
                    part()
            except UNANSWERED as error:  # no client hears of a state that is not written; the next round tries again
                log.warning("the job database did not answer", detail=str(error))
            except Exception:
                log.exception("the supervisor goes on")

    def _loop(self) -> None:
        while True:
            self._wake.wait(timeout=min(LOOK_EVERY, self._settings.worker_idle_seconds))
            self._wake.clear()
            if self._stopping:
                break
            self.look()
        # Workers are stopped on the thread that started them: the kernel ties their life to it (PR_SET_PDEATHSIG).
        for runner in self._runners.values():
            try:
                runner.stop()
            except Exception:
                log.exception("a runner could not be stopped", runner=runner.name)

    def _feed(self) -> None:
        self._placing.begin_round()
        for runner in self._runners.values():
            try:
                slots = runner.slots()
            except Exception:  # the other runners go on
                log.exception("a runner does not say where jobs can run", runner=runner.name)
                continue
            self._placing.keep_only(runner.name, {slot.name for slot in slots})
            for slot in slots:
                if slot.free and self._placing.fill(runner, slot):
                    self._settle()
                    self._changed()

    def _on_report(self, runner: str, slot: str, report: AnyJobReport | Alive) -> None:
        """Take a report; it comes on a thread of the runner, which must outlive whatever is wrong here."""
        try:
            with self._lock:
                placed = self._placed.get((runner, slot))
                if placed is not None:
                    take(self._jobs, self._placing, placed, report, self._now())
                    if placed.ending is not None:
                        self._wake.set()
        except Exception:
            log.exception("a report was lost", runner=runner, slot=slot)
        self._changed()

    def _settle(self) -> None:
        """Write down how attempts ended; what the database refuses stays, and with it the job's slot."""
        for key, placed in tuple(self._placed.items()):
            if placed.ending is None:
                continue
            try:
                write_end(self._jobs, placed, stopping=self._stopping)
            except UNANSWERED as error:
                log.warning("the end of a job is not written yet", job=str(placed.job.id), detail=str(error))
                continue
            except (LookupError, ValidationError):  # a row that somebody took away or changed
                log.exception("the end of a job could not be written", job=str(placed.job.id))
            del self._placed[key]
            self._placing.freed(key)
            self._wake.set()
            self._changed()

    def _watch(self) -> None:
        now = self._now()
        for placed in self._placed.values():
            watch(placed, self._settings, now)
