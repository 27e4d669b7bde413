"""The supervisor: takes queued jobs to free workers, and writes down what becomes of them.

Every change of state is in the database before anybody is told. Interrupted jobs go back to the queue by themselves;
three deaths in a row without a new commit fail a job, so that a poisonous one does not run for ever.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from attnscope_server.errors import TransitionError
from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job import MAX_INTERRUPTIONS, StoredJob
from attnscope_server.records.job_store import JobStore
from attnscope_server.running.runner import ProcessRunner
from attnscope_server.settings import Settings
from attnscope_storage.wire import JobState, Problem, ProblemCode, Progress, Resolved, ResolvedTrial, problem

log = structlog.get_logger("attnscope.supervisor")

REDUCE = "fewer environments, or fewer stored layers, heads, rows or maps"
"""What makes a job need less memory."""

PROGRESS_WRITTEN_EVERY = 1.0
"""Seconds between two writes of a running job's progress."""


class Supervisor:
    """Runs the jobs of one service.

    Parameters
    ----------
    settings
        Devices, commands and grace times.
    jobs
        Where states are written.
    changed
        Called, from any thread, whenever a job may look different from outside.
    """

    def __init__(self, settings: Settings, jobs: JobStore, changed: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._jobs = jobs
        self._changed = changed
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stopping = False
        self._progress: dict[UUID, Progress] = {}
        self._written_at: dict[UUID, float] = {}
        self._idle_since: dict[str, float] = {}
        self._endings: list[tuple[str, StoredJob, dict[str, Any]]] = []
        self._runners: dict[str, ProcessRunner] = {}
        for number, device in enumerate(settings.devices):
            name = f"{number}"
            self._runners[name] = ProcessRunner(device, settings, partial(self._hear, name))
        self._busy: dict[str, StoredJob | None] = dict.fromkeys(self._runners)
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)

    def start(self) -> None:
        """Take back what an earlier service left behind, then begin."""
        for job in self._jobs.in_state(JobState.CANCELLING):
            self._jobs.move(job.id, JobState.CANCELLED, "the service had stopped")
        for job in self._jobs.in_state(JobState.RUNNING):
            self._interrupted(job, "the service had stopped", counted=True)
        for job in self._jobs.in_state(JobState.INTERRUPTED):
            self._jobs.move(job.id, JobState.QUEUED)
        self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """Stop every worker in an orderly way; running jobs become interrupted and resume at the next start."""
        with self._lock:
            self._stopping = True
        self._wake.set()
        self._thread.join()
        with self._lock:
            self._settle()
            left = [job for job in self._busy.values() if job is not None]
        for job in left:
            end = partial(self._interrupted, job, "the service stopped", counted=False, queue=False)
            try:
                self._end(job.id, end)
            except UNANSWERED:  # the next start finds it running, and queues it again
                log.warning("an interrupted job could not be written down", job=str(job.id))

    def wake(self) -> None:
        """Look for queued jobs."""
        self._wake.set()

    def progress(self, job: UUID) -> Progress | None:
        """Return how far a running job is, fresher than the database."""
        return self._progress.get(job)  # without the lock: a database that is slow to write must not hold up a poll

    def devices(self) -> list[tuple[str, StoredJob | None]]:
        """Return each device and the job it runs."""
        return [(self._runners[name].device, job) for name, job in self._busy.items()]

    def cancel(self, job: StoredJob) -> StoredJob:
        """Cancel a job; it stays `cancelling` until its work has ended."""
        with self._lock:
            try:
                if job.state in {JobState.QUEUED, JobState.INTERRUPTED}:
                    ended = self._jobs.move(job.id, JobState.CANCELLED, "cancelled while waiting")
                    self._changed()
                    return ended
                if job.state is JobState.RUNNING:
                    job = self._jobs.move(job.id, JobState.CANCELLING)
            except TransitionError:
                return self._jobs.get(job.id) or job  # it moved on by itself
            for name, busy in self._busy.items():
                if busy is not None and busy.id == job.id:
                    self._runners[name].cancel(job)
        self._changed()
        return job

    def _loop(self) -> None:
        while True:
            self._wake.wait(timeout=min(1.0, self._settings.worker_idle_seconds))
            self._wake.clear()
            with self._lock:
                if self._stopping:
                    break
                try:
                    self._settle()
                    for name in self._runners:
                        self._feed(name)
                except UNANSWERED as error:  # nobody is told of what is not written; the next look tries again
                    log.warning("the job database did not answer", detail=str(error))
        # Workers are stopped on the thread that started them: the kernel ties their life to it (PR_SET_PDEATHSIG).
        for runner in self._runners.values():
            runner.stop()

    def _feed(self, name: str) -> None:
        """Give a free worker the next job, or let it go when it has been idle for long."""
        if self._busy[name] is not None:
            return
        job = self._jobs.claim()
        if job is not None:
            self._busy[name] = job
            self._idle_since.pop(name, None)
            self._runners[name].busy_with = str(job.id)
            self._runners[name].run(job)
            self._changed()
        elif (
            name in self._idle_since and time.monotonic() - self._idle_since[name] > self._settings.worker_idle_seconds
        ):
            del self._idle_since[name]
            self._runners[name].release()

    def _hear(self, name: str, message: dict[str, Any]) -> None:
        with self._lock:
            job = self._busy[name]
            kind = message["type"]
            if job is None or (kind != "died" and message.get("job", str(job.id)) != str(job.id)):
                return
            if any(ending[0] == name for ending in self._endings):
                return  # it has ended already, which only is not written down yet
            if kind == "progress":
                self._advance(job, message)
            elif kind in ENDINGS or kind == "died":
                self._endings.append((name, job, message))
                self._settle()
        self._changed()

    def _settle(self) -> None:
        """Write down how jobs ended, oldest first; what the database refuses stays, and with it the job's device."""
        while self._endings:
            name, job, message = self._endings[0]
            end = partial(ENDINGS.get(message["type"], Supervisor._died), self, job, message)
            try:
                self._end(job.id, end)
            except UNANSWERED as error:
                log.warning("how a job ended is not written yet", job=str(job.id), detail=str(error))
                return
            del self._endings[0]
            self._free(name)

    def _free(self, name: str) -> None:
        self._busy[name] = None
        self._runners[name].busy_with = None
        self._idle_since[name] = time.monotonic()
        self._wake.set()

    def _advance(self, job: StoredJob, message: dict[str, Any]) -> None:
        before = self._progress.get(job.id)
        rate = message.get("steps_per_second")
        total = job.resolved.steps_total
        progress = Progress(
            phase=message["phase"],
            steps_done=message["steps_done"],
            steps_committed=message["steps_committed"],
            steps_total=total,
            steps_per_second=rate,
            bytes_written=message["bytes_written"],
            eta_seconds=(total - message["steps_done"]) / rate if rate else None,
            **conditions_of(job.resolved, message["steps_committed"]),
        )
        self._progress[job.id] = progress
        now = time.monotonic()
        committed = before is None or before.steps_committed != progress.steps_committed
        if committed or now - self._written_at.get(job.id, 0.0) >= PROGRESS_WRITTEN_EVERY:
            self._written_at[job.id] = now
            with contextlib.suppress(*UNANSWERED):  # the end of the job, or the next report, writes it
                self._jobs.record_progress(job.id, progress)

    def _end(self, job: UUID, end: Callable[[], None]) -> None:
        last = self._progress.get(job)
        if last is not None:
            self._jobs.record_progress(job, last)
        try:
            end()
        except TransitionError as error:
            log.warning("a job had moved on", job=str(job), detail=error.message)
        self._progress.pop(job, None)
        self._written_at.pop(job, None)

    def _succeeded(self, job: StoredJob, _message: dict[str, Any]) -> None:
        self._jobs.move(job.id, JobState.SUCCEEDED)

    def _failed(self, job: StoredJob, message: dict[str, Any]) -> None:
        failure = Problem.model_validate(message["problem"])
        self._jobs.move(job.id, JobState.FAILED, failure.detail, failure=failure)

    def _cancelled(self, job: StoredJob, _message: dict[str, Any]) -> None:
        self._jobs.move(job.id, JobState.CANCELLED)

    def _was_stopped(self, job: StoredJob, _message: dict[str, Any]) -> None:
        self._interrupted(job, "the worker was stopped", counted=False, queue=not self._stopping)

    def _died(self, job: StoredJob, message: dict[str, Any]) -> None:
        current = self._jobs.get(job.id)
        if current is not None and current.state is JobState.CANCELLING:
            self._jobs.move(job.id, JobState.CANCELLED, "its worker was ended")
            return
        detail = f"its worker ended with {message.get('code')}"
        if message.get("code") == -signal.SIGKILL:
            detail += f" (killed, as the system does when memory runs out: ask for {REDUCE})"
        self._interrupted(job, detail, counted=not self._stopping, queue=not self._stopping)

    def _interrupted(self, job: StoredJob, detail: str, *, counted: bool, queue: bool = True) -> None:
        current = self._jobs.get(job.id) or job
        if current.state is JobState.CANCELLING:
            self._jobs.move(job.id, JobState.CANCELLED, detail)
            return
        stored = current
        if current.state is not JobState.INTERRUPTED:  # else an earlier try got as far as that
            stored = self._jobs.interrupt(job.id, current.progress.steps_committed, detail, counted=counted)
        if stored.interruptions >= MAX_INTERRUPTIONS:
            text = f"{stored.interruptions} interruptions without a new commit; the last: {detail}"
            failure = problem(ProblemCode.INTERRUPTED_TOO_OFTEN, text)
            self._jobs.move(job.id, JobState.FAILED, text, failure=failure)
        elif queue:
            self._jobs.move(job.id, JobState.QUEUED)
        log.warning("job interrupted", job=str(job.id), detail=detail)


def conditions_of(resolved: Resolved, steps_committed: int) -> dict[str, int]:
    """Return the fields of a trial's progress that count conditions; none of another job."""
    if not isinstance(resolved, ResolvedTrial):
        return {}
    total = len(resolved.conditions)
    return {"conditions_committed": steps_committed // resolved.steps, "conditions_total": total}


ENDINGS: dict[str, Callable[[Supervisor, StoredJob, dict[str, Any]], None]] = {
    "succeeded": Supervisor._succeeded,  # noqa: SLF001 - the table is this class's own
    "failed": Supervisor._failed,  # noqa: SLF001
    "cancelled": Supervisor._cancelled,  # noqa: SLF001
    "interrupted": Supervisor._was_stopped,  # noqa: SLF001
}
"""Message of a worker → what it means for the job."""
