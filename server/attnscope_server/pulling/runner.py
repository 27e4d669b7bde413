"""The runner of workers that ask for jobs over HTTP: a slot for each worker that asked lately.

A slot is free while its worker waits for a job. Knows no HTTP: the routes call it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

from attnscope_server.errors import refusal
from attnscope_server.kinds import kinds
from attnscope_server.pulling.desk import AttemptKey, Desk
from attnscope_server.pulling.messages import Offer
from attnscope_server.records.job import StoredJob
from attnscope_server.records.keys import Identity
from attnscope_server.running.messages import (
    ENDINGS,
    Alive,
    AnyJobReport,
    Cancel,
    Died,
    Failed,
    Interrupted,
    Renewed,
    Run,
)
from attnscope_server.running.ordering import order_of
from attnscope_server.running.runner import Hear, Runner, Slot
from attnscope_server.settings import Settings
from attnscope_storage import __version__
from attnscope_storage.wire import ProblemCode, problem

WORKERS_PER_KEY: Final = 512
"""Workers of one key that are known at once."""

ELSEWHERE: Final = Path()
"""Folder of checkpoints in the order to a worker, which has its own."""


class PullRunner(Runner):
    """Gives jobs to workers that ask for them."""

    name = "pull"

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self.lease_seconds = settings.lease_seconds
        self._settings, self._now = settings, now
        self._hear: Hear = lambda _slot, _report: None
        self._lock = threading.Lock()
        self._desks: dict[str, Desk] = {}

    def connect(self, hear: Hear) -> None:
        """Send reports to `hear` from now on."""
        self._hear = hear

    def slots(self) -> tuple[Slot, ...]:
        """Return a slot for each worker that was heard of within a lease."""
        with self._lock:
            for name in [name for name, desk in self._desks.items() if self._gone(desk)]:
                del self._desks[name]
            return tuple(
                replace(desk.slot, free=desk.waiting and desk.attempt is None) for desk in self._desks.values()
            )

    def _gone(self, desk: Desk) -> bool:
        quiet = self._now() - desk.heard > self._settings.lease_seconds
        return quiet and desk.attempt is None and not desk.waiting

    def run(self, job: StoredJob, attempt: int, slot: str) -> None:
        """Lay the job ready for the worker that waits.

        Raises
        ------
        RuntimeError
            The worker does not wait any more.
        """
        if job.kind not in kinds():
            failure = problem(ProblemCode.INVALID_REQUEST, f"this service runs no kind of job {job.kind!r}")
            self._hear(slot, Failed(job=job.id, attempt=attempt, problem=failure))
            return
        with self._lock:
            desk = self._desks.get(slot)
            if desk is None or not desk.waiting or desk.attempt is not None:
                raise RuntimeError(f"the worker {slot} waits for no job any more")
            order = order_of(
                job, attempt, self._settings, device=desk.slot.device, threads=None, lease_seconds=self.lease_seconds
            )
            self._clear(desk)
            places = {"data_root": ELSEWHERE, "stores": self._settings.bucket or ""}
            desk.order, desk.attempt = order.model_copy(update=places), (job.id, attempt)

    def cancel(self, job: UUID, attempt: int) -> None:
        """Tell the worker to stop the attempt, with the answer to its next report."""
        for desk in self._with(job, attempt):
            desk.cancelled = True

    def renewed(self, job: UUID, attempt: int, said_at: float) -> None:
        """Tell the worker that its lease is renewed, with the answer to the report that did it."""
        for desk in self._with(job, attempt):
            desk.renewals.append(Renewed(job=job, attempt=attempt, said_at=said_at))

    def end(self, job: UUID, attempt: int) -> None:
        """Take the attempt from its worker, which hears at its next report that it is over.

        Its end is told here, because the worker may live and go on to give signs of life.
        """
        for desk in self._with(job, attempt):
            self._clear(desk)
            self._hear(desk.slot.name, Died(job=job, attempt=attempt))

    def release(self, slot: str) -> None:
        """Do nothing: the device is the worker's own."""

    def stop(self) -> None:
        """Do nothing: workers outlive the service, and their jobs go on."""

    def keep(self, job: StoredJob, attempt: int, slot: str) -> Slot | None:
        """Take up an attempt that an earlier service gave out; its worker has only to report in time."""
        hardware = None if job.placed_on is None else str(job.placed_on["device"])
        with self._lock:
            known = Slot(slot, hardware if hardware in {"cpu", "mps"} else "cuda", free=False, hardware=hardware)
            self._desks[slot] = Desk(known, job.key_id, self._now(), attempt=(job.id, attempt))
        return known

    def offered(self, identity: Identity, offer: Offer) -> int:
        """Note that a worker waits for a job; return the number of its claim.

        Raises
        ------
        ProblemError
            The worker is of another version (conflict), or its key may not offer this device (forbidden), or has too
            many workers.
        """
        self._refuse(identity, offer)
        slot = Slot(
            offer.slot,
            offer.device,
            hardware=offer.hardware,
            owners=identity.serves or None,
        )
        with self._lock:
            desk = self._desks.get(slot.name)
            if desk is None:
                held = Counter(desk.key_id for desk in self._desks.values())[identity.key_id]
                if held >= WORKERS_PER_KEY:
                    detail = f"{held} workers of this key are known: give further ones a key of their own"
                    raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=WORKERS_PER_KEY, requested=held + 1)
                desk = self._desks[slot.name] = Desk(slot, identity.key_id, self._now())
            elif desk.key_id not in {None, identity.key_id}:
                raise refusal(ProblemCode.FORBIDDEN, "this session is that of another key")
            desk.slot, desk.key_id, desk.heard = slot, identity.key_id, self._now()
            desk.waiting, desk.turn = True, desk.turn + 1
            return desk.turn

    def _refuse(self, identity: Identity, offer: Offer) -> None:
        if offer.version != __version__:
            detail = f"this service runs attnscope {__version__}, the worker {offer.version}: install one version"
            raise refusal(ProblemCode.CONFLICT, detail)
        if identity.device_kinds and offer.device_kind not in identity.device_kinds:
            kinds_allowed = ", ".join(sorted(identity.device_kinds))
            raise refusal(ProblemCode.FORBIDDEN, f"this key offers {kinds_allowed}, not {offer.device_kind}")

    def taken(self, slot: str, turn: int) -> Run | None:
        """Return the job that lies ready; None where there is none. The same again where no report of it has come."""
        with self._lock:
            desk = self._desks.get(slot)
            return desk.order if desk is not None and desk.turn == turn else None

    def waits(self, slot: str, turn: int) -> bool:
        """Return True where this claim is still the worker's newest."""
        with self._lock:
            desk = self._desks.get(slot)
            return desk is not None and desk.turn == turn

    def closed(self, slot: str, turn: int) -> Run | None:
        """Note that a claim waits no more; return a job that was laid ready until then."""
        with self._lock:
            desk = self._desks.get(slot)
            if desk is None or desk.turn != turn:
                return None
            desk.waiting, desk.heard = False, self._now()
            return desk.order

    def given_back(self, slot: str, order: Run) -> None:
        """Put a job back that its worker never got."""
        self.heard(slot, (order.job, order.attempt), [Interrupted(job=order.job, attempt=order.attempt)])

    def heard(
        self, slot: str, attempt: AttemptKey, reports: Sequence[AnyJobReport | Alive]
    ) -> tuple[Renewed | Cancel, ...]:
        """Pass reports about an attempt on, and return the orders for its worker."""
        with self._lock:
            desk = self._desks.get(slot)
            if desk is not None:
                desk.heard = self._now()
                if desk.attempt == attempt and reports:
                    desk.order = None
        for report in reports:
            self._hear(slot, report)
        with self._lock:
            if desk is None or desk.attempt != attempt:
                return ()
            renewals, desk.renewals = desk.renewals, []
            stop = [Cancel(job=attempt[0], attempt=attempt[1])] if desk.cancelled else []
            if any(isinstance(report, ENDINGS) for report in reports):
                self._clear(desk)
            return (*renewals, *stop)

    def left(self, identity: Identity, slot: str) -> None:
        """Forget a worker that takes no more jobs; a job that it still has goes back to the queue."""
        with self._lock:
            desk = self._desks.get(slot)
            if desk is None or desk.key_id not in {None, identity.key_id}:
                return
            del self._desks[slot]
        if desk.attempt is not None:
            job, attempt = desk.attempt
            self._hear(slot, Interrupted(job=job, attempt=attempt))

    def _with(self, job: UUID, attempt: int) -> list[Desk]:
        with self._lock:
            return [desk for desk in self._desks.values() if desk.attempt == (job, attempt)]

    def _clear(self, desk: Desk) -> None:
        desk.order, desk.attempt, desk.renewals, desk.cancelled = None, None, [], False
