"""When a request may be sent again, and how long to wait before that. Knows nothing of connections."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "PUT"})
"""Methods whose second sending changes nothing: our PUT names the job it makes."""

BUSY_STATUSES: Final = frozenset({429, 502, 503, 504})
"""HTTP statuses that say "later"."""


@dataclass(frozen=True)
class Backoff:
    """Exponential waits with full jitter, so that many clients do not return at once."""

    attempts: int = 5
    """Sendings of one request, the first among them."""
    first: float = 0.25
    """Upper bound of the first wait, in seconds."""
    longest: float = 8.0
    """Upper bound of any wait, in seconds; a longer ``Retry-After`` is cut to it."""

    def waits(self) -> Iterator[float]:
        """Yield the wait before each further attempt, in seconds."""
        for attempt in range(self.attempts - 1):
            ceiling = min(self.longest, self.first * 2.0**attempt)
            yield random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing

    def obey(self, retry_after: str | None, planned: float) -> float:
        """Return the wait, where the service may have named one in whole seconds."""
        if retry_after is None or not retry_after.isdecimal():
            return planned
        return min(self.longest, max(planned, float(retry_after)))


def may_repeat(method: str, status: int, *, refused_unprocessed: bool) -> bool:
    """Return whether a request answered with this status may be sent again.

    Parameters
    ----------
    refused_unprocessed
        Whether the answer is a problem document that says ``retryable``: then even a POST did nothing.
    """
    if status not in BUSY_STATUSES:
        return False
    return method in SAFE_METHODS or (status in {429, 503} and refused_unprocessed)
