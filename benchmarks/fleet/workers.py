"""Made-up workers behind the runner's interface: they take jobs, give signs of life, commit, end, or fall silent.

Time is simulated: nothing waits, and an event happens when its turn comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Final
from uuid import UUID

from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import Advanced, Alive, Cancelled, Placement, Succeeded, Taken
from attnscope_server.running.runner import Hear, Runner, Slot

BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Wall time at second 0."""

DEVICE: Final = Placement(device="made-up", dtype="float32", threads=1, torch="2.10")
"""The device of every worker."""

Told = Taken | Advanced | Succeeded | Cancelled
"""A report that a made-up worker foresees."""


class Timeline:
    """A clock, and the events to come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let an event happen so many seconds from now."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), event))

    @property
    def following(self) -> float:
        """The moment of the next event."""
        return self._events[0][0]

    def step(self) -> None:
        """Let the next event happen, and whatever else happens at the same moment."""
        self.now = self._events[0][0]
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()

    def wall(self) -> datetime:
        """Return the time as a wall clock shows it."""
        return BEGAN + timedelta(seconds=self.now)


@dataclass
class Tasking:
    """An attempt at a job on a made-up worker."""

    job: UUID
    name: UUID
    attempt: int
    slot: str
    silent: bool = False
    """True where the worker says nothing any more; the service does not know it."""
    over: bool = False


@dataclass(frozen=True)
class Chatter:
    """The reports of a worker besides begin and end."""

    alive_every: float = 15.0
    """Seconds from one sign of life to the next."""
    commit_every: float | None = None
    """Seconds from one commit to the next; None: one commit, in the middle of the job."""
    progress_every: float | None = None
    """Seconds from one report of progress to the next; None: only commits are reported."""


@dataclass
class Started:
    """The beginning of an attempt, for those who look at the run afterwards."""

    name: UUID
    attempt: int
    at: float


@dataclass
class MadeUpWorkers(Runner):
    """A fleet of workers that compute nothing; each is a placement slot.

    Parameters
    ----------
    timeline
        The simulated time.
    workers
        How many there are at the beginning.
    lasting
        Seconds that each job takes, by its name.
    """

    timeline: Timeline
    workers: int
    lasting: dict[UUID, float]
    chatter: Chatter = Chatter()
    lease_seconds: float | None = 60.0
    name: str = "made-up"
    started: list[Started] = field(default_factory=list)
    done: set[UUID] = field(default_factory=set)
    """Names of the jobs whose success a worker that was not cut off has reported."""
    heard: Callable[[], None] = lambda: None
    """Called after each report that ends an attempt."""
    reports: int = 0
    """Reports so far."""

    def __post_init__(self) -> None:
        self._tasks: dict[str, Tasking] = {}
        self._slots = {slot.name: slot for slot in map(self._slot, range(self.workers))}

    @staticmethod
    def _slot(number: int) -> Slot:
        return Slot(f"worker-{number}", "made-up", hardware=DEVICE.device)

    def connect(self, hear: Hear) -> None:
        """Send reports to `hear` from now on."""
        self._hear = hear

    def slots(self) -> tuple[Slot, ...]:
        """Return a slot for each worker that lives, as far as is known."""
        return tuple(self._slots.values())

    def run(self, job: StoredJob, attempt: int, slot: str) -> None:
        """Begin a job, and foresee its end."""
        task = self._tasks[slot] = Tasking(job.id, job.name, attempt, slot)
        self.started.append(Started(job.name, attempt, self.timeline.now))
        seconds = self.lasting[job.name]
        self._later(0.0, task, partial(Taken, job=job.id, attempt=attempt, placed_on=DEVICE))
        if self.chatter.progress_every is None:
            self._commit(task, self.chatter.commit_every or seconds / 2, 1)
        else:
            self._progress(task, self.chatter.progress_every, 1)
        self._alive(task)
        self._later(seconds, task, partial(Succeeded, job=job.id, attempt=attempt))

    def cancel(self, job: UUID, attempt: int) -> None:
        """Stop an attempt, and tell it at once."""
        for task in tuple(self._tasks.values()):
            if (task.job, task.attempt) == (job, attempt):
                self._later(0.0, task, partial(Cancelled, job=job, attempt=attempt))
                return

    def end(self, job: UUID, attempt: int) -> None:
        """Let an attempt be over that the service has given up."""
        for slot, task in tuple(self._tasks.items()):
            if (task.job, task.attempt) == (job, attempt):
                task.over = True
                del self._tasks[slot]

    def release(self, slot: str) -> None:
        """Free nothing: made-up devices hold nothing."""

    def stop(self) -> None:
        """Have nothing to stop."""

    def silence(self, share: float) -> list[Tasking]:
        """Cut off a share of the workers that run something; return what they were at."""
        cut = list(self._tasks.values())[: round(share * len(self._slots))]
        for task in cut:
            task.silent = True
            del self._slots[task.slot]
        return cut

    def wake(self, task: Tasking) -> None:
        """Let a worker that was cut off say, too late, that its job has succeeded."""
        self._hear(task.slot, Succeeded(job=task.job, attempt=task.attempt))

    def _alive(self, task: Tasking) -> None:
        if task.over:
            return
        if not task.silent:
            self.reports += 1
            self._hear(task.slot, Alive(job=task.job, attempt=task.attempt, said_at=self.timeline.now))
        self.timeline.after(self.chatter.alive_every, partial(self._alive, task))

    def _commit(self, task: Tasking, every: float, nth: int) -> None:
        self._later(every, task, partial(self._advanced, task, nth, nth))
        if self.chatter.commit_every is not None and nth * every < self.lasting[task.name]:
            self.timeline.after(every, partial(self._commit, task, every, nth + 1))

    def _progress(self, task: Tasking, every: float, nth: int) -> None:
        committed = int(nth * every // (self.chatter.commit_every or self.lasting[task.name]))
        self._later(every, task, partial(self._advanced, task, nth, committed))
        if nth * every < self.lasting[task.name]:
            self.timeline.after(every, partial(self._progress, task, every, nth + 1))

    @staticmethod
    def _advanced(task: Tasking, done: int, committed: int) -> Advanced:
        of = {"job": task.job, "attempt": task.attempt, "phase": "rolling", "steps_per_second": 1.0}
        return Advanced.model_validate(of | {"steps_done": done, "steps_committed": committed, "bytes_written": done})

    def _later(
        self, seconds: float, task: Tasking, report: Callable[[], Taken | Advanced | Succeeded | Cancelled]
    ) -> None:
        def say() -> None:
            if task.over or task.silent:
                return
            said = report()
            self.reports += 1
            if isinstance(said, (Succeeded, Cancelled)):
                task.over = True
                self.done.add(task.name)
                del self._tasks[task.slot]
            self._hear(task.slot, said)
            if task.over:
                self.heard()

        self.timeline.after(seconds, say)
