"""The two bases of wire types: what a client sends is strict, what a service sends may grow."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Sent(BaseModel):
    """Sent to the service: unknown fields are refused, so that a misspelt option is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Received(BaseModel):
    """Sent by the service: unknown fields are dropped, so that an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")
