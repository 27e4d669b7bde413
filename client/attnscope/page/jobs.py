"""The list of jobs that the page shows: those of a service, newest first, or the folders that were opened."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

from attnscope.job import JobHandle
from attnscope.kinds.view import page_of
from attnscope.page.subjects import Subject

MOST_JOBS: Final = 300
"""Jobs that are listed, at most."""

LOOK_SECONDS: Final = 1.0
"""Seconds between two looks at a service's jobs."""


def listed(jobs: Iterable[JobHandle]) -> dict[str, Any]:
    """Return the newest jobs of a service as the page lists them."""
    found = list(islice(iter(jobs), MOST_JOBS + 1))
    return {"jobs": [_told(one) for one in found[:MOST_JOBS]], "more": len(found) > MOST_JOBS}


def _told(handle: JobHandle) -> dict[str, Any]:
    job = handle.summary
    progress, ended = job.progress, job.state.final
    return {
        "id": str(job.id),
        "kind": job.kind,
        "owner": job.owner,
        "label": job.label or "",
        "checkpoint": job.checkpoint_name or "",
        "state": job.state.value,
        "done": progress.steps_done,
        "total": progress.steps_total,
        "eta": None if ended else progress.eta_seconds,
        "place": progress.queue_position,
        "stalled": progress.stalled,
        "made": f"{job.created_at:%Y-%m-%d %H:%M} UTC",
        "failure": None if job.failure is None else job.failure.detail,
        "opens": bool(page_of(job.kind)),
    }


def opened(subjects: Iterable[Subject]) -> dict[str, Any]:
    """Return the folders that were opened, in the same form."""
    return {"jobs": [one.listed() for one in subjects], "more": False}


def marked(found: dict[str, Any]) -> dict[str, Any]:
    """Return a list with a short text that differs where the list does."""
    return {**found, "mark": hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]}


def wait(
    look: Callable[[], dict[str, Any]], seen: str, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Return the list once it differs from what was seen, at the latest after so many seconds.

    Parameters
    ----------
    look
        Returns the list as it is now.
    seen
        The mark of the list that was seen.
    """
    until = time.monotonic() + seconds
    while True:
        found = marked(look())
        if found["mark"] != seen or time.monotonic() >= until:
            return found
        sleep(LOOK_SECONDS)
