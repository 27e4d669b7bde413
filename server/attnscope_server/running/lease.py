"""The lease of an attempt, as its worker keeps it: until when it may write, by the worker's own clock.

A worker that cannot renew stops writing before the service gives the job away. Both clocks only measure spans, so
they need not agree on the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

WRITES_FOR: Final = 0.6
"""Share of a lease during which its worker writes; the rest is for what the two clocks and the way differ by."""


def lasting_clock() -> float:
    """Return the seconds of a clock that runs on while the machine is suspended."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # counts sleep there; time.monotonic does not
    return time.monotonic()


@dataclass
class Lease:
    """A lease that lapses unless it is renewed."""

    seconds: float
    """Length of the lease."""
    begun: float
    """When it began, on `clock`: the moment when the worker asked for it, never that of the answer."""
    clock: Callable[[], float] = lasting_clock

    def renew(self, said_at: float) -> None:
        """Let the lease begin anew at a moment of the clock; one that an older answer names changes nothing."""
        self.begun = max(self.begun, said_at)

    def alive(self) -> bool:
        """Return True while the worker may write."""
        return self.clock() - self.begun < WRITES_FOR * self.seconds
