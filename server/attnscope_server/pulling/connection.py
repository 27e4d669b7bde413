"""The connection of a worker to its service: outgoing HTTP, a key out of a file, and errors that say what to do."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from attnscope_server.errors import ServiceError, SettingUnusableError
from attnscope_server.pulling.messages import (
    MOST_REPORTS,
    TOKEN_HEADER,
    Answer,
    Assignment,
    CommitState,
    Farewell,
    Offer,
    Reports,
    SentCommit,
    Told,
)
from attnscope_server.records.keys import KEY_PATTERN
from attnscope_server.settings import is_loopback
from attnscope_storage.wire import Problem, ProblemCode
from attnscope_storage.writing.due import DueChunk

MessageT = TypeVar("MessageT", Assignment, Answer, CommitState)

ANSWERED_WITHIN: Final = 20.0
"""Seconds for an answer, beyond those that a claim waits."""

PIECE: Final = 2**20
"""Bytes of a file that are read and written at a time."""

PASSING: Final = frozenset({ProblemCode.UNAVAILABLE, ProblemCode.INTERNAL, None})
"""Codes of a service's faults after which the same request may succeed."""

FORBIDDEN: Final = 403
GONE: Final = 410
TOO_MANY: Final = 429
SERVER_ERRORS: Final = 500
NO_CONTENT: Final = 204


class AwayError(ServiceError, ConnectionError):
    """The service does not answer now; the same request may succeed later."""


class RefusedError(ServiceError):
    """The service refuses this worker, and would again."""

    def __init__(self, message: str, document: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = document
        """The refusal as it came; None where it was no problem document."""


class OverError(ServiceError):
    """The attempt is over for this worker: its lease ended, or another attempt began."""


def key_in(path: Path) -> str:
    """Return the key that a file holds.

    Raises
    ------
    SettingUnusableError
        It cannot be read, others may read it, or it holds no key.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingUnusableError(f"the key file {path} cannot be read: {reason}") from error
    if stat.S_IMODE(mode) & 0o007:
        raise SettingUnusableError(f"everybody on this machine may read {path}: chmod 600 {path}")
    if KEY_PATTERN.fullmatch(text) is None:
        raise SettingUnusableError(f"{path} holds no key; make one by `attnscope-server key worker` at the service")
    return text


class Connection:
    """A worker's requests.

    Parameters
    ----------
    url
        Address of the service.
    key
        A worker's key.
    authorities
        File of certificate authorities; None: those of the system.

    Raises
    ------
    SettingUnusableError
        The address is none, or the key would travel in the clear.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        authorities: Path | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise SettingUnusableError(f"--service: expected https://host or http://127.0.0.1:port, got {url[:200]!r}")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise SettingUnusableError(
                f"will not send a key to {parts.netloc} in the clear: use https, or a tunnel like "
                f"ssh -N -L 8642:127.0.0.1:{parts.port or 80} {parts.hostname}"
            )
        trust = True if authorities is None else ssl.create_default_context(cafile=str(authorities))
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=ANSWERED_WITHIN,
            trust_env=False,  # a proxy of the environment would get the key
            verify=trust,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def claim(self, offer: Offer) -> Assignment | None:
        """Wait for a job; None where none came.

        Raises
        ------
        AwayError, RefusedError
            The service does not answer, or refuses.
        """
        with self._answer("POST", "claim", content=offer.line, timeout=ANSWERED_WITHIN + offer.wait) as answer:
            content = answer.read()
            return None if answer.status_code == NO_CONTENT else _read(Assignment, content)

    def report(self, token: str, reports: Sequence[Told]) -> Answer:
        """Report about an attempt, and return the orders.

        Raises
        ------
        AwayError, RefusedError, OverError
            The service does not answer, refuses the key, or says that the attempt is over.
        """
        body = Reports(reports=tuple(reports[:MOST_REPORTS]))
        with self._answer("POST", "report", token, content=body.line) as answer:
            return _read(Answer, answer.read())

    def end(self, farewell: Farewell) -> None:
        """Say that this worker takes no more jobs."""
        with self._answer("POST", "end", content=farewell.line):
            pass

    def fetch(self, token: str, path: str, into: IO[bytes], most: int, stopped: Callable[[], bool]) -> None:
        """Write what the service has at a path into a file, at most so many bytes.

        Raises
        ------
        ServiceError
            There are more.
        AwayError, RefusedError, OverError
            As `report`; `OverError` too where `stopped()` became true on the way.
        """
        count = 0
        with self._answer("GET", path, token) as answer:
            for piece in answer.iter_bytes(PIECE):
                if stopped():
                    raise OverError("it was told to stop")
                count += len(piece)
                if count > most:
                    raise ServiceError(f"{path} has more than the {most} bytes that are read here")
                into.write(piece)

    def committed(self, token: str) -> CommitState:
        """Return how much of the attempt's job is committed at the service."""
        with self._answer("GET", "commits", token) as answer:
            return _read(CommitState, answer.read())

    def send(self, token: str, number: int, chunk: DueChunk, encoded: bytes, sha256: str) -> None:
        """Send a chunk of the next commit."""
        about = {"array": chunk.spec.name, "chunk": ".".join(map(str, chunk.index)), "sha256": sha256}
        octets = {"Content-Type": "application/octet-stream"}
        path = f"commits/{number}/chunks"
        with self._answer("PUT", path, token, params=about, content=encoded, headers=octets):
            pass

    def commit(self, token: str, number: int, sent: SentCommit) -> CommitState:
        """Make the commit of the chunks that were sent."""
        with self._answer("POST", f"commits/{number}", token, content=sent.line) as answer:
            return _read(CommitState, answer.read())

    @contextmanager
    def _answer(self, method: str, path: str, token: str | None = None, **options: Any) -> Iterator[httpx.Response]:  # noqa: ANN401 - httpx's
        own = {"Content-Type": "application/json"} | ({} if token is None else {TOKEN_HEADER: token})
        headers = own | options.pop("headers", {})
        try:
            with self._client.stream(method, f"/v1/worker/{path}", headers=headers, **options) as answer:
                _refuse(answer, attempt=token is not None)
                yield answer
        except httpx.HTTPError as error:
            raise AwayError(f"the service does not answer: {type(error).__name__}") from error


def _refuse(answer: httpx.Response, *, attempt: bool) -> None:
    """Raise the error that an answer means; nothing where it is no refusal."""
    if answer.is_success:
        return
    status = answer.status_code
    try:
        document = Problem.model_validate_json(answer.read())
    except ValidationError:
        document = None
    detail = f"status {status}" if document is None else document.detail[:500]
    if attempt and status in {FORBIDDEN, GONE}:
        raise OverError(detail)
    if status == TOO_MANY or (status >= SERVER_ERRORS and (document is None or document.code in PASSING)):
        raise AwayError(detail)
    raise RefusedError(f"the service refuses this worker: {detail}", document)


def _read(kind: type[MessageT], content: bytes) -> MessageT:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise RefusedError(f"the service's answer is not understood: {error.error_count()} fields") from error
