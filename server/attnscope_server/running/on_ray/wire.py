"""Every message between the runner and the process that drives the Ray cluster, and what an actor answers to it.

They travel as one line of JSON. Imports no Ray.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from attnscope_server.running.messages import Alive, AnyJobReport, Cancel, Message, Renewed, Run


class Kept(Message):
    """An attempt that an earlier driver placed."""

    slot: str
    job: UUID
    attempt: int


class Begin(Message):
    """The first command: the cluster, and what the driver must know of the service."""

    type: Literal["begin"] = "begin"
    address: str
    namespace: str = Field(description="Of the actors; another service on the same cluster has another one.")
    join: bool = Field(default=False, description="Make this machine a node that runs nothing.")
    cpus: int = Field(ge=1, description="Cores that a slot without a GPU takes.")
    data_root: Path
    mark: str = Field(description="Content of the data root's mark: who reads it there sees the service's folder.")
    start_seconds: float = Field(gt=0, description="An actor that does not answer by then is ended.")
    abandoned_seconds: float = Field(gt=0, description="An actor that no driver asks for so long ends by itself.")
    cache_bytes: int = Field(ge=0, description="Bytes of the checkpoints that an actor's machine keeps.")
    kept: tuple[Kept, ...] = ()


class Place(Message):
    """Command: run an attempt on a slot."""

    type: Literal["place"] = "place"
    slot: str
    order: Run


class Tell(Message):
    """Command: pass an order on to the worker of a slot, if it has that attempt."""

    type: Literal["tell"] = "tell"
    slot: str
    order: Annotated[Cancel | Renewed, Field(discriminator="type")]


class End(Message):
    """Command: end the actor of a slot, and with it what it holds on its device."""

    type: Literal["end"] = "end"
    slot: str


class Leave(Message):
    """The last command: end the idle actors, leave those that run a job, and end."""

    type: Literal["leave"] = "leave"


class Offer(Message):
    """A placement slot as the cluster offers it."""

    name: str
    device: Literal["cpu", "cuda"]
    cpus: int = Field(description="Cores that it takes; none where its machine has fewer cores than GPUs.")
    free: bool


class Offers(Message):
    """News: the placement slots of this moment; sent every few seconds, so that silence means a driver that hangs."""

    type: Literal["offers"] = "offers"
    offers: tuple[Offer, ...]


class Heard(Message):
    """News: a report about the attempt on a slot."""

    type: Literal["heard"] = "heard"
    slot: str
    report: Annotated[AnyJobReport | Alive, Field(discriminator="type")]


class Trouble(Message):
    """News: why the cluster cannot be used now."""

    type: Literal["trouble"] = "trouble"
    detail: str


class Prepared(Message):
    """Answer of an actor that is asked whether it can run a job."""

    clock: float = Field(description="Its own clock at that moment: a lease begins there.")
    sees_root: bool = Field(description="True where the data root of the service lies at its path here too.")
    missing: tuple[str, ...] = Field(description="Checkpoints of the order that are not on its machine.")
    data_root: Path = Field(description="Folder with the checkpoints on its machine.")


Command = Begin | Place | Tell | End | Leave
"""From the runner to the driver."""

News = Offers | Heard | Trouble
"""From the driver to the runner."""

COMMAND: Final[TypeAdapter[Command]] = TypeAdapter(Annotated[Command, Field(discriminator="type")])
"""Reads a command."""

NEWS: Final[TypeAdapter[News]] = TypeAdapter(Annotated[News, Field(discriminator="type")])
"""Reads news."""
