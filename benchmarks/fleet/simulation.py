"""One run of a simulated fleet: the real supervisor, scheduler and job database, with made-up workers and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final
from uuid import UUID

import psutil
from sqlalchemy import select

from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.tables import JobRow
from attnscope_server.running.supervising.supervisor import LOOK_EVERY, Supervisor
from attnscope_server.settings import Settings
from benchmarks.fleet.demands import Demand
from benchmarks.fleet.jobs import queue
from benchmarks.fleet.workers import BEGAN, Chatter, MadeUpWorkers, Tasking, Timeline

WAKES_AFTER: Final = 3
"""Leases after which a worker that was cut off says that its job has succeeded; another one has it by then."""


@dataclass(frozen=True)
class Ended:
    """A job at the end of a run, as the database has it."""

    owner: str
    state: str
    at: float
    """Seconds of simulated time."""
    attempts: int
    interruptions: int


@dataclass
class Cut:
    """A part of the workers that fell silent in the middle of a run."""

    at: float
    tasks: list[Tasking]


@dataclass
class Outcome:
    """The trace of a run."""

    ended: dict[UUID, Ended]
    workers: MadeUpWorkers
    cut: Cut | None
    seconds: float
    """Simulated time until the last job had ended."""
    resident: list[float] = field(default_factory=list)
    """Memory of this process in MiB, each time when a tenth of the jobs had ended."""


class Fleet:
    """A service with made-up workers; no thread runs, and each event is one step.

    Parameters
    ----------
    database
        Without jobs.
    asked
        The jobs to come, in the order of their submission.
    cut_off
        Share of the workers that fall silent once half of the jobs have ended.
    """

    def __init__(
        self, database: Database, workers: int, asked: Sequence[Demand], chatter: Chatter, cut_off: float = 0.0
    ) -> None:
        self.timeline, self._asked, self._cut_off = Timeline(), asked, cut_off
        self.workers = MadeUpWorkers(self.timeline, workers, {one.name: one.seconds for one in asked}, chatter)
        self._store = JobStore(database, self.timeline.wall)
        settings = Settings(data_root=Path("nowhere"), worker_command=("false",), announce=False)
        self._supervisor = Supervisor(settings, self._store, (self.workers,), now=lambda: self.timeline.now)
        self._database, self._cut = database, None  # type: tuple[Database, Cut | None]
        self._resident: list[float] = []
        self.workers.heard = self._supervisor.look

    def begin(self) -> None:
        """Foresee the submission of every job, and the supervisor's looks."""
        for at, together in groupby(self._asked, key=lambda one: one.at):
            self.timeline.after(at, partial(self._ask, tuple(together)))
        self._tick()

    def until(self, moment: float) -> None:
        """Let happen whatever happens before a moment of simulated time."""
        while self.timeline.following < moment:
            self.timeline.step()

    def run(self) -> Outcome:
        """Let everything happen until the last job has ended."""
        self.begin()
        tenth, total = max(1, len(self._asked) // 10), len(self._asked)
        while len(self.workers.done) < total:
            self.timeline.step()
            if len(self.workers.done) >= tenth * (len(self._resident) + 1):
                self._resident.append(psutil.Process().memory_info().rss / 2**20)
            if self._cut is None and self._cut_off > 0 and len(self.workers.done) >= total // 2:
                self._cut_some()
        self._supervisor.look()
        return Outcome(self._ended(), self.workers, self._cut, self.timeline.now, self._resident)

    def _ask(self, demands: tuple[Demand, ...]) -> None:
        for demand in demands:
            queue(self._store, demand.name, demand.owner)
        self._supervisor.look()

    def _tick(self) -> None:
        self._supervisor.look()
        self.timeline.after(LOOK_EVERY, self._tick)

    def _cut_some(self) -> None:
        self._cut = Cut(self.timeline.now, self.workers.silence(self._cut_off))
        for task in self._cut.tasks[::3]:
            self.timeline.after(WAKES_AFTER * (self.workers.lease_seconds or 0), partial(self.workers.wake, task))

    def _ended(self) -> dict[UUID, Ended]:
        columns = (JobRow.name, JobRow.owner, JobRow.state, JobRow.finished_at, JobRow.attempts, JobRow.interruptions)
        with self._database.read() as session:
            rows = session.execute(select(*columns)).all()
        return {
            UUID(name): Ended(owner, state, (at - BEGAN).total_seconds() if at else float("inf"), tries, deaths)
            for name, owner, state, at, tries, deaths in rows
        }
