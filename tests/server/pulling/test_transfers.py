"""Transfers from a service that stalls, trickles, sends too much or something else: each ends, with its reason."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from attnscope_server.errors import ServiceError
from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.errors import AwayError, OverError, RefusedError, UnservedError
from attnscope_server.pulling.messages import Farewell
from attnscope_server.pulling.pace import Pace
from attnscope_server.pulling.persisting import TRIES, until_answered

KEY = "ats_" + "0" * 16 + "_" + "x" * 43
SHORT = Pace(least=0.3, slowest=1e6, answer_bytes=1000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%s\r\n"
GOODBYE = Farewell(session="0" * 32, name="box")


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Return a function that starts a server on loopback and gives its address; it answers as it is told."""
    opened: list[socket.socket] = []
    done = threading.Event()

    def start(answer: Callable[[socket.socket], None]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        opened.append(listening)

        def serve() -> None:
            while not done.is_set():
                try:
                    peer, _ = listening.accept()
                    opened.append(peer)
                    peer.recv(65536)
                    answer(peer)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    done.set()
    for one in opened:
        one.close()


@pytest.fixture
def fetched(serving):
    """Return a function that fetches a file from a server that answers so."""

    def fetch(answer, most=2000) -> bytes:
        into = io.BytesIO()
        with closing(Connection(serving(answer), KEY, pace=SHORT)) as connection:
            connection.fetch("token", "checkpoints/c/config.json", into, most, lambda: False)
        return into.getvalue()

    return fetch


def trickling(before: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that begins, and then goes on a byte at a time for as long as anybody listens."""

    def answer(peer: socket.socket) -> None:
        peer.sendall(before)
        wait = threading.Event()
        while not wait.wait(0.02):
            peer.sendall(b"x")

    return answer


def test_a_file_arrives(fetched):
    """The server of these tests can also be honest."""
    assert fetched(lambda peer: peer.sendall(HEAD % (3, b"") + b"abc")) == b"abc"


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: None,
        lambda peer: peer.sendall(HEAD % (1000, b"") + b"half"),
        trickling(HEAD % (10**6, b"")),
        trickling(b"HTTP/1.1 200 OK\r\nServer: "),
    ],
    ids=["stalls", "stalls half-way", "trickles", "trickles its head"],
)
def test_a_file_that_does_not_come_is_given_up(fetched, answer):
    """No byte for long, or bytes one by one: the same request may succeed later."""
    with pytest.raises(AwayError):
        fetched(answer)


def test_a_file_that_is_larger_or_packed_is_refused(fetched):
    """Nobody asked for packed bytes, which could become any number."""
    with pytest.raises(ServiceError, match="more than the 10 bytes"):
        fetched(lambda peer: peer.sendall(HEAD % (50, b"") + b"x" * 50), most=10)
    with pytest.raises(RefusedError, match="compressed"):
        fetched(lambda peer: peer.sendall(HEAD % (3, b"Content-Encoding: gzip\r\n") + b"abc"))


@pytest.mark.parametrize("status", [b"200 OK", b"500 Sorry"])
def test_an_answer_that_is_a_message_is_small(serving, status):
    """Its size is bounded before it is read as one, that of a refusal too."""
    head = (HEAD % (5000, b"")).replace(b"200 OK", status)
    url = serving(lambda peer: peer.sendall(head + b"x" * 5000))
    with (
        closing(Connection(url, KEY, pace=SHORT)) as connection,
        pytest.raises(RefusedError, match="more than 1000 bytes"),
    ):
        connection.committed("token")


def test_a_message_that_trickles_is_given_up(serving):
    """Whoever says goodbye does not wait for an answer for ever."""
    url = serving(trickling(b"HTTP/1.1 503 "))
    with closing(Connection(url, KEY, pace=SHORT)) as connection, pytest.raises(AwayError):
        connection.end(GOODBYE)


class Waiting:
    """A reporter whose time passes while somebody waits."""

    patience, now = 120.0, 0.0

    def clock(self) -> float:
        """Return the time in seconds."""
        return self.now

    def wait_over(self, seconds=None) -> None:
        """Let time pass."""
        self.now += seconds


def away() -> None:
    """Answer as a service that gives no files."""
    raise AwayError("ReadTimeout")


def test_a_service_that_answers_reports_alone_is_asked_for_a_while_only():
    """The attempt has a reason to end; one that ends otherwise is not held up either."""
    reporter = Waiting()
    with pytest.raises(UnservedError, match="asked 122 times in 121 s: ReadTimeout"):
        until_answered(away, lambda: False, reporter)
    reporter = Waiting()
    reporter.patience = 0.0
    with pytest.raises(UnservedError, match=f"asked {TRIES} times"):
        until_answered(away, lambda: False, reporter)
    with pytest.raises(OverError):
        until_answered(away, lambda: True, reporter)
