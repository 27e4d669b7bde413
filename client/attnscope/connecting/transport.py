"""HTTP with the service: the key, retries, limits on what is read, problems turned into errors.

No answer is trusted: bodies are read up to a stated size, compressed transfer is neither asked for nor accepted, and
redirects are never followed, so a key cannot end up at another origin. Knows no route.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Final, Self

import httpx
from pydantic_core import from_json

from attnscope.connecting.channel import CONNECT_SECONDS, READ_SECONDS, new_client
from attnscope.connecting.connection import Connection
from attnscope.connecting.copies import keep_key, key_again, renew_in_children
from attnscope.connecting.plain import plain, plain_values
from attnscope.connecting.responses import Response
from attnscope.connecting.retry import SAFE_METHODS, Backoff, may_repeat
from attnscope.connecting.sockets import Sockets
from attnscope.errors import ConnectionFailedError, UnexpectedAnswerError, error_of
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE, Problem

JSON_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a JSON answer, at most."""

PROBLEM_BYTES: Final = 64 * 1024
"""Bytes of an error answer that are read."""

Parameters = Sequence[tuple[str, str]]
"""Query parameters, in order."""


_OPEN: Final[weakref.WeakSet[Transport]] = weakref.WeakSet()
"""Transports of this process."""


def close_all() -> None:
    """Close every transport, as a program does that is stopped: no thread then waits for an answer."""
    for one in list(_OPEN):
        one.close()


