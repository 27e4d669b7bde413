"""Names that a shell completes: jobs, checkpoints and strategies of the service; nothing where it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from attnscope.cli.address import connect
from attnscope.service import Service
from attnscope_storage.errors import AttnscopeError

JOBS = 50
"""Newest jobs that are offered."""


def job_names(incomplete: str) -> list[str]:
    """Return ids of jobs, newest first, and ``last``."""
    return _offered(incomplete, lambda service: ["last", *(str(job.id) for job in islice(service.jobs(), JOBS))])


def checkpoint_names(incomplete: str) -> list[str]:
    """Return the names of the service's checkpoints."""
    return _offered(incomplete, lambda service: [info.name for info in service.checkpoints()])


def strategy_names(incomplete: str) -> list[str]:
    """Return the names of the service's strategies."""
    return _offered(incomplete, lambda service: [info.name for info in service.strategies()])


def _offered(incomplete: str, names: Callable[[Service], Iterable[str]]) -> list[str]:
    """Return the names that begin so; a shell shows no errors, so there are none."""
    try:
        with connect() as service:
            return [name for name in names(service) if name.startswith(incomplete)]
    except (AttnscopeError, OSError, ValueError):
        return []
