"""Jobs on the wire, of any kind: states, progress, cost."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, ValidationInfo, field_validator, model_validator

from attnscope_storage.wire.base import Received, Sent
from attnscope_storage.wire.problems import Problem
from attnscope_storage.wire.union import Resolved, ShownSpec, resolved_as


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"  # waits for a device
    RUNNING = "running"  # a worker has it
    CANCELLING = "cancelling"  # told to stop; stays so until the work has really ended
    SUCCEEDED = "succeeded"  # complete
    FAILED = "failed"  # ended by an error, see `failure`
    CANCELLED = "cancelled"  # stopped by its owner; what was committed stays readable
    INTERRUPTED = "interrupted"  # worker or service died; goes back to queued by itself

    @property
    def final(self) -> bool:
        """True where the job will not change any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


DeviceKind = Literal["cpu", "cuda", "mps", "xpu", "hpu"]
"""Kind of a device, as torch names it."""

Phase = Literal["waiting", "loading", "resuming", "rolling", "measuring", "finishing", "ended"]


class Progress(Received):
    """The progress of a job. A step is one step of every environment; a trial takes them once a condition."""

    phase: Phase = "waiting"
    steps_done: int = Field(default=0, description="Steps rolled out, committed or not.")
    steps_committed: int = Field(default=0, description="Steps that a reader sees.")
    steps_total: int = 0
    steps_per_second: float | None = None
    bytes_written: int = 0
    queue_position: int | None = Field(default=None, description="0 is next; None when not queued.")
    waits_for: str | None = Field(
        default=None, description="Why no placement slot that is there takes the queued job; None where one does."
    )
    eta_seconds: float | None = None
    stalled: bool = Field(default=False, description="Running, and without a sign of work for long; no rate is shown.")
    last_sign_at: datetime | None = Field(default=None, description="Last report of the running job.")
    conditions_committed: int | None = Field(default=None, description="Of a trial: conditions that a reader sees.")
    conditions_total: int | None = Field(default=None, description="Of a trial.")


class JobSummary(Received):
    """A job of a list: all but its specification and what that means, which can be large."""

    id: UUID
    kind: str
    owner: str
    label: str | None = None
    state: JobState
    checkpoint_name: str | None = Field(default=None, description="None where the kind of job is not known.")
    progress: Progress
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = Field(default=0, description="Times a worker took the job.")
    failure: Problem | None = None
    expires_at: datetime | None = Field(default=None, description="When the capture may be deleted; None: kept.")
    pinned: bool = Field(default=False, description="Kept whatever `expires_at` says.")
    placed_on: dict[str, Any] | None = Field(
        default=None, description="Device, number format, threads and torch of the last attempt that began."
    )
    resume_elsewhere: bool = Field(default=False, description="It may go on on another kind of device.")
    device_kind: str | None = Field(default=None, description="Kind of device that it waits for; None: any.")

    @model_validator(mode="before")
    @classmethod
    def _name_of_checkpoint(cls, job: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Take the checkpoint's name out of a whole job, as older services send it."""
        if isinstance(job, dict) and job.get("checkpoint_name") is None and "resolved" in job:
            resolved = job["resolved"]
            named = resolved.get("checkpoint_name") if isinstance(resolved, dict) else resolved.checkpoint_name
            return {**job, "checkpoint_name": named}
        return job


class Job(JobSummary):
    """A unit of work on the service."""

    spec: ShownSpec
    resolved: Resolved

    @field_validator("resolved", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever was sent
        """Read what the specification means as the model of the job's own kind, not as the one that fits first."""
        return resolved_as(str(info.data.get("kind")), value)


class JobChanges(Sent):
    """The fields of a job that its owner may change; fields that are not sent stay as they are."""

    expires_at: AwareDatetime | None = Field(default=None, description="With its zone; null keeps the capture.")
    pinned: bool = False
    resume_elsewhere: bool = Field(
        default=False,
        description="Let the job go on on another kind of device; what it then computes is not equal to the bit.",
    )
    device_kind: DeviceKind | None = Field(
        default=None, description="Kind of device for its attempts from now on; null takes any. One that runs stays."
    )

    @field_validator("expires_at")
    @classmethod
    def _in_utc(cls, moment: datetime | None) -> datetime | None:
        """Keep a moment in UTC; one that UTC cannot name is refused."""
        try:
            return None if moment is None else moment.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("expected a moment between the years 1 and 9999 in UTC") from error


class JobPage(Received):
    """A page of jobs, newest first."""

    jobs: tuple[Job, ...]
    next_cursor: str | None = None


class SummaryPage(Received):
    """A page of summaries of jobs, newest first."""

    jobs: tuple[JobSummary, ...]
    next_cursor: str | None = None


class Alternative(Received):
    """The bytes of a job with another choice of what is kept of each decision."""

    form: str = Field(description="A form of the rows, e.g. u8, or default.")
    bytes_raw: int
    bytes_on_disk: int


class Estimate(Received):
    """The cost of a specification, before anything is queued."""

    resolved: Resolved
    bytes_raw: int = Field(description="Decoded size of every array.")
    bytes_on_disk: int = Field(description="Guess after compression.")
    worker_memory_bytes: int = Field(description="Guess of the worker's peak, weights and buffers.")
    seconds: float | None = Field(description="Guess of the time; None where this device has no measurement.")
    seconds_most: float | None = Field(
        default=None, description="Of a job that may end early: guess of the time if it does not."
    )
    seconds_basis: str = Field(description="What the guess of the time rests on.")
    alternatives: tuple[Alternative, ...] = Field(
        default=(), description="The same job with the rows in other forms; a form that is left out is the job's own."
    )
    disk_free_bytes: int | None = Field(description="None where captures lie in a bucket.")
