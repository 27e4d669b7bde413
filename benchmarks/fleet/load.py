"""The load of the service itself by the number of workers: signs of life, commits and progress of running jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from benchmarks.fleet.demands import Demand
from benchmarks.fleet.jobs import Engine
from benchmarks.fleet.simulation import Fleet
from benchmarks.fleet.workers import Chatter

CHATTER: Final = Chatter(alive_every=5.0, commit_every=8.0, progress_every=1.0)
"""The reports of a worker by default: a sign of life in 5 s; a report a second of a capture that commits in 8 s."""

OWNERS: Final = 50


@dataclass(frozen=True)
class Load:
    """Processor seconds of the service and its database in a second of simulated time."""

    workers: int
    share: float
    reports: float
    """Reports in a second of simulated time."""


def load(engine: Engine, workers: int, seconds: float) -> Load:
    """Let every worker run a long job for so many seconds, and return what that takes of a processor."""
    database = engine.fresh()
    try:
        asked = [Demand(UUID(int=n + 1, version=4), f"owner-{n % OWNERS}", 0.0, 1e6) for n in range(workers)]
        fleet = Fleet(database, workers, asked, CHATTER)
        fleet.begin()
        fleet.until(CHATTER.alive_every)  # every job has begun
        began, reports = engine.processor_seconds(), fleet.workers.reports
        fleet.until(CHATTER.alive_every + seconds)
        taken = engine.processor_seconds() - began
        return Load(workers, taken / seconds, (fleet.workers.reports - reports) / seconds)
    finally:
        database.close()
