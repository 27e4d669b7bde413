"""The contract of a kind of job, which both sides share, and the list of all contracts.

Each folder of `attnscope_storage.kinds` has a module `contract`, which registers one contract when it is imported. All
of them are imported when the first contract is asked for. Nothing else lists the kinds, so nothing else changes when a
kind is added.
"""

from __future__ import annotations

import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.wire.base import Specification
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.resolved import ResolvedJob

SpecT = TypeVar("SpecT", bound=Specification)
ResolvedT = TypeVar("ResolvedT", bound=ResolvedJob)

ROOM: Final = "attnscope_storage.kinds"
"""Package whose folders hold the contracts of this distribution."""


@dataclass(frozen=True)
class Words:
    """The words in which people read of a kind of job."""

    entries: str
    """The unit that the growing axis of its store counts, e.g. ``steps``."""
    smaller: str
    """The things to ask for fewer of where a job is too large."""


@dataclass(frozen=True)
class Contract(Generic[SpecT, ResolvedT]):
    """The part of one kind of job that service and client share."""

    specification: type[SpecT]
    resolved: type[ResolvedT]
    schema: Callable[[SpecT, ResolvedT, PolicyDescription], StoreSchema]
    """Returns the arrays that a job is stored in."""
    verify: str
    """Import path of the function that checks a store whose chunks decode, ``module:function``.

    It takes the reader, the names of the arrays that can be read, and the report that it adds to.
    """
    words: Words
    optional: tuple[str, ...] = ()
    """Beginnings of the names of arrays that a specification may leave out."""
    not_replayable: str | None = None
    """Why no map of a stored step can be computed again; None where one can."""

    @property
    def name(self) -> str:
        """Name of the kind, on the wire and in the store."""
        return str(self.specification.model_fields["kind"].default)


_registered: dict[str, Contract[Any, Any]] = {}
_changed: list[Callable[[], None]] = []
_loading = threading.RLock()


def register(contract: Contract[SpecT, ResolvedT]) -> Contract[SpecT, ResolvedT]:
    """Make a contract known under its name, and return it.

    Raises
    ------
    ValueError
        Another contract has the name, or the specification's `kind` has no default.
    """
    name = contract.name
    if contract.specification.model_fields["kind"].is_required():
        raise ValueError(f"{contract.specification.__name__}: expected a default of `kind`, which names the kind")
    if name in _registered and _registered[name] is not contract:
        raise ValueError(f"there is a contract of the kind {name!r} already")
    _registered[name] = contract
    _tell()
    return contract


def forget(name: str) -> None:
    """Take a contract out of the list, as a test does with a kind of its own."""
    del _registered[name]
    _tell()


def when_changed(call: Callable[[], None]) -> None:
    """Call a function whenever a contract is registered or forgotten."""
    _changed.append(call)


def contracts() -> Mapping[str, Contract[Any, Any]]:
    """Return every contract by the name of its kind."""
    with _loading:
        _load()
    return MappingProxyType(_registered)


def contract_of(kind: str) -> Contract[Any, Any]:
    """Return the contract of a kind.

    Raises
    ------
    LookupError
        Nobody registered one.
    """
    found = contracts().get(kind)
    if found is None:
        raise LookupError(f"no kind of job is called {kind!r}; there are {', '.join(contracts())}")
    return found


def imported(path: str) -> Any:  # noqa: ANN401 - an import path names anything
    """Return what an import path names, ``module:name``, importing the module."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@cache
def _load() -> None:
    for name in _modules():
        import_module(name)


def _modules() -> Iterator[str]:
    room = import_module(ROOM)
    yield from (f"{ROOM}.{found.name}.contract" for found in pkgutil.iter_modules(room.__path__) if found.ispkg)


def _tell() -> None:
    for call in _changed:
        call()
