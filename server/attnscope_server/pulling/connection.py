"""The connection of a worker to its service: outgoing HTTP, a key out of a file, and errors that say what to do."""

from __future__ import annotations

import ssl
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import httpx

from attnscope_server.errors import ServiceError, SettingUnusableError
from attnscope_server.pulling.answers import pieces, read, refuse
from attnscope_server.pulling.errors import AwayError, OverError
from attnscope_server.pulling.messages import (
    MOST_REPORTS,
    TOKEN_HEADER,
    Answer,
    Assignment,
    Beside,
    CommitState,
    Farewell,
    Offer,
    Reports,
    SentCommit,
    Told,
)
from attnscope_server.pulling.pace import Line, Pace
from attnscope_server.records.keys import KEY_PATTERN
from attnscope_server.settings import is_loopback
from attnscope_storage.writing.due import DueChunk

ANSWERED_WITHIN: Final = 20.0
"""Seconds for an answer, beyond those that a claim waits."""

NO_CONTENT: Final = 204


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
    pace
        The slowest that the service may be.

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
        pace: Pace | None = None,
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
        self._pace = pace or Pace()
        self._options: dict[str, Any] = {
            "base_url": url,
            "headers": {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
            "timeout": min(ANSWERED_WITHIN, self._pace.least),
            "trust_env": False,  # a proxy of the environment would get the key
            "verify": trust,
            "transport": transport,
        }
        self._mine = threading.local()
        self._lines: list[Line] = []

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines:
            line.client.close()

    def claim(self, offer: Offer) -> Assignment | None:
        """Wait for a job; None where none came.

        Raises
        ------
        AwayError, RefusedError
            The service does not answer, or refuses.
        """
        with self._answer("POST", "claim", content=offer.line, held=offer.wait) as answer:
            return None if answer.status_code == NO_CONTENT else read(Assignment, answer, self._pace.answer_bytes)

    def report(self, token: str, reports: Sequence[Told]) -> Answer:
        """Report about an attempt, and return the orders.

        Raises
        ------
        AwayError, RefusedError, OverError
            The service does not answer, refuses the key, or says that the attempt is over.
        """
        body = Reports(reports=tuple(reports[:MOST_REPORTS]))
        with self._answer("POST", "report", token, content=body.line) as answer:
            return read(Answer, answer, self._pace.answer_bytes)

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
            As `report`; `AwayError` too where the file comes too slowly, `OverError` too where `stopped()` became true
            on the way.
        """
        line, count = self._line, 0
        with self._answer("GET", path, token, ends=False) as answer:
            begun = line.clock()
            for piece in pieces(answer):
                if stopped():
                    raise OverError("it was told to stop")
                count += len(piece)
                if count > most:
                    raise ServiceError(f"{path} has more than the {most} bytes that are read here")
                if line.clock() - begun > self._pace.seconds(count):
                    raise AwayError(
                        f"the service sends {path} too slowly: {count} bytes in {line.clock() - begun:.0f} s"
                    )
                into.write(piece)

    def beside(self, token: str) -> Beside:
        """Return what the service's stores tell of the attempt's job before it begins."""
        with self._answer("GET", "beside", token) as answer:
            return read(Beside, answer, self._pace.answer_bytes)

    def committed(self, token: str, part: str | None = None) -> CommitState:
        """Return how much of the attempt's job, or of a store that it owns, is committed at the service."""
        with self._answer("GET", "commits", token, params=_of(part)) as answer:
            return read(CommitState, answer, self._pace.answer_bytes)

    def send(
        self, token: str, number: int, chunk: DueChunk, encoded: bytes, sha256: str, part: str | None = None
    ) -> None:
        """Send a chunk of the next commit."""
        about = {"array": chunk.spec.name, "chunk": ".".join(map(str, chunk.index)), "sha256": sha256} | _of(part)
        octets = {"Content-Type": "application/octet-stream"}
        path = f"commits/{number}/chunks"
        with self._answer("PUT", path, token, params=about, content=encoded, headers=octets):
            pass

    def commit(self, token: str, number: int, sent: SentCommit, part: str | None = None) -> CommitState:
        """Make the commit of the chunks that were sent."""
        with self._answer("POST", f"commits/{number}", token, params=_of(part), content=sent.line) as answer:
            return read(CommitState, answer, self._pace.answer_bytes)

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        held: float = 0.0,
        ends: bool = True,
        **options: Any,  # noqa: ANN401 - httpx's
    ) -> Iterator[httpx.Response]:
        """Send a request, and yield its answer.

        Parameters
        ----------
        held
            Seconds that the service was asked to hold its answer.
        ends
            True where the body is small: then it is cut off with the head, when the time of both is over.
        """
        line = self._line
        own = {"Content-Type": "application/json"} | ({} if token is None else {TOKEN_HEADER: token})
        headers, within = own | options.pop("headers", {}), self._options["timeout"] + held
        seconds = held + self._pace.seconds(len(options.get("content", b"")))
        traced = {"trace": line.note}
        address = f"/v1/worker/{path}"
        try:
            with (
                line.cut_after(seconds) as timer,
                line.client.stream(
                    method, address, headers=headers, timeout=within, extensions=traced, **options
                ) as answer,
            ):
                refuse(answer, attempt=token is not None, most=self._pace.answer_bytes)
                if not ends:
                    timer.cancel()
                yield answer
        except httpx.HTTPError as error:
            raise AwayError(f"the service does not answer: {type(error).__name__}") from error

    @property
    def _line(self) -> Line:
        """The client of this thread."""
        line: Line | None = getattr(self._mine, "line", None)
        if line is None:
            line = self._mine.line = Line(httpx.Client(**self._options))
            self._lines.append(line)
        return line


def _of(part: str | None) -> dict[str, str]:
    """Return the parameter that names an owned store; none where the job's own is meant."""
    return {} if part is None else {"part": part}
