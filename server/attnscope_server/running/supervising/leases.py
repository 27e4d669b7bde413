"""Leases as the supervisor keeps them: renewed by signs of life, over where these stay away, taken up after a restart.

A lease is written down before its worker hears that it was renewed, so the database never promises less than a worker
believes. Runners whose workers die with the service have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import structlog

from attnscope_server.errors import TransitionError
from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_store import JobStore
from attnscope_server.running.messages import Alive, Died
from attnscope_server.running.runner import Runner
from attnscope_server.running.supervising.placed import Placed, interrupted
from attnscope_server.running.supervising.signs import Signs
from attnscope_storage.wire import JobState

log = structlog.get_logger("attnscope.supervisor")


def lease_from(runner: Runner, now: float) -> float | None:
    """Return when a lease that begins now ends; None where the runner has no leases."""
    return None if runner.lease_seconds is None else now + runner.lease_seconds


def renew(jobs: JobStore, placed: Placed, sign: Alive, now: float) -> None:
    """Renew the lease of a placed job by a sign of life; if it cannot be written, the worker hears nothing."""
    seconds = placed.runner.lease_seconds
    if seconds is None or sign.said_at is None or placed.ending is not None or lapsed(placed, now):
        return
    job, attempt = placed.job.id, placed.job.attempts
    try:
        jobs.renew(job, attempt, seconds)
    except (*UNANSWERED, TransitionError) as error:
        log.warning("a lease was not renewed", job=str(job), detail=str(error))
        return
    placed.leased_until = now + seconds
    placed.runner.renewed(job, attempt, sign.said_at)


def lapsed(placed: Placed, now: float) -> bool:
    """Return True where the lease is over; the attempt is then ended, whatever its runner still hears of it."""
    if placed.leased_until is None or now <= placed.leased_until:
        return False
    if placed.ending is None:
        job, attempt = placed.job.id, placed.job.attempts
        placed.why = placed.why or "its lease ran out: its worker was not heard of for so long"
        placed.ending, placed.over = Died(job=job, attempt=attempt), now
        try:
            placed.runner.end(job, attempt)
        except Exception:  # whatever runs there still is harmless: its commits are refused
            log.exception("a runner could not end an attempt", job=str(job))
    return True


def taken_up(job: StoredJob, runner: Runner | None, now: float) -> Placed | None:
    """Return the attempt of an earlier service whose lease is alive and which its runner takes up; None where not."""
    if runner is None or runner.lease_seconds is None or job.lease_until is None or job.slot is None:
        return None
    left = min((job.lease_until - datetime.now(UTC)).total_seconds(), runner.lease_seconds)
    slot = runner.keep(job, job.attempts, job.slot) if left > 0 else None
    if slot is None:
        return None
    signs = Signs(now, job.last_heard_at or datetime.now(UTC))
    signs.lives(now)
    log.info("a running job was taken up", job=str(job.id), runner=runner.name, slot=slot.name)
    return Placed(runner, slot, job, signs, leased_until=now + left, to_cancel=job.state is JobState.CANCELLING)


def take_back(jobs: JobStore, runners: Mapping[str, Runner], now: float) -> Iterator[Placed]:
    """Yield the jobs of an earlier service that go on where they run; queue the others again, no death counted."""
    taken = set()
    for job in jobs.in_state(JobState.RUNNING, JobState.CANCELLING):
        kept = taken_up(job, runners.get(job.runner or ""), now)
        if kept is not None and kept.key not in taken:
            taken.add(kept.key)
            yield kept
        else:
            ran_until = job.last_heard_at or job.started_at
            interrupted(jobs, job, "the service had stopped", counted=False, until=ran_until)
