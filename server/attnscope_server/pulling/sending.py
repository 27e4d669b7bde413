"""The commits of one store on their way to the service, each only after the one before. For one thread at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attnscope_server.pulling.errors import RefusedError
from attnscope_server.pulling.messages import CommitState, SentCommit
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import PolicyDescription, ProblemCode, contract_of, resolved_as, specification_as
from attnscope_storage.writing.due import DueChunk, due_chunks, next_commit


class Line(Protocol):
    """The service, as a sender sees it; a `Connection` is one."""

    def committed(self, token: str, part: str | None = None) -> CommitState:
        """Return how much is committed there."""
        ...

    def send(
        self, token: str, number: int, chunk: DueChunk, encoded: bytes, sha256: str, part: str | None = None
    ) -> None:
        """Send a chunk of the next commit."""
        ...

    def commit(self, token: str, number: int, sent: SentCommit, part: str | None = None) -> CommitState:
        """Make the commit of the chunks that were sent."""
        ...


class Sender:
    """The sender of one store.

    Parameters
    ----------
    line
        The service.
    token
        Of the attempt.
    path
        The store as the child writes it here.
    policy
        Of the job's checkpoint.
    answered
        Called after every answer.
    part
        Name of the store within the job; None: the job's own.
    """

    def __init__(
        self,
        line: Line,
        token: str,
        path: Path,
        policy: PolicyDescription,
        answered: Callable[[], None],
        part: str | None = None,
    ) -> None:
        self._line, self._token, self._path, self._policy = line, token, path, policy
        self._answered, self._part = answered, part
        self._schema: StoreSchema | None = None
        self._conflicted = False
        self.state = CommitState()
        """The store at the service, as its last answer said."""

    def look(self) -> None:
        """Ask how far the store is at the service."""
        self.state = self._line.committed(self._token, self._part)
        self._answered()

    def step(self) -> bool:
        """Make one commit that is made here and not there; False where there is none.

        Raises
        ------
        AwayError, OverError, RefusedError
            As `Connection`.
        """
        try:
            root = CaptureReader.open(self._path).root
        except CaptureNotFoundError:
            return False
        number = self._due(root)
        if number is None and (self.state.complete or not root.attributes["complete"]):
            return False
        try:
            self.state = self._complete() if number is None else self._send(number, root)
            self._conflicted = False
        except RefusedError as error:
            if self._conflicted or error.problem is None or error.problem.code is not ProblemCode.CONFLICT:
                raise
            # An answer was lost, or the service started anew and has lost the chunks of this commit.
            self._conflicted = True
            self.look()
        self._answered()
        return True

    def _due(self, root: Root) -> int | None:
        number = next_commit(self._schema_of(root), self.state.steps)
        return number if number is not None and number <= root.steps_committed else None

    def _schema_of(self, root: Root) -> StoreSchema:
        """Return the arrays, from what the store itself says that it was asked for."""
        if self._schema is None:
            spec, resolved = (root.attributes[name] for name in ("spec", "resolved"))
            asked = specification_as(root.kind, spec), resolved_as(root.kind, resolved)
            self._schema = contract_of(root.kind).schema(*asked, self._policy)
        return self._schema

    def _send(self, number: int, root: Root) -> CommitState:
        listed = {}
        for chunk in due_chunks(self._schema_of(root), self.state.steps, number):
            encoded = (self._path / chunk.key).read_bytes()
            listed[chunk.key] = hashlib.sha256(encoded).hexdigest()
            self._line.send(self._token, number, chunk, encoded, listed[chunk.key], self._part)
            self._answered()
        provenance = root.attributes.get("provenance", {}) if self.state.steps is None else None
        sent = SentCommit(chunks=listed, provenance=provenance)
        return self._line.commit(self._token, number, sent, self._part)

    def _complete(self) -> CommitState:
        sent = SentCommit(chunks={}, complete=True)
        return self._line.commit(self._token, self.state.steps or 0, sent, self._part)
