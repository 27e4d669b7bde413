"""The bases of wire types: a client's are strict, a service's may grow, and those of every kind of job."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MAX_LABEL = 120
"""Characters of a job's label."""


class Sent(BaseModel):
    """Sent to the service: unknown fields are refused, so that a misspelt option is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Received(BaseModel):
    """Sent by the service: unknown fields are dropped, so that an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Specification(Sent):
    """The fields that the specification of every kind of job has; a kind names itself in the default of `kind`."""

    kind: str
    checkpoint: str = Field(min_length=1, max_length=200, description="Id, id prefix or name of a checkpoint.")
    label: str | None = Field(default=None, max_length=MAX_LABEL)
