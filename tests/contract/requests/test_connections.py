"""Connections of hostile peers: bounded in number and in time, and no good client is kept out by them."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

import attnscope
from attnscope_server.limits import Limits

CAP = 12
"""Connections that the service of these tests keeps open."""


@pytest.fixture
def narrow(second_service):
    """Return a service with few connections and short patience."""
    with second_service(limits=Limits(connections=CAP, request_seconds=1.0, header_bytes=4096)) as running:
        yield running


def opened(running, count: int, stack: contextlib.ExitStack, sent: bytes = b"") -> list[socket.socket]:
    """Open connections that send `sent` and then nothing."""
    place = urlsplit(running.url)
    found = []
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=30))
        if sent:
            connection.sendall(sent)
        found.append(connection)
    return found


def ended(connection: socket.socket) -> bool:
    """Wait for the peer to end a connection; return whether it did before our time-out."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def test_idle_connections_give_way_to_a_client(narrow):
    """Five times as many silent connections as the cap keep no client out, which tries again where it is told to."""
    with contextlib.ExitStack() as stack:
        opened(narrow, 5 * CAP, stack)
        with attnscope.connect(narrow.url, narrow.key) as service:
            assert list(service.jobs()) == []


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["silent", "half a header", "half a body"],
)
def test_a_request_that_does_not_arrive_ends_its_connection(narrow, sent):
    """Silence, half a header and half a body are each left after the deadline."""
    with contextlib.ExitStack() as stack:
        (connection,) = opened(narrow, 1, stack, sent)
        assert ended(connection)


def test_a_header_over_its_cap_is_refused(narrow):
    """The service does not collect a header without end."""
    with contextlib.ExitStack() as stack:
        (connection,) = opened(narrow, 1, stack, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert ended(connection)


def test_busy_connections_are_not_ended_for_newer_ones(narrow):
    """While every connection is in the middle of a request, a further one is told to come back."""
    key = narrow.key
    answered: list[int] = []

    def poll() -> None:
        with httpx.Client(timeout=30, headers={"Authorization": f"Bearer {key}"}) as http:
            answered.append(http.get(narrow.url + "/v1/jobs").status_code)

    threads = [threading.Thread(target=poll) for _ in range(2 * CAP - 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answered) <= {200, 503}
    assert 200 in answered


def test_length_and_encoding_together_end_the_connection(narrow):
    """Nothing that follows such a request is read as another one."""
    smuggled = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {narrow.key}\r\n"
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        (connection,) = opened(narrow, 1, stack, smuggled.encode())
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                received += part
        assert received.count(b"HTTP/1.1 ") <= 1
        assert b"200 OK" not in received
