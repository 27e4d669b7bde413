"""The fleet of `fleet` over PostgreSQL, its largest crowd first: half of what a job takes is the server's."""

from __future__ import annotations

from typing import Any

from benchmarks.fleet.demands import PART, SMALL, WHOLE
from benchmarks.fleet.jobs import engines
from benchmarks.suites.fleet import measured


def run(*, quick: bool) -> dict[str, Any]:
    """Run every part over PostgreSQL, whose programs must be installed."""
    crowds = [(SMALL, 8)] if quick else [(WHOLE, 200), (PART, 50), (PART, 4)]
    with engines() as found:
        engine = found[-1]
        if engine.process is None:
            raise FileNotFoundError("PostgreSQL's initdb is not installed")
        return {engine.name: measured(engine, crowds, quick=quick)}
