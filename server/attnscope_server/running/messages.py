"""Every message between the service and its child processes: one union a direction, written once, used at both ends.

A message travels as one line of JSON. Orders go to a child, reports come from it. Knows no process and no pipe.
"""

from __future__ import annotations

from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationInfo, field_validator, model_validator

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_storage.wire import JobSpec, Phase, Problem, Resolved, resolved_as
from attnscope_storage.wire.specifications.cards import CardEarlier

MOST_STEPS: Final = 2**31 - 1
MOST_BYTES: Final = 2**53
"""Steps and bytes that a report may tell: the columns of the job database keep no more."""

SLOWEST: Final = 1e-9
"""Steps a second that a report may tell, at least: the time left, which follows from them, is then a finite number."""

PLAIN: Final = r"^\P{C}*$"
"""Form of a text that people see in terminals: no control character, and none that turns the direction of others."""


class Message(BaseModel):
    """A message; an unknown field is an error, since both ends are of one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def line(self) -> bytes:
        """The message as it travels."""
        return self.model_dump_json().encode() + b"\n"


class Run(Message):
    """Order: run a job."""

    type: Literal["run"] = "run"
    job: UUID
    attempt: int = Field(ge=1, description="Number of the job's try; every report about it carries the same.")
    name: UUID = Field(description="How the job's owner calls it.")
    owner: str
    module: str = Field(description="Module that registers the job's kind; whoever reads the order imports it.")
    spec: JobSpec
    resolved: Resolved
    data_root: Path
    stores: str = Field(description="Data root or bucket that the stores lie below; no message holds a bucket's keys.")
    device: str
    threads: int | None = None
    durable: bool = True
    environments: tuple[GymnasiumEntry, ...] = ()
    fused: bool = True
    alive_seconds: float = Field(default=5.0, gt=0, description="From one sign of life to the next.")
    lease_seconds: float | None = Field(
        default=None, gt=0, description="Length of the lease; None where the worker lives and dies with the service."
    )
    asked_at: float | None = Field(
        default=None, description="Moment of the worker's clock when its lease began; None: when it takes the order."
    )
    resume_on: str | None = Field(
        default=None, description="Device that the job's commits were computed on, where it must go on there."
    )
    device_kind: str | None = Field(default=None, description="Kind of device that the owner asks for; None: any.")
    earlier: tuple[CardEarlier, ...] | None = Field(
        default=None, description="Decisions before this one, where the worker does not reach their stores."
    )

    @field_validator("module")
    @classmethod
    def _known(cls, name: str) -> str:
        """Make the kind known before the specification is read: it may be none of this distribution."""
        import_module(name)
        return name

    @field_validator("resolved", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - JSON or a model
        """Read the resolved job as the model of the specification's kind."""
        return resolved_as(info.data["spec"].kind, value) if "spec" in info.data else value


class Cancel(Message):
    """Order: stop an attempt at a job."""

    type: Literal["cancel"] = "cancel"
    job: UUID
    attempt: int


class Renewed(Message):
    """Order: the lease of an attempt is renewed."""

    type: Literal["renewed"] = "renewed"
    job: UUID
    attempt: int
    said_at: float = Field(description="The `said_at` of the sign of life: the lease begins anew there.")


class Stop(Message):
    """Order: end the process; a job that runs is interrupted."""

    type: Literal["stop"] = "stop"


class Ready(Message):
    """Report: the process has started and takes orders."""

    type: Literal["ready"] = "ready"


class Alive(Message):
    """Report: the process lives; a job that hangs does not stop it."""

    type: Literal["alive"] = "alive"
    job: UUID | None = Field(default=None, description="Job that runs; None between jobs.")
    attempt: int | None = None
    said_at: float | None = Field(default=None, description="The worker's own clock; None where it has no lease.")


class Placement(Message):
    """The machine that an attempt runs on: a resume on another kind of device is not equal to the bit."""

    device: str = Field(max_length=200, pattern=PLAIN, description="Name that torch gives the device.")
    dtype: str = Field(max_length=40, pattern=PLAIN, description="Number format that the job computes in.")
    threads: int = Field(ge=0, le=MOST_STEPS)
    torch: str = Field(max_length=80, pattern=PLAIN, description="Version of torch.")


def storable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value of JSON as the job database keeps it: a replacement character stands for each NUL of a text.

    Raises
    ------
    ValueError
        A number is infinite or none. It is no JSON: PostgreSQL refuses it, and SQLite refuses to look into it later.
    """
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        case float() if not isfinite(value):
            raise ValueError("expected finite numbers")
        case list():
            return [storable(one) for one in value]
        case dict():
            return {storable(key): storable(one) for key, one in value.items()}
    return value


class JobReport(Message):
    """Base of the reports about an attempt. They are written into the job database."""

    job: UUID
    attempt: int

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, values: Any) -> Any:  # noqa: ANN401 - whatever came
        return storable(values)


class Taken(JobReport):
    """Report: the worker begins the job."""

    type: Literal["taken"] = "taken"
    placed_on: Placement


class Advanced(JobReport):
    """Report: how far the job is."""

    type: Literal["progress"] = "progress"
    phase: Phase
    steps_done: int = Field(ge=0, le=MOST_STEPS)
    steps_committed: int = Field(ge=0, le=MOST_STEPS)
    bytes_written: int = Field(ge=0, le=MOST_BYTES)
    steps_per_second: float | None = Field(default=None, ge=SLOWEST, allow_inf_nan=False)


class Succeeded(JobReport):
    """Report: the job is complete."""

    type: Literal["succeeded"] = "succeeded"


class Failed(JobReport):
    """Report: the job ended by an error."""

    type: Literal["failed"] = "failed"
    problem: Problem


class Cancelled(JobReport):
    """Report: the job stopped because it was cancelled."""

    type: Literal["cancelled"] = "cancelled"


class Interrupted(JobReport):
    """Report: the job stopped because its worker was told to."""

    type: Literal["interrupted"] = "interrupted"


class GivenBack(JobReport):
    """Report: the job is not over, and gives its slot back so that others may go first."""

    type: Literal["given-back"] = "given-back"
    detail: str | None = Field(default=None, description="Why, where it is no courtesy to other jobs.")


class Misplaced(JobReport):
    """Report: the job was not begun, because its commits were computed on another kind of device."""

    type: Literal["misplaced"] = "misplaced"
    placed_on: Placement


class Died(JobReport):
    """Report that a runner makes itself: what ran the job is gone without a word about it."""

    type: Literal["died"] = "died"
    code: int | None = Field(default=None, description="Exit status; negative is a signal; None where unknown.")
    detail: str | None = Field(default=None, description="What the runner knows of it besides.")


Order = Run | Cancel | Renewed | Stop
"""An order to a worker."""

AnyJobReport = Taken | Advanced | Succeeded | Failed | Cancelled | Interrupted | GivenBack | Misplaced | Died
"""A report about an attempt, to the supervisor."""

Report = Ready | Alive | AnyJobReport
"""A report of a worker."""

ENDINGS: Final = (Succeeded, Failed, Cancelled, Interrupted, GivenBack, Misplaced, Died)
"""Reports after which an attempt says nothing more."""

ORDER: Final[TypeAdapter[Order]] = TypeAdapter(Annotated[Order, Field(discriminator="type")])
"""Reads an order."""

REPORT: Final[TypeAdapter[Report]] = TypeAdapter(Annotated[Report, Field(discriminator="type")])
"""Reads a report."""
