"""API keys: ``ats_<key id>_<secret>``, shown once, stored as a hash, with scopes, expiry and revocation.

A slow hash would add nothing: a secret has 256 random bits. Nothing here logs a key or puts one into a message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import select

from attnscope_server.errors import DatabaseBusyError, KeyUnknownError
from attnscope_server.records.database import UNANSWERED, Database
from attnscope_server.records.tables import KeyRow

log = structlog.get_logger("attnscope.keys")

KEY_PATTERN = re.compile(r"ats_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
"""The form of a key that was made here."""

USE_WRITTEN_EVERY = timedelta(minutes=1)
"""Resolution of a key's last use, so that a poll does not become a write."""


class Scope(StrEnum):
    """The rights of a key."""

    JOBS_WRITE = "jobs:write"  # submit, cancel and delete jobs
    JOBS_READ = "jobs:read"  # see jobs, checkpoints, environments and capabilities
    DATA_READ = "data:read"  # read captures
    ADMIN = "admin"  # all of these
    WORKER = "worker"  # run jobs that a worker asks for, and nothing else; no other right includes it


ALL_SCOPES = tuple(scope for scope in Scope if scope is not Scope.WORKER)
"""The scopes of people's keys."""

WORKERS = "(workers)"
"""Owner that keys of workers are entered under; they submit no job."""

EVERYDAY_SCOPES = (Scope.JOBS_WRITE, Scope.JOBS_READ, Scope.DATA_READ)
"""The scopes of a new key for which none are named: all that a researcher needs, and no more."""


@dataclass(frozen=True)
class Identity:
    """The caller: a key that was found valid."""

    owner: str
    key_id: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None
    serves: frozenset[str] = frozenset()
    """Of a worker: owners whose jobs it may run; none: every owner's."""
    device_kinds: frozenset[str] = frozenset()
    """Of a worker: kinds of device that it may offer; none: any."""

    def may(self, scope: Scope) -> bool:
        """Return True where the key has this scope."""
        return scope in self.scopes or (Scope.ADMIN in self.scopes and scope is not Scope.WORKER)

    @property
    def of_worker(self) -> bool:
        """True where the key is a worker's: it opens the routes of workers, and no other."""
        return Scope.WORKER in self.scopes


@dataclass(frozen=True)
class KeyInfo:
    """A key as its operator sees it, without the secret."""

    id: str
    owner: str
    label: str | None
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    serves: tuple[str, ...] = ()
    device_kinds: tuple[str, ...] = ()


class KeyStore:
    """The keys of one service, and the fixed one of its settings."""

    def __init__(
        self, database: Database, fixed: str | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._fixed = None if fixed is None else _digest(fixed)
        self._now = now

    def create(
        self,
        owner: str,
        scopes: Iterable[Scope] = ALL_SCOPES,
        *,
        label: str | None = None,
        expires_at: datetime | None = None,
        serves: Iterable[str] = (),
        device_kinds: Iterable[str] = (),
    ) -> str:
        """Make a key and return it; it is not shown again.

        Parameters
        ----------
        serves, device_kinds
            Of a worker's key: owners whose jobs it may run, and kinds of device that it may offer; none: all.

        Raises
        ------
        ValueError
            A worker's key would have other rights too.
        """
        scopes = tuple(scopes)
        if Scope.WORKER in scopes and set(scopes) != {Scope.WORKER}:
            raise ValueError("a worker's key has no other scope: whoever steals it must gain nothing else")
        key_id = secrets.token_hex(6)
        key = f"ats_{key_id}_{secrets.token_urlsafe(32)}"
        row = KeyRow(
            id=key_id,
            owner=owner,
            label=label,
            digest=_digest(key),
            scopes=[scope.value for scope in scopes],
            created_at=self._now(),
            expires_at=expires_at,
            serves=sorted(serves),
            device_kinds=sorted(device_kinds),
        )
        with self._database.write() as session:
            session.add(row)
        return key

    def create_worker(
        self,
        *,
        serves: Iterable[str] = (),
        device_kinds: Iterable[str] = (),
        label: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Make a key for workers and return it; it is not shown again, and owns no job."""
        return self.create(
            WORKERS,
            (Scope.WORKER,),
            label=label,
            expires_at=expires_at,
            serves=serves,
            device_kinds=device_kinds,
        )

    def identify(self, key: str) -> Identity | None:
        """Return whose key this is; None if it is unknown, expired or revoked."""
        digest = _digest(key)
        if self._fixed is not None and hmac.compare_digest(digest, self._fixed):
            return Identity(owner="operator", key_id="fixed", scopes=frozenset(ALL_SCOPES))
        match = KEY_PATTERN.fullmatch(key)
        if match is None:
            return None
        with self._database.read() as session:
            row = session.get(KeyRow, match["id"])
        now = self._now()
        if row is None or not hmac.compare_digest(digest, row.digest) or row.revoked_at is not None:
            return None
        if row.expires_at is not None and row.expires_at <= now:
            return None
        if row.last_used_at is None or abs(now - row.last_used_at) >= USE_WRITTEN_EVERY:
            self._note_use(row.id, now)
        return Identity(
            row.owner,
            row.id,
            frozenset(Scope(scope) for scope in row.scopes),
            row.expires_at,
            frozenset(row.serves or ()),
            frozenset(row.device_kinds or ()),
        )

    def list(self) -> tuple[KeyInfo, ...]:
        """Return every key, oldest first."""
        with self._database.read() as session:
            return tuple(_info(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.created_at)))

    def revoke(self, key_id: str) -> None:
        """End a key at once.

        Raises
        ------
        KeyUnknownError
            There is no key of that id.
        """
        with self._database.write() as session:
            row = session.get(KeyRow, key_id)
            if row is None:
                raise KeyUnknownError(f"there is no API key {key_id!r}")
            row.revoked_at = row.revoked_at or self._now()

    def _note_use(self, key_id: str, now: datetime) -> None:
        """Write the last use down where that can be done at once; a request neither fails nor waits for it.

        Where another request or job writes at this moment, the next request of the key tries again, so that nothing is
        lost and no warning is due.
        """
        try:
            with self._database.write(patient=False) as session:
                row = session.get(KeyRow, key_id)
                if row is not None:
                    row.last_used_at = now
        except DatabaseBusyError:
            return
        except UNANSWERED as error:
            log.warning("a key's last use was not written", key=key_id, detail=str(error))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _info(row: KeyRow) -> KeyInfo:
    return KeyInfo(
        id=row.id,
        owner=row.owner,
        label=row.label,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        serves=tuple(row.serves or ()),
        device_kinds=tuple(row.device_kinds or ()),
    )
