"""Signs of life of a long piece of work: without them the service would call it stalled, and end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SIGN_SECONDS: Final = 1.0
"""Seconds from one sign to the next, at least."""


class Signs:
    """Calls a function from time to time while work goes on.

    Parameters
    ----------
    report
        Called at most once in `SIGN_SECONDS`.
    now
        A steady clock, in seconds.
    """

    def __init__(self, report: Callable[[], None], now: Callable[[], float] = time.monotonic) -> None:
        self._report, self._now, self._last = report, now, now()

    def show(self) -> None:
        """Report, unless the last report is recent."""
        now = self._now()
        if now - self._last >= SIGN_SECONDS:
            self._last = now
            self._report()
