"""The runner of a Ray cluster, as the service sees it: it starts the driver, and starts it anew where that ends."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from importlib.util import find_spec
from typing import Final
from uuid import UUID

import structlog

from attnscope_server.errors import SettingUnusableError
from attnscope_server.kinds import kinds
from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import ENDINGS, Cancel, Failed, JobReport, Renewed
from attnscope_server.running.on_ray.driving import COMMAND, Driving
from attnscope_server.running.on_ray.marks import mark_of
from attnscope_server.running.on_ray.slots import slot_named, slot_of
from attnscope_server.running.on_ray.tokens import asked_apart, refuse_open
from attnscope_server.running.on_ray.wire import Begin, End, Heard, Kept, Leave, News, Offers, Place, Tell, Trouble
from attnscope_server.running.ordering import order_of
from attnscope_server.running.runner import Hear, Runner, Slot
from attnscope_server.settings import Settings
from attnscope_storage import __version__
from attnscope_storage.wire import ProblemCode, problem

log = structlog.get_logger("attnscope.ray")

SILENT_SECONDS: Final = 60.0
"""A driver that has said nothing for so long is ended."""

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 30.0
"""Seconds from the end of one driver to the start of the next, at most."""

ABANDONED_LEASES: Final = 2.0
"""An actor that no driver asks for so many leases ends by itself."""


class RayRunner(Runner):
    """One actor a GPU of a Ray cluster, or for some cores of its machines without one.

    Raises
    ------
    SettingUnusableError
        No cluster is named, Ray is not installed, or the cluster wants no token.
    """

    name = "ray"

    def __init__(self, settings: Settings, command: tuple[str, ...] = COMMAND) -> None:
        if settings.ray_address is None:
            raise SettingUnusableError("runners: ray needs ray_address, the host and port of the cluster's head")
        if find_spec("ray") is None:
            raise SettingUnusableError("runners: ray is not installed: pip install 'attnscope[server,ray]'")
        self._address = settings.ray_address
        answer = asked_apart(self._address)
        refuse_open(self._address, answer)
        if answer.outcome == "unreachable":
            log.warning("the cluster does not answer; jobs wait for it", address=self._address, detail=answer.detail)
        self.lease_seconds = settings.lease_seconds
        self._settings, self._command = settings, command
        self._mark = mark_of(settings.data_root)
        self._hear: Hear = lambda _slot, _report: None
        self._lock = threading.RLock()
        self._attempts: dict[str, tuple[UUID, int]] = {}
        self._slots: tuple[Slot, ...] = ()
        self._cpus: dict[str, int] = {}
        self._said_at = time.monotonic()
        self._driving: Driving | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="ray", daemon=True)

    def connect(self, hear: Hear) -> None:
        """Send reports to `hear` from now on."""
        self._hear = hear

    def slots(self) -> tuple[Slot, ...]:
        """Return the slots of the cluster; the first call starts the driver, after all attempts were taken up."""
        with self._lock:
            if self._thread.ident is None and not self._stopping.is_set():
                self._thread.start()
            if self._driving is None or time.monotonic() - self._said_at < SILENT_SECONDS:
                return self._slots
            self._slots = ()
            self._driving.kill()  # it hangs; the actors do not notice, and the next one finds them
            return ()

    def run(self, job: StoredJob, attempt: int, slot: str) -> None:
        """Send the job to the cluster; a job of an unknown kind fails."""
        if job.kind not in kinds():
            failure = problem(ProblemCode.INVALID_REQUEST, f"this service runs no kind of job {job.kind!r}")
            self._hear(slot, Failed(job=job.id, attempt=attempt, problem=failure))
            return
        place = next((one for one in self.slots() if one.name == slot), None)
        if place is None:
            raise RuntimeError("the cluster has no such slot any more")
        threads = self._settings.threads or max(1, self._cpus.get(slot, 1))
        seconds = self.lease_seconds
        order = order_of(job, attempt, self._settings, device=place.device, threads=threads, lease_seconds=seconds)
        with self._lock:
            if self._driving is None:
                raise RuntimeError("the cluster's driver is not there")
            self._attempts[slot] = (job.id, attempt)
            self._driving.send(Place(slot=slot, order=order))

    def cancel(self, job: UUID, attempt: int) -> None:
        """Set the worker's flag; end its process if that does not help in time."""
        slot = self._slot_of(job, attempt)
        if slot is None:
            return
        self._send(Tell(slot=slot, order=Cancel(job=job, attempt=attempt)))
        grace = self._settings.cancel_grace_seconds + self._settings.kill_grace_seconds
        timer = threading.Timer(grace, self.end, (job, attempt))
        timer.daemon = True
        timer.start()

    def end(self, job: UUID, attempt: int) -> None:
        """End the actor that has the attempt."""
        slot = self._slot_of(job, attempt)
        if slot is not None:
            self._send(End(slot=slot))

    def release(self, slot: str) -> None:
        """End the idle actor, and with it all that it holds on its device."""
        if slot not in self._attempts:
            self._send(End(slot=slot))

    def renewed(self, job: UUID, attempt: int, said_at: float) -> None:
        """Tell the worker that its lease begins anew."""
        slot = self._slot_of(job, attempt)
        if slot is not None:
            self._send(Tell(slot=slot, order=Renewed(job=job, attempt=attempt, said_at=said_at)))

    def keep(self, job: StoredJob, attempt: int, slot: str) -> Slot | None:
        """Take up an attempt; the driver looks for its actor, and reports its death where there is none."""
        found = slot_named(slot)
        if found is not None:
            self._attempts[slot] = (job.id, attempt)
        return found

    def stop(self) -> None:
        """End the idle actors and the driver; jobs run on, and the next service takes them up."""
        with self._lock:
            self._stopping.set()
            driving = self._driving
        if driving is not None:
            driving.send(Leave())
            driving.end(self._settings.stop_grace_seconds)
        if self._thread.ident is not None:
            self._thread.join()

    def unwell(self) -> str | None:
        """Say that nothing looks after the driver. A cluster that is away is no fault of the service."""
        begun = self._thread.ident is not None
        return "the thread of Ray's driver has ended" if begun and not self._thread.is_alive() else None

    def _slot_of(self, job: UUID, attempt: int) -> str | None:
        return next((slot for slot, had in tuple(self._attempts.items()) if had == (job, attempt)), None)

    def _send(self, command: Tell | End) -> None:
        with self._lock:
            if self._driving is not None:
                self._driving.send(command)

    def _drive(self) -> None:
        """Run one driver after the other until the service stops."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._drive_once()
            except SettingUnusableError as error:
                log.error("the cluster is not used", detail=error.message)  # noqa: TRY400 - the message says it all
            except Exception:
                log.exception("the cluster's driver could not be started")
            with self._lock:
                self._driving, self._slots = None, ()
            failures = 1 if time.monotonic() - began > LONGEST_WAIT else failures + 1
            self._stopping.wait(min(LONGEST_WAIT, FIRST_WAIT * 2.0**failures))

    def _drive_once(self) -> None:
        answer = asked_apart(self._address)
        refuse_open(self._address, answer)  # another cluster may have come to this address
        if answer.outcome != "refused":  # it may be one that wants no token, and is slow: the token stays here
            log.warning("the cluster does not answer; jobs wait for it", address=self._address, detail=answer.detail)
            return
        with self._lock:
            if self._stopping.is_set():
                return
            self._driving = driving = Driving(self._begin(), self._command)
            self._said_at = time.monotonic()
        code = driving.listen(self._take)
        if not self._stopping.is_set():
            log.warning("the cluster's driver ended; another one is started", code=code)

    def _begin(self) -> Begin:
        settings = self._settings
        place = settings.bucket or f"{socket.gethostname()}:{settings.data_root.resolve()}"
        digest = hashlib.sha256(f"{__version__}\n{place}".encode()).hexdigest()
        return Begin(
            address=self._address,
            namespace=f"attnscope-{digest[:16]}",
            join=settings.ray_join,
            cpus=settings.ray_cpus,
            data_root=settings.data_root.resolve(),
            mark=self._mark,
            start_seconds=settings.worker_start_seconds,
            abandoned_seconds=ABANDONED_LEASES * settings.lease_seconds,
            cache_bytes=int(settings.ray_cache_gib * 2**30),
            kept=tuple(Kept(slot=slot, job=job, attempt=number) for slot, (job, number) in self._attempts.items()),
        )

    def _take(self, news: News) -> None:
        match news:
            case Offers(offers=offers):
                slots = tuple(slot_of(offer.name, offer.device, free=offer.free) for offer in offers)
                with self._lock:
                    self._slots, self._said_at = slots, time.monotonic()
                    self._cpus = {offer.name: offer.cpus for offer in offers}
            case Heard(slot=slot, report=report):
                if isinstance(report, JobReport) and isinstance(report, ENDINGS):
                    with self._lock:
                        if self._attempts.get(slot) == (report.job, report.attempt):
                            del self._attempts[slot]
                self._hear(slot, report)
            case Trouble(detail=detail):
                log.warning("the cluster cannot be used now", detail=detail)
