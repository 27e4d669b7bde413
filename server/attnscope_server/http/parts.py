"""Stores that a job owns, shown as jobs of their own kind: whoever may read the job may read them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from attnscope_server.http.state import State
from attnscope_server.records.job import StoredJob
from attnscope_server.root.children import owner_of
from attnscope_storage.errors import AttnscopeError, ChunkDamagedError
from attnscope_storage.wire import JobState, Progress, resolved_as, specification_as


@dataclass(frozen=True)
class OwnedStore:
    """A store that a job owns."""

    of: StoredJob
    """The job that owns it."""
    job: StoredJob
    """The store as a job; it is in no queue and in no list."""

    @property
    def label(self) -> str:
        """Name of the store within its owner."""
        return self.job.label or ""


def part_of_job(state: State, owner: str, name: UUID) -> OwnedStore | None:
    """Return the part of this owner's job that has an id; None where there is none that this owner may read.

    Raises
    ------
    ChunkDamagedError
        It is there, and its root document is not what this version writes.
    """
    try:
        reader = state.captures.open(name)
    except AttnscopeError:
        return None
    owned_by = owner_of(reader, name)
    job = None if owned_by is None else state.jobs.get(owned_by.store)
    if owned_by is None or job is None or job.owner != owner or job.deleted_at is not None:
        return None
    attributes = reader.attributes
    try:
        resolved = resolved_as(reader.kind, attributes["resolved"])
        spec = specification_as(reader.kind, attributes["spec"])
    except (KeyError, ValidationError) as error:
        raise ChunkDamagedError(
            f"the root document of the part {owned_by.name} is not what this version writes"
        ) from error
    ended = JobState.SUCCEEDED if reader.complete else job.state
    done = reader.steps_committed * resolved.steps_each
    progress = Progress(steps_total=resolved.steps_total, steps_done=done, steps_committed=done)
    shown = job.evolve(
        id=name,
        name=name,
        kind=reader.kind,
        label=owned_by.name,
        state=ended,
        spec=spec,
        resolved=resolved,
        progress=progress.model_copy(update={"phase": "ended"}) if ended.final else progress,
        failure=None if reader.complete else job.failure,
    )
    return OwnedStore(job, shown)
