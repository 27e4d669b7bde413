"""The tables of the job database. Knows no transactions, and nothing of states or rights."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, ColumnElement, DateTime, Double, ForeignKey, Index, String, cast
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from attnscope_storage.wire import JobState

BUSY: Final = (JobState.RUNNING, JobState.CANCELLING)
"""States of jobs that hold a placement slot."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored in UTC without its zone and read back with it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:  # noqa: ARG002 - its API
        """Store in UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:  # noqa: ARG002 - its API
        """Read back with the zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012  SQLAlchemy's


class MetadataRow(Base):
    """Facts about the database itself and about the service, by name."""

    __tablename__ = "service_metadata"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class JobRow(Base):
    """A job. Rows are kept after deletion, so that an id stays reserved."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_owner", "owner", "sequence"),
        Index("jobs_by_state", "state", "sequence"),
        Index("jobs_by_name", "owner", "name", unique=True),
        Index("jobs_by_turn", "state", "owner", "sequence"),
        Index("jobs_by_service", "owner", "served_turn"),
    )

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    """Order of submission; unlike a clock, it never jumps."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    """Names the capture's folder; the job's name too, unless another owner was first to use that."""
    name: Mapped[str] = mapped_column(String(36))
    """The owner's name of the job, unique among that owner's."""
    owner: Mapped[str]
    kind: Mapped[str]
    label: Mapped[str | None]
    state: Mapped[str]
    spec: Mapped[dict[str, Any]]
    resolved: Mapped[dict[str, Any]]
    progress: Mapped[dict[str, Any]]
    failure: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempts: Mapped[int]
    """Number of the job's try: it tells the reports of one try from those of another."""
    interruptions: Mapped[int]
    """Interruptions in a row without a new commit."""
    interrupted_at_step: Mapped[int]
    """Steps that were committed at the last interruption."""
    expires_at: Mapped[datetime | None]
    pinned: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    """When the capture of a deleted job was gone from disk."""
    lease_until: Mapped[datetime | None]
    """Until when the worker may write; None where it lives and dies with the service."""
    runner: Mapped[str | None]
    """Runner of the last attempt."""
    slot: Mapped[str | None]
    """Placement slot of the last attempt."""
    placed_on: Mapped[dict[str, Any] | None]
    """Device, number format, threads and torch of the last attempt that began."""
    last_heard_at: Mapped[datetime | None]
    """Last report of the job."""
    served_turn: Mapped[int | None]
    """Number of the event of the job's last claim: an owner's greatest tells when the owner was last served."""
    served_from: Mapped[float | None] = mapped_column(Double)
    """Since when the running attempt is not charged to its owner yet, in seconds since 1970; None where none runs."""
    ran_seconds: Mapped[float] = mapped_column(Double, default=0.0)
    """Time that ended attempts took together."""
    bytes_expected: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes that the job was expected to store when it was queued."""
    resume_elsewhere: Mapped[bool] = mapped_column(default=False)
    """True where the job may go on on another kind of device than the one that it began on."""
    device_kind: Mapped[str | None]
    """Kind of device that its owner asks for; None: any."""
    token_digest: Mapped[str | None] = mapped_column(String(64))
    """sha256 of the token of the last attempt that a worker asked for over HTTP, hex."""
    token_key: Mapped[str | None] = mapped_column(String)
    """Id of the key that the token was given to."""
    token_attempt: Mapped[int | None]
    """Number of the attempt that the token is for."""


def of_progress(name: str) -> ColumnElement[int]:
    """Return a number of a job's stored progress, which may have more bits than an SQL integer."""
    return cast(JobRow.progress[name].as_string(), BigInteger)


class EventRow(Base):
    """One change of a job's state."""

    __tablename__ = "job_events"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job: Mapped[int] = mapped_column(ForeignKey("jobs.sequence"), index=True)
    at: Mapped[datetime]
    state: Mapped[str]
    detail: Mapped[str | None]


class OwnerRow(Base):
    """The turn of an owner."""

    __tablename__ = "owner_turns"

    owner: Mapped[str] = mapped_column(primary_key=True)
    served_seconds: Mapped[float] = mapped_column(Double, index=True)
    """Running time that the owner was charged with, raised to the level of others when the owner came back."""


class KeyRow(Base):
    """An API key; its secret is stored hashed."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    label: Mapped[str | None]
    digest: Mapped[str]
    """sha256 of the whole key, hex."""
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    serves: Mapped[list[str] | None]
    """Of a worker's key: owners whose jobs it may run; none in the list: every owner's."""
    device_kinds: Mapped[list[str] | None]
    """Of a worker's key: kinds of device that its workers may offer; none in the list: any."""
