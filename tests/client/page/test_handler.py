"""Whatever is sent to the page's port gets an answer in words or a closed connection, and never stops the page."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from queue import Queue

import pytest

from attnscope.page import server as server_module
from attnscope.page.assets import HEADERS
from attnscope.page.handler import FAILED, Handler
from attnscope.page.opening import served
from attnscope.page.subjects import Subject

PATIENCE = 30.0
"""Seconds until a test gives an answer up."""


def answer_to(port: int, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to these very bytes."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def request(page, line: str, *headers: str) -> bytes:
    """Return a request to the page's own host."""
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: 127.0.0.1:{page.port}", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET http://[::1/", [], 404),
        ("GET /api/about?at=%ff%00&&==", [], 401),
        ("POST /session", ["Content-Length: " + "9" * 5000], 400),
        ("POST /session", ["Content-Length: 3", "Content-Length: 4"], 400),
        ("POST /session", ["Content-Length: +3"], 400),
        ("BREW /", [], 501),
        ("GET /" + "a" * 70_000, [], 414),
        ("GET /", [f"X-{number}: 1" for number in range(200)], 431),
        ("GET / nonsense", [], 400),
    ],
)
def test_what_no_browser_sends_is_refused_in_words(page, line, headers, status, capfd):
    """With the headers of every answer, without a word of the request, and without an error in the terminal."""
    got, said, body = answer_to(page.port, request(page, line, *headers))
    if line != "GET / nonsense":  # of a request line that cannot be read, the version is unknown: no headers
        assert got == status
        assert {name: said.get(name) for name in HEADERS} == dict(HEADERS)
        assert set(json.loads(body)) == {"error"}
    assert b"<" not in body
    assert capfd.readouterr().err == ""


def test_a_proof_of_half_characters_is_refused(page, capfd):
    """JSON can spell halves of characters, which no encoding writes."""
    challenge = page.prover.answer("").challenge
    body = json.dumps({"challenge": challenge, "subject": "\ud800", "proof": "\ud800"})
    sent = request(page, "POST /again", f"Content-Length: {len(body)}") + body.encode()
    assert answer_to(page.port, sent)[0] == 403
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("said", [{}, {"subject": "/"}, {"challenge": "", "proof": "", "subject": "", "more": "x"}])
def test_a_message_of_another_shape_is_refused(page, said, capfd):
    """Fields that are missing or unknown prove nothing."""
    body = json.dumps(said)
    sent = request(page, "POST /again", f"Content-Length: {len(body)}") + body.encode()
    assert answer_to(page.port, sent)[0] == 403
    assert capfd.readouterr().err == ""


def test_an_unforeseen_error_is_answered_and_told_in_the_terminal(browser, page, planted, monkeypatch, capfd):
    """The browser learns that the view failed and nothing else; the page goes on."""
    subject = Subject.of_folder(planted(steps=20))
    page.show(subject)
    told, tell = Queue[None](), page.handle_error
    monkeypatch.setattr(page, "handle_error", lambda *of: told.put(tell(*of)))
    monkeypatch.setattr(subject, "about", lambda: 1 / len(""))
    answer = browser.ask(at=subject.name)
    assert (answer.status, answer.json(), answer.headers["Connection"]) == (500, {"error": FAILED}, "close")
    monkeypatch.setattr(subject, "about", lambda: {"horizon": float("nan")})
    assert browser.ask(at=subject.name).status == 500
    for _ in range(2):
        told.get(timeout=60)  # the terminal is told after the browser
    monkeypatch.undo()
    assert browser.ask(at=subject.name).status == 200
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_stranger_who_says_nothing_is_sent_away(page, monkeypatch):
    """A request that never ends holds its connection for some seconds alone."""
    monkeypatch.setattr(Handler, "timeout", 0.1)
    with closing(socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert connection.recv(1) == b""


def test_connections_are_bounded(monkeypatch, tmp_path):
    """One too many is closed at once; when another ends there is room again."""
    monkeypatch.setattr(server_module, "CONNECTIONS", 2)
    with served(None, Subject, folder=tmp_path) as server:
        there = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(2)]
        for connection in there:
            connection.sendall(request(server, "GET /proof?nonce=1"))
            assert connection.recv(1) == b"H"
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)) as third:
            assert third.recv(1) == b""
        for connection in there:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
            connection.close()
        assert server._room.acquire(timeout=PATIENCE), "a connection that ended gives its room back"
        server._room.release()
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)) as fourth:
            fourth.sendall(request(server, "GET /proof?nonce=1"))
            assert fourth.recv(1) == b"H"


def test_the_end_closes_every_connection(tmp_path):
    """A browser that holds one learns at once that nobody answers any more."""
    with served(None, Subject, folder=tmp_path) as server:
        held = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        held.sendall(request(server, "GET /nothing"))
        assert held.recv(65536).startswith(b"HTTP/1.1 404")
    with closing(held):  # an end that does not come is a timeout
        rest = b"".join(iter(lambda: held.recv(65536), b""))
    assert len(rest) < 65536
