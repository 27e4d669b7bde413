"""The time of day for decisions that cannot be undone, such as ending a key or deleting a capture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

DRIFT: Final = timedelta(minutes=1)
"""Distance of the wall clock from the steady one beyond which it counts as set."""

SETTLING: Final = 60.0
"""Seconds that a new time must last before it is believed."""


class SettledClock:
    """The wall clock, but for a jump: until the new time has lasted `SETTLING` seconds, time goes on as before it.

    Parameters
    ----------
    wall, steady
        The clock that can be set, and the one that cannot, in seconds.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()
        self._believed = self._offset()
        self._doubted: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the time that decisions may rest on."""
        with self._lock:
            steady, offset = self._steady(), self._offset()
            if abs(offset - self._believed) <= DRIFT:
                self._believed, self._doubted = offset, None
            elif self._doubted is None or abs(offset - self._doubted[0]) > DRIFT:
                self._doubted = offset, steady
            elif steady - self._doubted[1] >= SETTLING:
                self._believed, self._doubted = offset, None
            return self._believed + timedelta(seconds=steady)

    def _offset(self) -> datetime:
        """Return the wall time at which the steady clock stood at zero."""
        return self._wall() - timedelta(seconds=self._steady())
