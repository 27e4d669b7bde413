"""Signs of life of an attempt at a job, and the point where they have been missing for too long.

A worker's own thread says that the process lives; only the job's reports say that the job moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attnscope_server.settings import Settings


@dataclass
class Signs:
    """When an attempt showed signs of life, in seconds of a steady clock."""

    placed: float
    """When the job was given to its runner."""
    moved_at: datetime
    """The last report of the job itself, by the wall clock; shown to the owner."""
    begun: bool = False
    """True where anything was heard at all."""
    heard: float = 0.0
    moved: float = 0.0

    def __post_init__(self) -> None:
        self.heard = self.moved = self.placed

    def lives(self, now: float) -> None:
        """Note that the process said something."""
        self.begun, self.heard = True, now

    def moves(self, now: float, at: datetime) -> None:
        """Note that the job itself said something."""
        self.lives(now)
        self.moved, self.moved_at = now, at

    def stalled(self, settings: Settings, now: float) -> bool:
        """Return True where the job has said nothing for so long that its last rate means nothing any more."""
        return now - self.moved > settings.stalled_seconds

    def overdue(self, settings: Settings, now: float) -> str | None:
        """Say which sign has been missing for so long that the worker must be ended; None where none has."""
        if not self.begun:
            limit = settings.worker_start_seconds
            return f"its worker did not start within {limit:g} s" if now - self.placed > limit else None
        if now - self.heard > settings.silent_seconds:
            return f"its worker gave no sign of life for {settings.silent_seconds:g} s"
        if now - self.moved > settings.hung_seconds:
            return f"its work did not move for {settings.hung_seconds:g} s"
        return None
