"""Reports of attempts as the supervisor takes them: signs of life, the device, progress, the end.

A report of an older attempt changes nothing. Starts nothing and ends nothing; the caller holds the supervisor's lock.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import structlog

from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job_store import JobStore
from attnscope_server.running.messages import ENDINGS, Advanced, Alive, AnyJobReport, Misplaced, Taken
from attnscope_server.running.supervising.leases import renew
from attnscope_server.running.supervising.placed import Placed
from attnscope_server.running.supervising.placing import Placing
from attnscope_server.running.supervising.watching import advance

log = structlog.get_logger("attnscope.supervisor")


def take(jobs: JobStore, placing: Placing, placed: Placed, report: AnyJobReport | Alive, now: float) -> None:
    """Take in a report that came from the slot of a placed job.

    Parameters
    ----------
    placing
        Hears of the device that the job found.
    now
        Moment of the supervisor's steady clock, in seconds.
    """
    if isinstance(report, Alive):
        if (report.job, report.attempt) in {(None, None), (placed.job.id, placed.job.attempts)}:
            placed.signs.lives(now)
            renew(jobs, placed, report, now)
        return
    if not placed.belongs(report) or placed.ending is not None:
        log.info("a report of an older attempt was dropped", job=str(report.job), attempt=report.attempt)
        return
    placed.signs.moves(now, datetime.now(UTC))
    if isinstance(report, (Taken, Misplaced)):
        placing.found(placed.key, report.placed_on.device)
    if isinstance(report, ENDINGS):
        placed.ending, placed.over = report, now
    elif isinstance(report, Taken):
        placed.placed_on = report.placed_on
        with contextlib.suppress(*UNANSWERED):  # told to nobody yet
            jobs.place(placed.job.id, report.placed_on.model_dump(mode="json"))
    elif isinstance(report, Advanced) and advance(placed, report, now, placing.running):
        with contextlib.suppress(*UNANSWERED):  # the end of the job, or the next report, writes it
            jobs.record(placed.job.id, placed.progress, heard_at=placed.signs.moved_at)
