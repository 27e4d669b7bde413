"""Messages between a service and a worker that asks it for jobs over HTTP; used at both ends.

They carry the messages of `attnscope_server.running.messages`. Both ends are of one version, so an unknown field is an
error.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from attnscope_server.running.messages import (
    Advanced,
    Alive,
    Cancel,
    Cancelled,
    Died,
    Failed,
    GivenBack,
    Interrupted,
    Message,
    Misplaced,
    Renewed,
    Run,
    Succeeded,
    Taken,
)
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.specifications.cards import CardEarlier

TOKEN_HEADER: Final = "Attnscope-Attempt"  # noqa: S105 - the name of a header
"""Header that carries the token of an attempt."""

MOST_REPORTS: Final = 64
"""Reports of one request, at most."""

MAX_CHUNKS: Final = 65_536
"""Chunks of one commit, at most."""

MAX_PROVENANCE: Final = 256
"""Entries of a store's provenance that a worker tells, at most."""

LONGEST_CLAIM: Final = 30.0
"""Seconds that a claim is held open, at most."""

Session = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="Drawn by chance when the worker starts.")]

Told = Annotated[
    Alive | Taken | Advanced | Succeeded | Failed | Cancelled | Interrupted | GivenBack | Misplaced | Died,
    Field(discriminator="type"),
]
"""A report of a worker over HTTP."""


class Offer(Message):
    """A worker asks for a job for its device."""

    session: Session
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="The worker's name for people.")
    version: str = Field(max_length=40, description="Version of attnscope.")
    device: str = Field(pattern=r"^(cpu|cuda|mps|xpu|hpu)(:[0-9]{1,3})?$", description="Device as torch takes it.")
    hardware: str = Field(pattern=r"^\P{C}{1,200}$", description="Name that torch gives the device.")
    stores: Literal["reached", "streamed"] = Field(
        description="Whether the worker writes where the stores are, or sends commits to the service."
    )
    wait: float = Field(ge=0, le=LONGEST_CLAIM, description="Seconds to wait for a job.")

    @property
    def slot(self) -> str:
        """Name of its placement slot: no two workers share one, and a worker that starts anew has another."""
        return f"{self.name}.{self.session[:8]}"

    @property
    def device_kind(self) -> str:
        """Kind of its device."""
        return self.device.partition(":")[0]


class Assignment(Message):
    """A job for the worker that asked."""

    token: str = Field(description="Needed for all that concerns the attempt; dead with its lease.")
    order: Run
    checkpoints: tuple[CheckpointInfo, ...] = Field(description="Those that the job needs; the first is its own.")


class Reports(Message):
    """Reports about one attempt, in their order."""

    reports: tuple[Told, ...] = Field(max_length=MOST_REPORTS)


class Answer(Message):
    """Orders to the worker, as the answer to its reports."""

    orders: tuple[Annotated[Renewed | Cancel, Field(discriminator="type")], ...] = ()


class SentCommit(Message):
    """A commit of chunks that were sent before."""

    model_config = ConfigDict(allow_inf_nan=False)  # a document of a store holds none

    chunks: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        max_length=MAX_CHUNKS, description="SHA-256 of each, by key."
    )
    provenance: dict[str, JsonValue] | None = Field(
        default=None,
        max_length=MAX_PROVENANCE,
        description="Of a new store: the worker's machine and code. The service knows all else itself.",
    )
    complete: bool = Field(default=False, description="Nothing more will come.")


class CommitState(Message):
    """The state of a job's store, or of one that it owns, at the service."""

    steps: int | None = Field(default=None, description="Entries that are committed; None where there is no store.")
    complete: bool = False
    bytes_written: int = 0
    part: str | None = Field(
        default=None, description="Owned store that must be complete before the job's next commit; None: none."
    )


class Beside(Message):
    """The facts of the stores that a worker which does not reach them has to know before it begins."""

    parts: tuple[str, ...] = Field(default=(), description="Owned stores that there are.")
    earlier: tuple[CardEarlier, ...] | None = Field(
        default=None, description="Of a decision: those before it on the same checkpoint and environment."
    )


class Farewell(Message):
    """A worker takes no more jobs; one that it still has goes back to the queue."""

    session: Session
    name: str = Field(max_length=64)

    @property
    def slot(self) -> str:
        """Name of its placement slot."""
        return f"{self.name}.{self.session[:8]}"
