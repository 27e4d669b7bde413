"""The fair share as a fluid: every owner with unfinished jobs gets an equal part of the workers, at every moment.

An owner with fewer jobs than its part uses one worker a job and leaves the rest to the others. An owner's own jobs are
served in the order of submission. No real scheduler can reach this: it would interrupt jobs at every arrival.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from benchmarks.fleet.demands import Demand

DONE: Final = 1e-9
"""Seconds of work that count as none."""


@dataclass
class _Job:
    name: UUID
    left: float


def shares(unfinished: Mapping[str, int], workers: float) -> dict[str, float]:
    """Return the workers of each owner: equal, and no more than the owner has jobs."""
    found, left, owners = {}, workers, len(unfinished)
    for owner, jobs in sorted(unfinished.items(), key=lambda item: item[1]):
        found[owner] = min(float(jobs), left / owners)
        left, owners = left - found[owner], owners - 1
    return found


def ends(asked: Sequence[Demand], workers: int) -> dict[UUID, float]:
    """Return when each job would end under the fair share, in seconds of simulated time."""
    queues: dict[str, deque[_Job]] = {}
    coming, found, now = deque(asked), {}, 0.0
    while coming or queues:
        parts = shares({owner: len(queue) for owner, queue in queues.items()}, workers)
        served = {owner: [queues[owner][nth] for nth in range(math.ceil(part))] for owner, part in parts.items()}
        rates = [(job, min(1.0, parts[owner] - nth)) for owner, jobs in served.items() for nth, job in enumerate(jobs)]
        until = now + min((job.left / rate for job, rate in rates), default=math.inf)
        until = min(until, coming[0].at if coming else math.inf)
        for job, rate in rates:
            job.left -= rate * (until - now)
        now = until
        for owner, jobs in served.items():
            if any(job.left <= DONE for job in jobs):
                found |= {job.name: now for job in jobs if job.left <= DONE}
                _leave(queues, owner, jobs)
        while coming and coming[0].at <= now:
            demand = coming.popleft()
            queues.setdefault(demand.owner, deque()).append(_Job(demand.name, demand.seconds))
    return found


def _leave(queues: dict[str, deque[_Job]], owner: str, first: Sequence[_Job]) -> None:
    """Take the jobs that have ended out of the first ones of an owner's queue."""
    queue = queues[owner]
    for _ in first:
        queue.popleft()
    queue.extendleft(job for job in reversed(first) if job.left > DONE)
    if not queue:
        del queues[owner]
