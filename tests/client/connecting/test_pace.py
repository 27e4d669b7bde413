"""Answers that come byte by byte: each ends, and one that only comes slowly does not."""

from __future__ import annotations

import itertools
import socket
import threading

import httpx
import pytest

from attnscope.connecting import transport as module
from attnscope.connecting.connection import Connection
from attnscope.connecting.pace import SLOWEST, Paced
from attnscope.connecting.retry import Backoff
from attnscope.connecting.transport import Transport
from attnscope.errors import ConnectionFailedError

LONG = 60.0
"""Seconds after which a request that was to end is given up."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


class Trickle:
    """A stream of which so many bytes arrive in a read, each read after so many seconds of a clock of its own."""

    def __init__(self, size: int, seconds: float) -> None:
        self.size, self.seconds, self.now = size, seconds, 0.0
        self.waited: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes."""
        self.waited.append(timeout)
        self.now += self.seconds
        return bytes(min(max_bytes, self.size))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send nothing."""


def test_an_answer_that_trickles_ends():
    """A byte in five seconds resets no limit; the next request on the same connection has all of its time."""
    stream = Trickle(1, 5.0)
    paced = Paced(stream, lambda: stream.now)
    for _ in range(2):
        paced.write(b"GET / HTTP/1.1")
        assert [len(paced.read(65536, 60.0)) for _ in range(13)] == 13 * [1]
        with pytest.raises(httpx.ReadTimeout, match="comes too slowly: 13 bytes in 65 s"):
            paced.read(65536, 60.0)
    assert min(stream.waited) < 60.0  # a last read waits no longer than the answer may take


def test_an_answer_that_is_only_slow_comes_whole():
    """At twice the slowest pace it may take an hour."""
    stream = Trickle(2 * round(SLOWEST), 1.0)
    paced = Paced(stream, lambda: stream.now)
    paced.write(b"GET / HTTP/1.1")
    assert sum(len(paced.read(65536, 60.0)) for _ in range(3600)) == 7200 * SLOWEST


def test_a_read_without_a_limit_has_none():
    """Whoever asks for no limit gets none."""
    stream = Trickle(1, 1000.0)
    paced = Paced(stream, lambda: stream.now)
    assert [len(paced.read(10, None)) for _ in range(3)] == [1, 1, 1]


@pytest.fixture
def dripping():
    """Return a function that serves an answer whose bytes come one by one for ever after a beginning."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(beginning: bytes) -> str:
            def answer() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(beginning)
                    for letter in itertools.cycle(b"x"):
                        if ended.wait(0.05):
                            return
                        try:
                            connection.sendall(bytes([letter]))
                        except OSError:
                            return

            threading.Thread(target=answer, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield serve
        ended.set()


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nX-Long: ", HEAD], ids=["head", "body"])
def test_a_service_that_answers_byte_by_byte_is_given_up(dripping, monkeypatch, beginning):
    """Over a real socket, in the head and in the body; no read ever waits as long as it may."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.5)
    told = []

    def ask() -> None:
        with (
            Transport(Connection(dripping(beginning), "a-key", "a test"), backoff=Backoff(attempts=1)) as transport,
            pytest.raises(ConnectionFailedError, match="no answer from"),
        ):
            transport.request("GET", "/v1/jobs")
        told.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(LONG)
    assert told == [True]
