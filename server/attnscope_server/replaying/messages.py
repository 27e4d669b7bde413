"""Every message between the service and its replay process, used at both ends; each is one line of JSON."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from attnscope_server.running.messages import Message, Ready
from attnscope_storage.wire import Problem


class Ask(Message):
    """Order: replay one decision, and answer one question about it."""

    type: Literal["ask"] = "ask"
    id: int = Field(description="Number of the order, which its answer repeats.")
    job: UUID
    step: int
    env: int
    kind: str
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    transitions: tuple[int, ...] = Field(default=(), description="Places in the window; of leave-one-out only.")
    positions: Literal["reindex", "mask"] = "reindex"


class Map(Message):
    """Report: the answer; so many bytes of float32 follow its line."""

    type: Literal["map"] = "map"
    id: int
    shape: tuple[int, ...]
    bytes: int = Field(ge=0)


class Refused(Message):
    """Report: there is no answer, and why."""

    type: Literal["refused"] = "refused"
    id: int
    problem: Problem


ReplayReport = Ready | Map | Refused
"""A report of the replay process."""

REPLAY_REPORT: Final[TypeAdapter[ReplayReport]] = TypeAdapter(Annotated[ReplayReport, Field(discriminator="type")])
"""Reads a report of the replay process."""
