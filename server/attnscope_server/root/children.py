"""Stores that a job's store owns: they lie beside it, and are kept, copied and deleted with it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from attnscope_server.root.paths import beside
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.parts import LISTED, PART_OF, child_id


@dataclass(frozen=True)
class Owner:
    """The store that owns another one."""

    store: UUID
    name: str
    """Name of the owned store, ``rung-1/look-2`` for one."""


def children_of(path: StorePath) -> dict[str, StorePath]:
    """Return the places of the stores that a store owns and that exist, by name.

    Ids are computed from the names, never read: a changed root document cannot name the store of another job.
    """
    try:
        listed = CaptureReader.open(path).attributes.get(LISTED)
    except AttnscopeError:
        return {}
    store = UUID(path.stem)
    names = listed if isinstance(listed, dict) else {}
    found = {str(name): beside(path, str(child_id(store, str(name)))) for name in names}
    return {name: child for name, child in found.items() if child.exists()}


def owner_of(reader: CaptureReader, store: UUID) -> Owner | None:
    """Return the store that owns this one; None where none does, or where the id is not the one that follows."""
    stored = reader.attributes.get(PART_OF)
    try:
        owner = Owner(UUID(stored["store"]), str(stored["name"])) if isinstance(stored, dict) else None
    except (KeyError, TypeError, ValueError):
        return None
    return owner if owner is not None and child_id(owner.store, owner.name) == store else None
