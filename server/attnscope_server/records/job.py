"""A job as a frozen value, and the states that it may go through.

Knows neither SQL nor workers: `attnscope_server.records.job_store` stores these values, the supervisor moves them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

from attnscope_server.errors import TransitionError
from attnscope_storage.wire import AnySpec, Job, JobState, Problem, Progress, Resolved

MAX_INTERRUPTIONS: Final = 3
"""Interruptions in a row without a new commit that fail a job."""

TRANSITIONS: Final = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
        JobState.RUNNING: frozenset(
            {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLING, JobState.INTERRUPTED},
        ),
        # A job may end by itself before it hears that it should stop; then that is what happened.
        JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
        JobState.INTERRUPTED: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
        JobState.SUCCEEDED: frozenset[JobState](),
        JobState.FAILED: frozenset[JobState](),
        JobState.CANCELLED: frozenset[JobState](),
    }
)
"""State → the states that may follow it."""


@dataclass(frozen=True)
class StoredJob:
    """A job as the database holds it."""

    sequence: int
    """Order of submission."""
    id: UUID
    """Names it inside the service, and the folder of its capture or trial."""
    name: UUID
    """Names it to its owner: the same, unless another owner had used that first."""
    owner: str
    kind: str
    label: str | None
    state: JobState
    spec: AnySpec
    resolved: Resolved
    progress: Progress
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    failure: Problem | None = None
    interruptions: int = 0
    interrupted_at_step: int = 0
    expires_at: datetime | None = None
    pinned: bool = False
    deleted_at: datetime | None = None
    last_heard_at: datetime | None = None
    ran_seconds: float = 0.0
    """Time that ended attempts took together."""
    lease_until: datetime | None = None
    """Until when the worker may write; None where nothing runs, or where it lives and dies with the service."""
    runner: str | None = None
    """Runner of the last attempt."""
    slot: str | None = None
    """Placement slot of the last attempt."""
    placed_on: Mapping[str, Any] | None = None
    """Device, number format, threads and torch of the last attempt that began."""
    resume_elsewhere: bool = False
    """True where the owner lets the job go on on another kind of device, not equal to the bit."""
    device_kind: str | None = None
    """Kind of device that the owner asks for; None: any."""
    key_id: str | None = None
    """Key of the worker that was given the present attempt over HTTP; None where it runs elsewhere."""

    @property
    def resume_on(self) -> str | None:
        """Device on which the job must go on; None where any will do."""
        if self.resume_elsewhere or self.placed_on is None or self.progress.steps_committed == 0:
            return None
        return str(self.placed_on["device"])

    def evolve(self, **changes: Any) -> Self:  # noqa: ANN401 - fields of StoredJob
        """Return the job with other values in these fields."""
        return dataclasses.replace(self, **changes)

    def move(self, state: JobState, at: datetime, **changes: Any) -> Self:  # noqa: ANN401 - fields of StoredJob
        """Return the job in the state `state`, which it entered at the time `at`.

        Raises
        ------
        TransitionError
            The job cannot go there from its state.
        """
        if state not in TRANSITIONS[self.state]:
            raise TransitionError(f"a job that is {self.state} cannot become {state}")
        if state.final:
            changes.setdefault("finished_at", at)
            changes.setdefault("progress", self.progress.model_copy(update=ENDED))
        elif state is JobState.RUNNING:
            changes.setdefault("started_at", self.started_at or at)
            changes.setdefault("attempts", self.attempts + 1)
        return self.evolve(state=state, **changes)

    def interrupt(self, at: datetime, committed: int, *, counted: bool) -> Self:
        """Return the job interrupted, when `committed` steps were safe.

        Parameters
        ----------
        counted
            Whether the job's worker died by itself; only such deaths count towards `MAX_INTERRUPTIONS`.
        """
        before = self.interruptions if committed <= self.interrupted_at_step else 0
        progress = self.progress.model_copy(
            update={**IDLE, "phase": "waiting", "steps_done": committed, "steps_committed": committed}
        )
        return self.move(
            JobState.INTERRUPTED,
            at,
            progress=progress,
            interruptions=before + 1 if counted else before,
            interrupted_at_step=committed,
        )

    def retry(self) -> Self:
        """Return the job queued again as if it had never been interrupted; what was committed is kept.

        Raises
        ------
        TransitionError
            The job waits, runs or has succeeded.
        """
        if self.state not in RETRYABLE:
            raise TransitionError(f"a job that is {self.state.value} cannot be tried again")
        progress = self.progress.model_copy(update={**IDLE, "phase": "waiting"})
        changes = {"failure": None, "finished_at": None, "interruptions": 0, "ran_seconds": 0.0}
        return self.evolve(state=JobState.QUEUED, progress=progress, **changes)

    def wire(self, progress: Progress | None = None, queue_position: int | None = None) -> Job:
        """Return the job as its owner sees it, with a fresher progress where there is one."""
        shown = progress or self.progress
        if queue_position is not None:
            shown = shown.model_copy(update={"queue_position": queue_position})
        return Job(
            id=self.name,
            kind=self.kind,
            owner=self.owner,
            label=self.label,
            state=self.state,
            spec=self.spec,
            resolved=self.resolved,
            progress=shown,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            attempts=self.attempts,
            failure=self.failure,
            expires_at=self.expires_at,
            pinned=self.pinned,
            placed_on=None if self.placed_on is None else dict(self.placed_on),
            resume_elsewhere=self.resume_elsewhere,
            device_kind=self.device_kind,
        )


RETRYABLE: Final = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED})
"""States out of which an owner may queue a job again."""

IDLE: Final[dict[str, object]] = {"steps_per_second": None, "eta_seconds": None, "queue_position": None}
"""Progress fields of a job that no worker has."""

ENDED: Final[dict[str, object]] = {**IDLE, "phase": "ended"}
"""Progress fields of a job that will not change any more."""
