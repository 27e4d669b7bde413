"""The file by which a service tells the clients of the same user and machine its address and key."""

from __future__ import annotations

from pydantic import Field

from attnscope_storage.wire.base import Received


class Announcement(Received):
    """The address of a service that runs on this machine, and the key of this machine's user."""

    url: str | None = Field(default=None, description="Base address; None where an older service wrote none.")
    key: str | None = Field(default=None, description="API key.")
