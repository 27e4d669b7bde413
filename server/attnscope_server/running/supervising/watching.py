"""A placed job as it is watched: what is shown of its progress, and when its attempt is ended."""

from __future__ import annotations

from typing import Final

import structlog

from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import Advanced
from attnscope_server.running.supervising.leases import lapsed
from attnscope_server.running.supervising.placed import Placed
from attnscope_server.settings import Settings
from attnscope_storage.wire import ProblemCode, Progress, problem

log = structlog.get_logger("attnscope.supervisor")

PROGRESS_WRITTEN_EVERY: Final = 1.0
"""Seconds between two writes of a running job's progress, at least; a new commit is always written."""

PROGRESS_WRITES: Final = 25.0
"""Writes of progress in a second, of all running jobs together: many workers must not fill the database's time."""


def shown(placed: Placed, settings: Settings, now: float) -> Progress | None:
    """Return the progress of a placed job, None where the database knows as much; of a stalled one, no rate."""
    sign = {"last_sign_at": placed.signs.moved_at}
    if not placed.signs.stalled(settings, now):
        return None if placed.progress is None else placed.progress.model_copy(update=sign)
    known = placed.progress or placed.job.progress
    return known.model_copy(update=sign | {"stalled": True, "steps_per_second": None, "eta_seconds": None})


def advance(placed: Placed, report: Advanced, now: float, running: int) -> bool:
    """Take in a report of progress; True where it is to be written: a new commit, or none was written for long.

    Parameters
    ----------
    running
        Jobs that run now, this one among them.
    """
    before, placed.progress = placed.progress, _progress(placed.job, report)
    committed = before is None or before.steps_committed != report.steps_committed
    if not committed and now - placed.written < max(PROGRESS_WRITTEN_EVERY, running / PROGRESS_WRITES):
        return False
    placed.written = now
    return True


def _progress(job: StoredJob, report: Advanced) -> Progress:
    rate, total = report.steps_per_second, job.resolved.steps_total
    progress = Progress(
        phase=report.phase,
        steps_done=report.steps_done,
        steps_committed=report.steps_committed,
        steps_total=total,
        steps_per_second=rate,
        bytes_written=report.bytes_written,
        eta_seconds=(total - report.steps_done) / rate if rate else None,
    )
    return progress.model_copy(update=job.resolved.counted(report.steps_committed))


def watch(placed: Placed, settings: Settings, now: float) -> None:
    """End an attempt that gives no sign of life, stop one that has run for too long, repeat a lost cancel."""
    if placed.ending is not None:
        return
    if placed.to_cancel:
        pass_on_cancel(placed)
    if lapsed(placed, now):
        return
    overdue = placed.signs.overdue(settings, now)
    if overdue is not None:
        if placed.why is None:
            log.warning("a worker is ended", job=str(placed.job.id), detail=overdue)
        placed.why = overdue
        placed.runner.end(placed.job.id, placed.job.attempts)
    elif placed.verdict is None:
        _stop_if_too_long(placed, settings.limits.run_seconds, now)


def pass_on_cancel(placed: Placed) -> None:
    """Tell the runner to cancel; where it fails, the next look tries again."""
    placed.to_cancel = True
    try:
        placed.runner.cancel(placed.job.id, placed.job.attempts)
    except Exception:
        log.exception("a runner could not cancel; the next look tries again", job=str(placed.job.id))
    else:
        placed.to_cancel = False


def _stop_if_too_long(placed: Placed, limit: float | None, now: float) -> None:
    ran = placed.job.ran_seconds + now - placed.signs.placed
    if limit is not None and ran > limit:
        detail = f"it ran for {ran:.0f} s, {limit:g} s are allowed; ask for fewer steps, tasks, seeds or conditions"
        placed.verdict = problem(ProblemCode.TOO_LARGE, detail, limit=limit, requested=ran)
        pass_on_cancel(placed)
