"""A fleet of made-up workers around the real scheduler and job database: claims, fairness, a cut, the service's load.

Time is simulated, processor time is real. The job database is SQLite; `fleet_postgresql` runs the same over PostgreSQL.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from typing import Any

import structlog

from benchmarks.fleet.claiming import claims
from benchmarks.fleet.demands import PART, SMALL, WHOLE, Crowd, demands
from benchmarks.fleet.jobs import Engine, engines
from benchmarks.fleet.load import load
from benchmarks.fleet.simulation import Fleet
from benchmarks.fleet.waits import after_a_cut, by_owner, of_sorts
from benchmarks.fleet.workers import Chatter

CUT = 0.1
"""Share of the workers that fall silent at once."""


def claiming(engine: Engine, *, quick: bool) -> list[dict[str, float]]:
    """Print the cost of a claim by the length of the queue."""
    found = claims(engine, (60, 240) if quick else (100, 1000, 5000), 20 if quick else 50)
    for one in found:
        print(
            f"   {engine.name}: {one.waiting:>6} jobs wait: {one.a_second:.0f} claims a second of processor time, "
            f"{1000 * one.claim:.1f} ms each; a submission {1000 * one.submit:.1f} ms"
        )
    return [dataclasses.asdict(one) for one in found]


def crowded(engine: Engine, crowd: Crowd, workers: int) -> dict[str, Any]:
    """Print waits by owner over the fair share's, and what became of the jobs of silent workers."""
    database, asked = engine.fresh(), demands(crowd, workers)
    try:
        began = engine.processor_seconds()
        outcome = Fleet(database, workers, asked, Chatter(), CUT).run()
        taken = engine.processor_seconds() - began
    finally:
        database.close()
    ratios, memory = by_owner(asked, workers, outcome), outcome.resident
    found = {
        "workers": workers,
        "owners": crowd.owners,
        "jobs": crowd.jobs,
        "states": dict(Counter(one.state for one in outcome.ended.values())),
        "simulated_seconds": outcome.seconds,
        "wait_over_fair_share": {"worst": max(ratios.values()), **of_sorts(ratios)},
        "cut": after_a_cut(outcome),
        "processor_ms_a_job": 1000 * taken / crowd.jobs,
        "processor_share": taken / outcome.seconds,
        "resident_mib": {"at a tenth of the jobs": memory[0], "at half": memory[len(memory) // 2], "end": memory[-1]},
    }
    print(
        f"   {engine.name}: {workers} workers, {crowd.owners} owners, {crowd.jobs} jobs: {found['states']}; waits over "
        f"the fair share's: worst owner {max(ratios.values()):.2f}; {found['processor_ms_a_job']:.0f} ms of processor "
        f"a job; {memory[0]:.0f} MiB at a tenth of the jobs, {memory[-1]:.0f} at the end"
    )
    print(f"   {engine.name}: a cut of {CUT:.0%} of the workers: {found['cut']}")
    return found


def loaded(engine: Engine, *, quick: bool) -> list[dict[str, float]]:
    """Print the service's own load by the number of workers that only run."""
    found = [load(engine, workers, 10 if quick else 40) for workers in ((1, 8) if quick else (1, 10, 50, 200))]
    for one in found:
        print(
            f"   {engine.name}: {one.workers:>4} workers that run: {one.reports:.0f} reports a second take "
            f"{one.share:.1%} of a processor, {one.share / one.workers:.3%} a worker"
        )
    return [dataclasses.asdict(one) for one in found]


def measured(engine: Engine, crowds: list[tuple[Crowd, int]], *, quick: bool) -> dict[str, Any]:
    """Print every part over one engine."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return {
        "claims": claiming(engine, quick=quick),
        "load": loaded(engine, quick=quick),
        "crowds": [crowded(engine, crowd, workers) for crowd, workers in crowds],
    }


def run(*, quick: bool) -> dict[str, Any]:
    """Run every part over SQLite."""
    crowds = [(SMALL, 8)] if quick else [(PART, 1), (PART, 4), (PART, 50), (WHOLE, 200)]
    with engines() as found:
        return {found[0].name: measured(found[0], crowds, quick=quick)}
