"""Readiness told true: the database takes a write, the disk has room, the bucket answers, every thread lives."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from attnscope_server.http.state import State
from attnscope_server.records.database import UNANSWERED
from attnscope_storage.layout.bucket import BucketPath, StorePath, silent

log = structlog.get_logger("attnscope.readiness")

FRESH_SECONDS: Final = 1.0
"""Time for which a good answer is given again: an open route must not be a way to make the service write."""

BUCKET_FRESH_SECONDS: Final = 10.0
"""Time for which a bucket that answered is not asked again."""

BUCKET_ANSWERS_IN: Final = 3.0
"""Seconds in which a bucket must answer; it is asked once, without the patience of a writer."""


class Readiness:
    """Looks when asked, one look at a time; who asks meanwhile hears what was found last."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._turn = threading.Lock()
        self._wrong: str | None = "the service was not looked at yet"
        self._good_until = 0.0
        self._bucket_until = 0.0

    def wrong(self, state: State) -> str | None:
        """Say what keeps the service from taking and running jobs; None where nothing does."""
        if self._now() < self._good_until:
            return None
        if not self._turn.acquire(blocking=False):
            return self._wrong
        try:
            self._wrong = look(state) or self._bucket(state.settings.stores)
            self._good_until = self._now() + FRESH_SECONDS if self._wrong is None else 0.0
            return self._wrong
        finally:
            self._turn.release()

    def _bucket(self, stores: StorePath) -> str | None:
        if not isinstance(stores, BucketPath) or self._now() < self._bucket_until:
            return None
        why = silent(stores, BUCKET_ANSWERS_IN)
        if why is None:
            self._bucket_until = self._now() + BUCKET_FRESH_SECONDS
            return None
        log.warning("the bucket does not answer", detail=why)
        return "the bucket of the captures does not answer"


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
