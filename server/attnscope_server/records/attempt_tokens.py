"""Tokens of attempts: the right of one worker to report about one attempt, to commit to it, and to read for it.

A token ends with the lease of its attempt. It is stored hashed, and is of no use without the key that it was given to.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from attnscope_server.errors import TransitionError, refusal
from attnscope_server.records.database import Database
from attnscope_server.records.job import StoredJob
from attnscope_server.records.job_rows import known_row, row_of, stored_job
from attnscope_server.records.tables import BUSY
from attnscope_storage.wire import ProblemCode

TOKEN: Final = re.compile(r"ata_(?P<job>[0-9a-f]{32})_[A-Za-z0-9_-]{43}")
"""Form of a token: the job, and 256 random bits."""

OVER: Final = "this attempt is over: its lease ended, another attempt began, or the job has ended"
"""Said to a worker whose token was good once."""


class AttemptTokens:
    """The tokens of the attempts of one service."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database, self._now = database, now

    def issue(self, job: UUID, attempt: int, key_id: str) -> str:
        """Return a new token of a running attempt; an earlier one of it is dead from now on.

        Raises
        ------
        TransitionError
            The job has another attempt by now, or does not run.
        """
        token = f"ata_{job.hex}_{secrets.token_urlsafe(32)}"
        with self._database.write() as session:
            row = known_row(session, job)
            if row.attempts != attempt or row.state not in BUSY:
                raise TransitionError(f"job {row.name} is {row.state} in its attempt {row.attempts}, not {attempt}")
            row.token_digest, row.token_key, row.token_attempt = _digest(token), key_id, attempt
        return token

    def held(self, token: str, key_id: str) -> StoredJob:
        """Return the running job whose present attempt a token is for.

        Raises
        ------
        ProblemError
            It is no token of this key (forbidden), or its attempt is over (gone).
        """
        match = TOKEN.fullmatch(token)
        with self._database.read() as session:
            row = None if match is None else row_of(session, UUID(match["job"]))
            if (
                row is None
                or row.token_key != key_id
                or not hmac.compare_digest(row.token_digest or "", _digest(token))
            ):
                raise refusal(ProblemCode.FORBIDDEN, "this is no token of an attempt that this key was given")
            current = row.attempts == row.token_attempt and row.state in BUSY
            if not current or row.lease_until is None or row.lease_until <= self._now():
                raise refusal(ProblemCode.GONE, OVER)
            return stored_job(row)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
