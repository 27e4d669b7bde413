"""Placement: where a job can run, and the interface of whatever runs it.

A runner knows no SQL and no states of jobs. The supervisor is given its runners; it builds none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import Alive, AnyJobReport

Hear = Callable[[str, AnyJobReport | Alive], None]
"""Takes the name of a placement slot and a report from it; callable from any thread, and it never raises."""


class SlotKind(StrEnum):
    """Kind of a placement slot."""

    DEVICE = "device"  # a whole configured device
    SIDE = "side"  # one thread of the CPU, at low priority, beside busy devices


SlotKinds = Mapping[str, frozenset[SlotKind]]
"""Kind of job → the kinds of placement slot that it takes; a kind of job that is not named takes a device."""


@dataclass(frozen=True)
class Slot:
    """A place where one job at a time can run."""

    name: str
    """Unique among the slots of a runner."""
    device: str
    """Device as the settings name it."""
    kind: SlotKind = SlotKind.DEVICE
    free: bool = True
    """True where the runner would take a job there now."""
    hardware: str | None = None
    """Name that torch gives the device; None where the runner does not know it before a job has run there."""
    owners: frozenset[str] | None = None
    """Owners whose jobs it takes; None: every owner's."""
    refuses: frozenset[str] = frozenset()
    """Kinds of job that it does not take."""

    def device_kind(self, hardware: str | None) -> str | None:
        """Return the kind of its device; None of ``auto`` before a job has run there.

        Parameters
        ----------
        hardware
            Name that torch gives the device; None where nothing has told it.
        """
        if self.device != "auto":
            return self.device.partition(":")[0]
        return hardware if hardware in {None, "cpu"} else "cuda"  # auto is the first GPU, else the CPU


class Runner(ABC):
    """Runs jobs on its placement slots, one at a time on each.

    Every job that was taken by `run` is reported to its end: by the job's own ending, or by `Died`.
    """

    name: str
    """Unique among the runners of a service; stored with each job that runs here."""
    lease_seconds: float | None = None
    """Length of its leases; None where what it runs lives and dies with the service, so that nothing needs one."""

    @abstractmethod
    def connect(self, hear: Hear) -> None:
        """Send reports to `hear` from now on; called once, before any job."""

    @abstractmethod
    def slots(self) -> tuple[Slot, ...]:
        """Return the placement slots of this moment."""

    @abstractmethod
    def run(self, job: StoredJob, attempt: int, slot: str) -> None:
        """Start an attempt at a job.

        Raises
        ------
        OSError, RuntimeError
            The machine refuses a process or a thread. Nothing runs then, and nothing is reported.
        """

    @abstractmethod
    def cancel(self, job: UUID, attempt: int) -> None:
        """Stop an attempt, the harder the longer it takes."""

    @abstractmethod
    def end(self, job: UUID, attempt: int) -> None:
        """End what runs an attempt at once, because it no longer answers."""

    @abstractmethod
    def release(self, slot: str) -> None:
        """Free the device of a slot where nothing runs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop whatever runs in an orderly way, and wait for it."""

    def renewed(self, job: UUID, attempt: int, said_at: float) -> None:  # noqa: B027 - most runners have no leases
        """Tell the worker that its lease begins anew at `said_at`, a moment of the worker's own clock.

        Called where `lease_seconds` is not None, by the thread that brought the sign of life, before `hear` returns.
        """

    def keep(self, job: StoredJob, attempt: int, slot: str) -> Slot | None:  # noqa: ARG002 - for runners with leases
        """Take up an attempt that an earlier service began, whose lease is alive; return its slot.

        None where nothing can have outlived that service: the job is then interrupted, and queued again.
        """
        return None

    def unwell(self) -> str | None:
        """Say what is wrong with the runner itself; None where it works."""
        return None
