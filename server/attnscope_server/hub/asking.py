"""Requests to the Hub: no token, no cookie, no compression, few redirects, and an end to every wait."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Timer
from typing import Final
from urllib.parse import urljoin, urlsplit

from attnscope_server.errors import HubRefusedError
from attnscope_server.hub.addresses import PORT, Connect

ENDPOINT: Final = "https://huggingface.co"
"""The Hub. No setting and no environment variable names another."""

REDIRECTS: Final = 5
"""Redirects of one request, at most."""

BLOCK_BYTES: Final = 2**18
"""Bytes that are read at once."""

SLOWEST: Final = 50_000
"""Bytes a second below which a body is given up, after `LEAST_SECONDS`."""

LEAST_SECONDS: Final = 60.0
"""Time that every answer's head is given, and every body."""

_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_WORDS: Final[Mapping[int, str]] = {
    401: "it is private, gated or not there, and no token is ever sent",
    403: "it is private or gated, and no token is ever sent",
    404: "there is no such repository, commit or file",
    429: "the Hub asks to come back later",
}


@dataclass(frozen=True)
class Answered:
    """An answer whose body is still to be read."""

    body: HTTPResponse
    url: str
    commit: str | None
    """The commit that the Hub itself named on the way."""


class Hub:
    """The Hub, as one operator's verb sees it.

    Parameters
    ----------
    connect
        Gives the connection to a host.
    clock
        Seconds that only rise.
    least
        Seconds that a head, and a body, are given.
    """

    def __init__(
        self, connect: Connect, clock: Callable[[], float] = time.monotonic, least: float = LEAST_SECONDS
    ) -> None:
        self._connect, self._clock, self._least = connect, clock, least

    @contextmanager
    def asked(self, path: str, size: int) -> Iterator[Answered]:
        """Ask for a path of the Hub, and follow its redirects to public addresses.

        Each connection is cut off when its time is over, also one whose bytes come one by one.

        Parameters
        ----------
        path
            What is asked for.
        size
            Bytes of its body, at most.

        Raises
        ------
        HubRefusedError
            The answer is no file, leads too far or elsewhere than over TLS, or no connection stands.
        """
        url, commit = ENDPOINT + path, None
        for _ in range(REDIRECTS + 1):
            connection = self._opened(url)
            try:
                _send(connection, url)
                end = self._least + self._seconds(size)
                with _cut_after(end, connection.sock), closing(_answer(connection, url)) as response:
                    if url.startswith(ENDPOINT + "/"):
                        commit = response.headers.get("X-Repo-Commit") or commit
                    if response.status in _MOVED:
                        url = _moved(url, response.headers.get("Location"))
                        continue
                    if response.status != 200:  # noqa: PLR2004 - OK
                        why = _WORDS.get(response.status, f"it answers with status {response.status}")
                        raise HubRefusedError(f"{path}: {why}")
                    yield Answered(response, url, commit)
            finally:
                connection.close()
            return
        raise HubRefusedError(f"{path}: more than {REDIRECTS} redirects")

    def blocks(self, answer: Answered, size: int) -> Iterator[bytes]:
        """Yield a body of at most `size` bytes; a longer one, or one that hardly moves, is given up.

        Raises
        ------
        HubRefusedError
            It is longer, too slow, or breaks off.
        """
        end = self._clock() + self._seconds(size)
        read = 0
        try:
            while block := answer.body.read1(BLOCK_BYTES):
                read += len(block)
                if read > size:
                    raise HubRefusedError(f"{_place(answer.url)} sends more than the {size} bytes that were announced")
                if self._clock() > end:
                    raise HubRefusedError(f"{_place(answer.url)} sent {read} of {size} bytes, too slowly: given up")
                yield block
        except (OSError, HTTPException) as error:
            raise HubRefusedError(f"{_place(answer.url)} broke off after {read} bytes: {error!r:.200}") from error

    def _opened(self, url: str) -> HTTPConnection:
        parts = urlsplit(url)
        try:
            odd = parts.scheme != "https" or parts.username is not None or parts.port not in (None, PORT)
        except ValueError:
            odd = True
        if odd or not parts.hostname:
            raise HubRefusedError(f"expected an address https://HOST/… without user and port, got {url[:120]!r}")
        return self._connect(parts.hostname)

    def _seconds(self, size: int) -> float:
        """Return the time that a body of so many bytes is given."""
        return max(self._least, size / SLOWEST)


def _send(connection: HTTPConnection, url: str) -> None:
    """Connect, and send a request without anything that says who asks."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", target, headers={"User-Agent": "attnscope", "Accept-Encoding": "identity"})
    except (OSError, HTTPException, ValueError) as error:
        raise HubRefusedError(f"{_place(url)} does not answer: {error!r:.200}") from error


def _answer(connection: HTTPConnection, url: str) -> HTTPResponse:
    """Return the answer after its head was read."""
    try:
        response = connection.getresponse()
    except (OSError, HTTPException, ValueError) as error:
        raise HubRefusedError(f"{_place(url)} does not answer: {error!r:.200}") from error
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise HubRefusedError(f"{_place(url)} sends a compressed body, which nobody asked for")
    return response


@contextmanager
def _cut_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """Cut a connection off after so many seconds: what waits for its bytes goes on without them."""

    def cut() -> None:
        with suppress(OSError):  # it ended by itself
            connected.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _moved(url: str, where: str | None) -> str:
    """Return the address that an answer leads to."""
    if where is None:
        raise HubRefusedError(f"{_place(url)} does not answer: it leads elsewhere and does not say where")
    try:
        return urljoin(url, where)
    except ValueError as error:
        raise HubRefusedError(f"{_place(url)} leads to {where[:120]!r}, which is no address: {error}") from error


def _place(url: str) -> str:
    """Return an address without its query, which may hold a signature."""
    return url.partition("?")[0][:200]
