"""The environment of the processes that compute: no key of the service, and threads that wait as the machine allows.

Threads that spin while they wait for each other are up to twice as fast on a machine of their own, and many times
slower where other programs hold the cores (docs/benchmarks.md). The load at the start of a process decides.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

SECRETS: Final = ("ATTNSCOPE_SERVER_API_KEY", "ATTNSCOPE_SERVER_DATABASE_URL", "PGPASS", "RAY_AUTH_TOKEN")
"""Prefixes of the environment variables that no child gets."""

PATIENT: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Setting with which a thread that waits for another one sleeps; it is read when torch is loaded."""


def computing(environment: Mapping[str, str], *, busy: bool | None = None) -> dict[str, str]:
    """Return the environment of a process that computes; the user's own wait policy stays.

    Parameters
    ----------
    environment
        The service's own.
    busy
        True where other programs hold the cores; None looks.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(SECRETS)}
    return {**PATIENT, **kept} if (crowded() if busy is None else busy) else kept


def crowded() -> bool:
    """Return whether more programs want to run than there are cores, on average over the last minute."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return hasattr(os, "getloadavg") and os.getloadavg()[0] >= cores
