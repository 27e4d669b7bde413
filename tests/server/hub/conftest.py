"""A stand-in of the Hub on loopback, and connections that lead to it instead of the Hub and its store."""

from __future__ import annotations

from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from attnscope_server.hub import addresses
from hub_stand_in import HOSTS, StandIn


@pytest.fixture(scope="session")
def _server():
    """Serve whatever stand-in is set, until the tests end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            now = server.now
            now.asked.append((self.headers["Host"], self.path, dict(self.headers)))
            status, header, body = now.answer(self.headers["Host"], self.path)
            self.send_response(status)
            if self.path in now.silent:
                self.flush_headers()
                self.rfile.read(1)
                return
            for name, value in ({"Content-Length": str(len(body))} | header).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def stand_in(_server):
    """Return a fresh repository that the server shows."""
    _server.now = StandIn()
    return _server.now


@pytest.fixture
def connect(_server, stand_in):  # noqa: ARG001 - what is connected to
    """Return connections to the stand-in for the hosts that it plays, and in earnest for any other."""

    class Named(HTTPConnection):
        def __init__(self, host):
            super().__init__("127.0.0.1", _server.server_port, timeout=20)
            self.named = host

        def putheader(self, header, *values):
            super().putheader(header, *((self.named,) if header == "Host" else values))

    return lambda host: Named(host) if host in HOSTS else addresses.public_connection(host)
