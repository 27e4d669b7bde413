"""The progress of a long reading, told to a person who waits: a line whenever nothing was said for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attnscope_server.root.finding import Finding

SILENT_SECONDS: Final = 1.0
"""Seconds without a line after which progress is told."""


class Progress:
    """Takes sentences as often as they come, and writes one where nothing was written for `SILENT_SECONDS`.

    Parameters
    ----------
    write
        Writes a line; findings are written by others.
    now
        Returns a time in seconds.
    """

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._write, self._now = write, now
        self._last = now()

    def __call__(self, said: str) -> None:
        """Write a sentence, if it is time."""
        if self._now() - self._last >= SILENT_SECONDS:
            self._write(f"reading  {said}")
            self._last = self._now()

    def beside(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Yield findings, each of which is written and so breaks the silence."""
        for finding in findings:
            yield finding
            self._last = self._now()