class Transport:
    """Requests to one service; may be used from several threads.

    A transport that nobody closed closes itself when nothing uses it any more, as the copy that came out of a pickle.

    Parameters
    ----------
    connection
        Address and key.
    backoff
        How often and after which waits a request is repeated where that is safe.
    sleep
        Waits so many seconds; tests pass their own. None waits until the transport is closed, at most.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.connection = connection
        self._backoff = backoff or Backoff()
        self._closed = Event()
        self._sleep = sleep
        self._client, self._sockets = new_client(connection), Sockets()
        self._closing = weakref.finalize(self, self._client.close)
        self._of_parent: list[httpx.Client] = []
        keep_key(connection)
        renew_in_children(self)
        _OPEN.add(self)

    def renew(self) -> None:
        """Begin without connections, as a forked child must: the parent's would carry the answers of both."""
        self._of_parent.append(self._client)  # kept, so that nothing in the child closes it
        self._closing.detach()
        self._client, self._sockets, self._closed = new_client(self.connection), Sockets(), Event()
        self._closing = weakref.finalize(self, self._client.close)

    def __reduce__(self) -> tuple[Callable[[str, str], Transport], tuple[str, str]]:
        """Pickle the address alone; the copy connects anew, with the key that `key_again` finds there."""
        return _reconnected, (self.connection.url, self.connection.source)

    def close(self) -> None:
        """Close every connection; threads that wait for an answer are told at once that none comes."""
        self._closed.set()
        self._sockets.end()
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = JSON_BYTES,
        patience: float = 0.0,
        repeatable: bool | None = None,
    ) -> Response:
        """Send a request, again where that is safe, and return its answer.

        Parameters
        ----------
        limit
            Bytes of the body, at most.
        patience
            Seconds that the service was asked to hold its answer.
        repeatable
            Whether sending twice changes nothing; by the method where None.

        Raises
        ------
        ConnectionFailedError
            No answer came, after every attempt that was safe.
        ServiceError
            The service refused; the subclass says why.
        UnexpectedAnswerError
            The answer redirects, is compressed, or exceeds `limit`.
        """
        built = self._client.build_request(
            method,
            path,
            params=httpx.QueryParams(list(parameters)) if parameters else None,
            content=content,
            headers=headers,
        )
        built.extensions["timeout"] = httpx.Timeout(READ_SECONDS + patience, connect=CONNECT_SECONDS).as_dict()
        built.extensions["trace"] = self._sockets.note
        twice = method in SAFE_METHODS if repeatable is None else repeatable
        waits = self._backoff.waits()
        while True:
            wait = next(waits, None)
            try:
                return self._send_once(built, limit)
            except _TryAgainError as again:
                if wait is None or self._closed.is_set() or not (twice or again.unprocessed):
                    raise again.reason from again.reason.__cause__
                (self._sleep or self._closed.wait)(self._backoff.obey(again.retry_after, wait))

    def _send_once(self, request: httpx.Request, limit: int) -> Response:
        if self._closed.is_set():
            raise ConnectionFailedError(f"the connection to {self.connection.url} was closed: connect again")
        try:
            response = self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _TryAgainError(self._unreachable(error), unprocessed=True) from error
        except httpx.TransportError as error:
            raise _TryAgainError(self._unreachable(error), unprocessed=False) from error
        try:
            return self._read(request, response, limit)
        except httpx.TransportError as error:
            raise _TryAgainError(self._unreachable(error), unprocessed=False) from error
        finally:
            response.close()

    def _read(self, request: httpx.Request, response: httpx.Response, limit: int) -> Response:
        if response.has_redirect_location:
            raise UnexpectedAnswerError(
                f"{self.connection.url} redirects to {response.headers['location']!r}; redirects are not followed, so "
                "that the key stays where it belongs: connect to the final address"
            )
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return Response(response.status_code, response.headers, _body(response, limit))
        self._refuse(request, response)
        raise AssertionError  # _refuse always raises

    def _refuse(self, request: httpx.Request, response: httpx.Response) -> None:
        """Raise what an error answer means."""
        problem = _problem(response)
        error: Exception
        if problem is not None:
            if response.status_code == httpx.codes.UNAUTHORIZED and not self.connection.api_key:
                problem = problem.model_copy(update={"detail": f"{problem.detail} (no API key was sent)"})
            error = error_of(problem)
        else:
            error = UnexpectedAnswerError(
                f"{request.method} {request.url.path} of {self.connection.url} answered {response.status_code} "
                f"{plain(response.reason_phrase)} without a problem document; is this an attnscope service?"
            )
        refused = problem is not None and problem.retryable
        if may_repeat(request.method, response.status_code, refused_unprocessed=refused):
            raise _TryAgainError(error, unprocessed=refused, retry_after=response.headers.get("retry-after"))
        raise error

    def _unreachable(self, error: httpx.TransportError) -> ConnectionFailedError:
        reason = str(error) or type(error).__name__
        return ConnectionFailedError(
            f"no answer from {self.connection.url} ({self.connection.source}): {reason}; is the service running?"
        )


def _reconnected(url: str, source: str) -> Transport:
    """Return a transport to the address that another process connected to."""
    return Transport(Connection(url, key_again(url), source))


class _TryAgainError(Exception):
    """A sending failed in a way that another may not."""

    def __init__(self, reason: Exception, *, unprocessed: bool, retry_after: str | None = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.unprocessed = unprocessed
        """True where the service surely did nothing."""
        self.retry_after = retry_after


def _body(response: httpx.Response, limit: int) -> bytes:
    """Return the body as sent, refusing one that is larger than `limit` before holding it."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UnexpectedAnswerError("the service compressed an answer although it was asked not to")
    announced = response.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise UnexpectedAnswerError(f"the service announced {announced} bytes where at most {limit} can be right")
    parts: list[bytes] = []
    size = 0
    for part in response.iter_raw():
        size += len(part)
        if size > limit:
            raise UnexpectedAnswerError(f"the service sent more than the {limit} bytes that can be right")
        parts.append(part)
    return b"".join(parts)


def _problem(response: httpx.Response) -> Problem | None:
    if not response.headers.get("content-type", "").startswith(PROBLEM_MEDIA_TYPE):
        return None
    try:
        return Problem.model_validate(plain_values(from_json(_body(response, PROBLEM_BYTES))))
    except (ValueError, UnexpectedAnswerError):
        return None
