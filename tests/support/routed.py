"""The routes by which commits arrive at a service, called without HTTP and without a job database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from attnscope_env.presets.listing import LISTED
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.errors import ProblemError
from attnscope_server.http.routes import received
from attnscope_server.http.state import InFlight
from attnscope_server.pulling.errors import RefusedError
from attnscope_server.pulling.messages import CommitState, SentCommit
from attnscope_server.pulling.receiving import Arrivals
from attnscope_server.records.job import StoredJob
from attnscope_server.root.captures import Captures
from attnscope_storage.wire import JobState, Progress
from attnscope_storage.writing.due import DueChunk


class KilledError(Exception):
    """The worker is gone."""


def job_of(order: Any, attempt: int) -> StoredJob:
    """Return an attempt at the job of an order, as the database holds it while it runs."""
    now = datetime.now(UTC)
    return StoredJob(
        sequence=1, id=UUID(order.path.stem), name=UUID(order.job), owner=order.owner, kind=order.spec.kind, label=None,
        state=JobState.RUNNING, spec=order.spec, resolved=order.resolved,
        progress=Progress(steps_total=order.resolved.steps_total), created_at=now, attempts=attempt,
        lease_until=now + timedelta(hours=1),
        placed_on={"device": "cpu", "dtype": "float32", "threads": 1, "torch": "2"},
    )  # fmt: skip


@dataclass
class Routed:
    """A service, as the sender of one attempt's commits sees it."""

    state: Any
    job: StoredJob
    left: float = float("inf")
    """Requests after which the worker is gone."""

    @classmethod
    def at(cls, root: Path, registry: CheckpointRegistry, job: StoredJob) -> Routed:
        """Return a service with its stores below a folder."""
        captures = Captures(root)
        arrivals = Arrivals(captures, registry, LISTED, durable=False)
        return cls(SimpleNamespace(captures=captures, arrivals=arrivals, arriving=InFlight(2**30)), job)

    def committed(self, _token: str, part: str | None = None) -> CommitState:
        """Return how much is committed."""
        return self._refused(received.get_commits, self.job, self.state, None, part)

    def send(
        self, _token: str, number: int, chunk: DueChunk, encoded: bytes, sha256: str, part: str | None = None
    ) -> None:
        """Take a chunk."""
        self._refused(received._take, self.state, self.job, part, number, chunk.spec.name, chunk.index, encoded, sha256)

    def commit(self, _token: str, number: int, sent: SentCommit, part: str | None = None) -> CommitState:
        """Make a commit."""
        return self._refused(received.post_commit, number, sent, self.job, self.state, None, part)

    def _refused(self, route: Any, *given: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KilledError
        try:
            return route(*given)
        except ProblemError as error:
            raise RefusedError(error.problem.detail, error.problem) from error
