"""The service's half of a kind of job, and the list of all kinds; the other half is its contract in storage.

A room that runs a kind has a module ``kind``, which registers one `Kind` when it is imported; all are imported when the
first kind is asked for. Nothing here imports torch: a runner is an import path.
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import attnscope_server
from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.limits import Limits
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import Contract, Estimate, PolicyDescription, ResolvedJob, Specification

SpecT = TypeVar("SpecT", bound=Specification)
ResolvedT = TypeVar("ResolvedT", bound=ResolvedJob)

COMPRESSION: Final = 1.5
"""Decoded bytes per stored byte: lossless float16 under zstd level 1, measured on synthetic rows."""

WORKER_BASE_BYTES: Final = 450 * 2**20
"""Resident memory of a worker that has loaded torch and nothing else."""


@dataclass(frozen=True)
class Planned(Generic[SpecT, ResolvedT]):
    """A specification with all that follows from it before it runs; the schema is built once, here."""

    spec: SpecT
    resolved: ResolvedT
    policy: PolicyDescription
    schema: StoreSchema
    owned_bytes: int = 0
    """Decoded size of the stores that the job comes to own."""

    @property
    def own_bytes(self) -> int:
        """Decoded size of every array of the job's own store."""
        return sum(array.nbytes for array in self.schema.arrays.values())

    @property
    def bytes_raw(self) -> int:
        """Decoded size of every array, those of owned stores too."""
        return self.own_bytes + self.owned_bytes

    @property
    def bytes_on_disk(self) -> int:
        """Guess of the stored size."""
        return round(self.bytes_raw / COMPRESSION)


@dataclass(frozen=True)
class Referred:
    """A job of the same owner that a specification refers to."""

    store: UUID
    """Id under which its store is kept."""
    spec: Specification
    resolved: ResolvedJob
    steps_committed: int


@dataclass(frozen=True)
class Means:
    """The resources of a service for a job."""

    disk_free_bytes: int | None
    """Free bytes where stores live."""
    flops_per_second: float | None = None
    """Rate of the owner's last job of the kind, in the unit of `Kind.flops`; None before the first."""
    rated_by: str = ""
    """Kind of the job that the rate is of."""
    compiled: bool = True
    """Workers may attend by the compiled kernel, where it is installed and the policy's heads fit."""


class Kind(ABC, Generic[SpecT, ResolvedT]):
    """The service's half of one kind of job."""

    contract: Contract[SpecT, ResolvedT]
    runner: str
    """Import path of the function that runs a job, ``module:function``; only a worker imports it.

    It takes an `Order`, the policy, its `CheckpointInfo` and the torch device, and `Callbacks` by name.
    """

    alike: tuple[str, ...] = ()
    """Kinds of job whose rate may stand for this one's while none of this kind has ended."""
    beside: bool = False
    """A job also runs on one thread of the CPU, beside devices that are busy."""
    owning: str | None = None
    """Import path of the `Owning` of a kind whose jobs fill further stores."""

    @property
    def name(self) -> str:
        """Name of the kind, the same as its contract's."""
        return self.contract.name

    @abstractmethod
    def resolve(self, spec: SpecT, registry: CheckpointRegistry, listings: Listings) -> ResolvedT:
        """Return what a specification means on this service.

        Raises
        ------
        ProblemError
            It names what is not there, or what does not fit.
        """

    def resolve_on(
        self, spec: SpecT, referred: Referred | None, registry: CheckpointRegistry, listings: Listings
    ) -> ResolvedT:
        """Return what a specification means, given the job that it refers to.

        Raises
        ------
        ProblemError
            As `resolve`; or the job it refers to is of the wrong kind, or has nothing to read yet.
        """
        del referred
        return self.resolve(spec, registry, listings)

    @abstractmethod
    def flops(self, spec: SpecT, resolved: ResolvedT, policy: PolicyDescription) -> float:
        """Return the floating-point operations of a whole job."""

    def flops_done(
        self, spec: SpecT, resolved: ResolvedT, policy: PolicyDescription, store: Callable[[], CaptureReader]
    ) -> float:
        """Return the floating-point operations that a succeeded job took: all of them, unless its kind may end early.

        Parameters
        ----------
        store
            Opens the job's store.
        """
        del store
        return self.flops(spec, resolved, policy)

    @abstractmethod
    def memory(self, planned: Planned[SpecT, ResolvedT], means: Means) -> float:
        """Return a guess of the bytes that the job needs in a worker, beyond `WORKER_BASE_BYTES`."""

    def owned_bytes(self, resolved: ResolvedT, policy: PolicyDescription) -> int:
        """Return the decoded size of the stores that a job comes to own."""
        del resolved, policy
        return 0

    def refuse_large(self, planned: Planned[SpecT, ResolvedT], limits: Limits) -> None:
        """Raise `ProblemError` where the job is over a cap that only this kind has."""

    def plan(
        self,
        spec: SpecT,
        registry: CheckpointRegistry,
        listings: Listings,
        limits: Limits,
        referred: Referred | None = None,
    ) -> Planned[SpecT, ResolvedT]:
        """Return a specification resolved, with its policy and its schema.

        Raises
        ------
        ProblemError
            It names what is not there, what does not fit, or more than this service allows.
        """
        resolved = self.resolve_on(spec, referred, registry, listings)
        policy = registry.get(resolved.checkpoint_id).policy
        planned = Planned(
            spec, resolved, policy, self.contract.schema(spec, resolved, policy), self.owned_bytes(resolved, policy)
        )
        self.refuse_large(planned, limits)
        return planned

    def estimate(self, planned: Planned[SpecT, ResolvedT], means: Means) -> Estimate:
        """Return what a job will cost."""
        rate = means.flops_per_second
        flops = self.flops(planned.spec, planned.resolved, planned.policy)
        return Estimate(
            resolved=planned.resolved,
            bytes_raw=planned.bytes_raw,
            bytes_on_disk=planned.bytes_on_disk,
            worker_memory_bytes=round(WORKER_BASE_BYTES + self.memory(planned, means)),
            seconds=None if rate is None else flops / rate,
            seconds_basis=f"no {self.name} has ended on this service yet"
            if rate is None
            else f"the rate of the last {means.rated_by or self.name} that ended here, scaled by the arithmetic of a "
            "forward pass",
            disk_free_bytes=means.disk_free_bytes,
        )


_registered: dict[str, Kind[Any, Any]] = {}


def register(kind: Kind[SpecT, ResolvedT]) -> Kind[SpecT, ResolvedT]:
    """Make a kind known under its contract's name, and return it.

    Raises
    ------
    ValueError
        Another kind has the name.
    """
    if _registered.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is a kind of job {kind.name!r} already")
    return kind


def forget(name: str) -> None:
    """Take a kind out of the list, as a test does with one of its own."""
    del _registered[name]


def kinds() -> Mapping[str, Kind[Any, Any]]:
    """Return every kind of job that this service runs, by its name."""
    _load()
    return MappingProxyType(_registered)


def kind_of(name: str) -> Kind[Any, Any]:
    """Return a kind of job by its name.

    Raises
    ------
    LookupError
        This service runs no such kind.
    """
    found = kinds().get(name)
    if found is None:
        raise LookupError(f"this service runs no kind of job {name!r}; it runs {', '.join(kinds())}")
    return found


@cache
def _load() -> None:
    package = attnscope_server.__name__
    for room in pkgutil.iter_modules(attnscope_server.__path__):
        if room.ispkg and find_spec(name := f"{package}.{room.name}.kind") is not None:
            import_module(name)
