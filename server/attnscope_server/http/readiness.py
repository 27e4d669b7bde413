"""Readiness told true: the database takes a write, the disk has room, every thread and every runner lives."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import Final

from attnscope_server.http.state import State
from attnscope_server.records.database import UNANSWERED

FRESH_SECONDS: Final = 1.0
"""Time for which a good answer is given again: an open route must not be a way to make the service write."""


class Readiness:
    """Looks when asked, one look at a time; who asks meanwhile hears what was found last."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._turn = threading.Lock()
        self._wrong: str | None = "the service was not looked at yet"
        self._good_until = 0.0

    def wrong(self, state: State) -> str | None:
        """Say what keeps the service from taking and running jobs; None where nothing does."""
        if self._now() < self._good_until:
            return None
        if not self._turn.acquire(blocking=False):
            return self._wrong
        try:
            self._wrong = look(state)
            self._good_until = self._now() + FRESH_SECONDS if self._wrong is None else 0.0
            return self._wrong
        finally:
            self._turn.release()


def look(state: State) -> str | None:
    """Return the first thing that is wrong, None where all is well."""
    for part in (state.supervisor, state.housekeeping, state.replays.process):
        if (wrong := part.unwell()) is not None:
            return wrong
    try:
        free = shutil.disk_usage(state.settings.captures_folder).free
        if free < state.settings.free_bytes:
            return f"{free} bytes of disk are free, {state.settings.free_bytes} are needed"
        state.jobs.prove_writable()
    except UNANSWERED:
        return "the job database does not answer or cannot be written"
    except OSError as error:
        return f"the data root cannot be looked at: {error.strerror}"
    return None
