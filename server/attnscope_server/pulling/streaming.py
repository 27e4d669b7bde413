"""The commits of a job on their way to a service whose stores this machine does not reach.

The child writes into a folder here. What it has committed there is sent commit by commit, each only after the one
before; the service says how far it is, so a sender that starts anew goes on from there.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.errors import AwayError, OverError, RefusedError
from attnscope_server.pulling.messages import Assignment, Beside
from attnscope_server.pulling.persisting import AGAIN_AFTER, until_answered
from attnscope_server.pulling.reporting import Reporter
from attnscope_server.pulling.sending import Sender
from attnscope_server.root.paths import capture_path
from attnscope_server.running.messages import Advanced, Failed, GivenBack, Run, Succeeded
from attnscope_storage.layout.bucket import RETRIED_FOR
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.wire import Problem, ProblemCode, problem
from attnscope_storage.wire.parts import child_id
from attnscope_storage.wire.specifications.cards import CardEarlier

log = structlog.get_logger("attnscope.pulling")

SERVED_WITHIN: Final = 2 * RETRIED_FOR.total_seconds()
"""Seconds in which a commit is waited for at least, however short the lease: a service tries its bucket again for half
of them, and refuses other requests about the attempt meanwhile."""

MOST_KEY_BYTES: Final = 2**31
"""Bytes of one stored key that is fetched, at most."""


class Stream:
    """The sender of one attempt's commits.

    Parameters
    ----------
    connection
        To the service.
    assignment
        The attempt.
    reporter
        Takes the reports of the child once what they say is true at the service.
    folder
        Folder like a data root, in which the child writes.
    failed
        Called where the service refuses what is sent: the child is to stop.
    """

    def __init__(
        self,
        connection: Connection,
        assignment: Assignment,
        reporter: Reporter,
        folder: Path,
        failed: Callable[[], None],
    ) -> None:
        order = assignment.order
        self._connection, self._token, self._order = connection, assignment.token, order
        self._reporter, self._folder, self._failed = reporter, folder, failed
        self._policy = assignment.checkpoints[0].policy
        path = capture_path(folder, str(order.job))
        self._own = Sender(connection, self._token, path, self._policy, self._heard)
        self._parts: dict[str, Sender] = {}
        """Senders of the stores that the job owns, by name."""
        self._told: queue.SimpleQueue[Advanced | Succeeded | GivenBack | None] = queue.SimpleQueue()
        self._progress: Advanced | None = None
        self._answered_at, self._patience = 0.0, max(reporter.patience, SERVED_WITHIN)
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def prepare(self, stopped: Callable[[], bool]) -> Beside:
        """Fetch what earlier attempts have committed, and the store that the job reads; return what else is there.

        Raises
        ------
        OverError
            The attempt is over, or `stopped()`.
        RefusedError, UnservedError
            The service refuses, or answers reports alone.
        """
        beside = until_answered(partial(self._connection.beside, self._token), stopped, self._reporter)
        job, reads = self._order.job, getattr(self._order.resolved, "capture_store", None)
        owned = (child_id(job, name) for name in beside.parts)
        for store in (job, *owned, *(() if reads is None else (UUID(reads),))):
            self._fetch_store(store, stopped)
        until_answered(self._own.look, stopped, self._reporter)
        self._thread.start()
        return beside

    def hear(self, report: Advanced | Succeeded | GivenBack) -> None:
        """Take a report of the child that is true only once what it has committed has arrived."""
        if isinstance(report, Advanced):
            self._progress = report
        else:
            self._reporter.alone()
        self._told.put(report)

    def close(self) -> None:
        """Stop sending."""
        self._told.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _fetch_store(self, store: UUID, stopped: Callable[[], bool]) -> None:
        path, source = capture_path(self._folder, str(store)), f"stores/{store}"
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._fetch_key(source, path, ROOT_KEY + ".fetched", ROOT_KEY, stopped)
        except RefusedError as error:
            if error.problem is not None and error.problem.code is ProblemCode.NOT_FOUND:
                path.rmdir()
                return  # nothing is committed yet
            raise
        root = Root.parse((path / (ROOT_KEY + ".fetched")).read_bytes())
        for key in root.chunk_keys():
            self._fetch_key(source, path, key, key, stopped)
        (path / (ROOT_KEY + ".fetched")).rename(path / ROOT_KEY)

    def _fetch_key(self, source: str, path: Path, name: str, key: str, stopped: Callable[[], bool]) -> None:
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)

        def fetch() -> None:
            with target.open("wb") as file:
                self._connection.fetch(self._token, f"{source}/{key}", file, MOST_KEY_BYTES, stopped)

        try:
            until_answered(fetch, stopped, self._reporter)
        except BaseException:
            target.unlink()
            raise

    def _run(self) -> None:
        """Send after each report of the child; pass the report on once it is true."""
        if not self._reporter.wait_told():  # the service writes down where the steps are computed, then takes them
            return
        while not self._reporter.over and (report := self._next()) is not None:
            try:
                self._deliver()
            except OverError as error:
                log.info("commits are not taken any more", detail=error.message)
                return
            except RefusedError as error:
                self._fail(error.problem)
                return
            except AwayError as error:
                detail = f"the service took no commit for {self._patience:g} s: {error.message}"
                self._fail(problem(ProblemCode.STORAGE_UNWRITABLE, detail))
                return
            except Exception:
                log.exception("commits cannot be sent")
                self._fail(None)
                return
            if self._progress is not None:  # the newest, also where the report of the end has overtaken it
                self._reporter.hear(self._true(self._progress))
            if not isinstance(report, Advanced):
                self._reporter.hear(report)

    def _deliver(self) -> None:
        """Send what is due, again where the service does not answer.

        Raises
        ------
        OverError
            The attempt is over.
        AwayError
            No commit was answered for as long as a service is waited for, although reports may be.
        RefusedError
            The service refuses.
        """
        self._answered_at = self._reporter.clock()
        while not self._reporter.over:
            try:
                return self._send_all()
            except AwayError:
                if self._reporter.clock() - self._answered_at > self._patience:
                    raise
                self._reporter.wait_over(AGAIN_AFTER)
        raise OverError(self._reporter.reason or "the attempt is over")

    def _next(self) -> Advanced | Succeeded | GivenBack | None:
        """Wait for a report, and return the newest that waits; None where nothing more is to be sent."""
        report = self._told.get()
        while report is not None and not self._told.empty():
            report = self._told.get()
        return report

    def _true(self, report: Advanced) -> Advanced:
        """Return a report of progress with what is committed at the service."""
        state = self._own.state
        steps = (state.steps or 0) * self._order.resolved.steps_each
        return report.model_copy(update={"steps_committed": steps, "bytes_written": state.bytes_written})

    def _fail(self, why: Problem | None) -> None:
        self._failed()
        why = why or problem(ProblemCode.STORAGE_UNWRITABLE, "the worker could not send what it committed")
        self._reporter.hear(Failed(job=self._order.job, attempt=self._order.attempt, problem=why))

    def _send_all(self) -> None:
        """Send every commit that is made here and not there; the service says which store is next."""
        while True:
            name = self._own.state.part
            if name is None:
                if not self._own.step():
                    return
                continue
            part = self._part(name)
            while part.step():
                pass
            if not part.state.complete:
                return
            self._own.look()

    def _part(self, name: str) -> Sender:
        """Return the sender of a store that the job owns."""
        if name not in self._parts:
            path = capture_path(self._folder, str(child_id(self._order.job, name)))
            self._parts[name] = Sender(self._connection, self._token, path, self._policy, self._heard, name)
            self._parts[name].look()
        return self._parts[name]

    def _heard(self) -> None:
        """Take note of an answer: a job whose commits need long to arrive moves with each of them."""
        self._answered_at = self._reporter.clock()
        if self._progress is not None:
            self._reporter.hear(self._true(self._progress))


def order_here(order: Run, folder: Path, earlier: tuple[CardEarlier, ...] | None) -> Run:
    """Return the order of a job whose stores are written into a folder of this machine for a while.

    Parameters
    ----------
    earlier
        As the service's stores tell it.
    """
    return order.model_copy(update={"stores": str(folder), "durable": False, "earlier": earlier})
