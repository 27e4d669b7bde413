"""The service's view of one worker that asks for jobs: its slot, its claim, and the attempt that it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from attnscope_server.running.messages import Renewed, Run
from attnscope_server.running.runner import Slot

AttemptKey = tuple[UUID, int]
"""A job, and the number of its try."""


@dataclass
class Desk:
    """The service's view of one worker."""

    slot: Slot
    key_id: str | None
    """Key that the worker asked with; None where a service ended before it had given out the attempt's token."""
    heard: float
    """When the worker was last heard of, on the steady clock."""
    turn: int = 0
    """Number of the claim that waits; an earlier one of the same worker ends."""
    waiting: bool = False
    order: Run | None = None
    """The job that the worker was given, until it reports about it."""
    attempt: AttemptKey | None = None
    renewals: list[Renewed] = field(default_factory=list)
    """Renewals for the next answer."""
    cancelled: bool = False
    """True where the attempt is to stop; every answer says so, because one may be lost."""
