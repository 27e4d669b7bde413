"""The default runner: one warm worker process a placement slot, on this machine, started when first needed."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Final
from uuid import UUID

from attnscope_server.kinds import kinds
from attnscope_server.records.job import StoredJob
from attnscope_server.running.local_worker import Attempt, LocalWorker
from attnscope_server.running.messages import Failed, Run, Stop
from attnscope_server.running.ordering import order_of
from attnscope_server.running.runner import Hear, Runner, Slot, SlotKind
from attnscope_server.settings import Settings
from attnscope_storage.wire import ProblemCode, problem

SIDE: Final = "side"
"""Name of the side slot."""

SIDE_NICE: Final = 10
"""Niceness of the side slot's worker: it stands back behind the workers of devices."""


class ProcessRunner(Runner):
    """Local worker processes: one for each configured device, and one beside them on one thread of the CPU."""

    name = "process"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hear: Hear = lambda _slot, _report: None
        self._lock = threading.Lock()
        self._workers: dict[str, LocalWorker] = {}
        devices = tuple(
            Slot(str(number), device, hardware="cpu" if device == "cpu" else None)
            for number, device in enumerate(settings.devices)
        )
        side = Slot(SIDE, "cpu", SlotKind.SIDE, hardware="cpu")
        self._slots = {slot.name: slot for slot in (*devices, side)}

    def connect(self, hear: Hear) -> None:
        """Send reports to `hear` from now on."""
        self._hear = hear

    def slots(self) -> tuple[Slot, ...]:
        """Return a slot for each device, and the side slot."""
        return tuple(self._slots.values())

    def run(self, job: StoredJob, attempt: int, slot: str) -> None:
        """Send the job to the slot's worker, starting one where there is none; a job of an unknown kind fails."""
        if job.kind not in kinds():
            failure = problem(ProblemCode.INVALID_REQUEST, f"this service runs no kind of job {job.kind!r}")
            self._hear(slot, Failed(job=job.id, attempt=attempt, problem=failure))
            return
        place, settings = self._slots[slot], self._settings
        threads = 1 if place.kind is SlotKind.SIDE else settings.threads
        order = order_of(job, attempt, settings, device=place.device, threads=threads)
        worker = self._workers.get(slot)
        if worker is None or not worker.run(order):
            self._start(slot, order)

    def cancel(self, job: UUID, attempt: int) -> None:
        """Set the worker's flag; end the process if that does not help in time."""
        for worker in self._on(Attempt(job, attempt)):
            first, second = self._settings.cancel_grace_seconds, self._settings.kill_grace_seconds
            worker.cancel(Attempt(job, attempt), first, second)

    def end(self, job: UUID, attempt: int) -> None:
        """Kill the worker that has the attempt."""
        for worker in self._on(Attempt(job, attempt)):
            worker.kill()

    def release(self, slot: str) -> None:
        """End the idle worker, and with it all that it holds on its device."""
        with self._lock:
            worker = self._workers.pop(slot, None)
        if worker is not None:
            worker.leave(self._settings.stop_grace_seconds)

    def stop(self) -> None:
        """Ask every worker to stop, and kill those that do not in time."""
        with self._lock:
            workers, self._workers = tuple(self._workers.values()), {}
        for worker in workers:
            worker.send(Stop())
        deadline = time.monotonic() + self._settings.stop_grace_seconds
        for worker in workers:
            if not worker.wait(max(0.0, deadline - time.monotonic())):
                worker.kill()
                worker.wait(self._settings.stop_grace_seconds)

    def unwell(self) -> str | None:
        """Say which worker has lost a thread that serves it."""
        with self._lock:
            deaf = [slot for slot, worker in self._workers.items() if worker.deaf]
        return f"nobody hears the worker of slot {deaf[0]}" if deaf else None

    def _start(self, slot: str, first: Run) -> None:
        side = self._slots[slot].kind is SlotKind.SIDE
        niceness = SIDE_NICE if side else self._settings.worker_nice
        worker = LocalWorker(self._settings.worker_command, niceness, partial(self._hear, slot), first)
        with self._lock:
            self._workers[slot] = worker

    def _on(self, attempt: Attempt) -> list[LocalWorker]:
        with self._lock:
            return [worker for worker in self._workers.values() if worker.attempt == attempt]
