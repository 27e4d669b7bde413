"""A running decision, followed: how long it may take here, and its lines as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attnscope.errors import WaitTimeoutError
from attnscope.job import JobHandle
from attnscope_storage.wire import Estimate

POLL_SECONDS: Final = 2.0
"""Seconds between two looks at a running decision."""


def about(guess: Estimate) -> str:
    """Return how long a decision takes here, in words."""
    if guess.seconds is None or guess.seconds_most is None:
        return "how long it takes here is not known: no decision, trial or capture has ended on this service yet"
    first, most = (max(1, round(seconds / 60)) for seconds in (guess.seconds, guess.seconds_most))
    return f"about {first} minutes here, {most} if every look is needed ({guess.seconds_basis})"


def lines_of(job: JobHandle) -> Iterator[str]:
    """Yield the lines of a decision as they come, until it has ended."""
    told, ended = 0, False
    while not ended:
        try:
            job.wait(timeout=POLL_SECONDS)
            ended = True
        except WaitTimeoutError:
            pass
        if job.info.progress.steps_committed:
            lines = job.decision().lines
            yield from lines[told:]
            told = len(lines)
