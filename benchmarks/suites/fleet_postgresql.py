"""The fleet of `fleet` over PostgreSQL alone, its crowds first: half of what takes a job is the server's.

With 10,000 jobs it takes longer than all others together, so the crowds have 2,000.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog

from benchmarks.fleet.demands import PART, SMALL
from benchmarks.fleet.jobs import engines
from benchmarks.suites.fleet import claiming, crowded, loaded


def run(*, quick: bool) -> dict[str, Any]:
    """Run every part."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with engines() as found:
        (engine,) = (one for one in found if one.process is not None)
        crowds = [(SMALL, 8)] if quick else [(PART, 200), (PART, 50), (PART, 4)]
        return {
            "crowds": [crowded(engine, crowd, workers) for crowd, workers in crowds],
            "claims": claiming(engine, quick=quick),
            "load": loaded(engine, quick=quick),
        }
