"""The page's server: the standard library's, on loopback, with a fixed list of routes and one gate before them.

It logs nothing, follows no address that a browser names, and hands out neither the service's key nor its address.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from attnscope.connecting.plain import plain, plain_values
from attnscope.errors import BusyError, ConfigurationError, ConnectionFailedError
from attnscope.page.answers import QUESTIONS
from attnscope.page.entry import TOKEN_HEADER, Entry, is_own_host, is_own_origin
from attnscope.page.frames import Frame
from attnscope.page.links import LinkFiles
from attnscope.page.running import Link, Prover
from attnscope.page.subjects import Subject
from attnscope_storage.errors import AttnscopeError

BODY_BYTES: Final = 4096
"""Bytes of a request's body, at most."""

IDLE_SECONDS: Final = 75.0
"""Seconds that a connection may be silent."""

CONNECTIONS: Final = 64
"""Connections at a time; further ones are closed at once."""

MODULES: Final = ("main", "session", "state", "api", "paint", "colours", "band", "heads", "words", "axes", "taking")
"""The page's modules, files of this package."""

ASSETS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "/": ("page.html", "text/html; charset=utf-8"),
        "/page.css": ("page.css", "text/css; charset=utf-8"),
        **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in MODULES},
    }
)
"""Files by path, with their media types: all that is served without a session, and none holds a word of a capture."""

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
    }
)
"""Headers of every answer."""

ENTER_FIRST: Final = "this browser has no access yet, or its link was used or is too old: run `attnscope open` again"


def asset(path: str) -> bytes:
    """Return a file of the page, by its path."""
    return files("attnscope.page").joinpath("static", ASSETS[path][0]).read_bytes()


class PageServer(ThreadingHTTPServer):
    """One page server, listening on loopback.

    Parameters
    ----------
    port
        0 takes a free one.
    open_subject
        Returns the subject that a second ``attnscope open`` names; called for a proven client alone.
    folder
        Of the files that lead a browser to a link.
    """

    daemon_threads = True
    block_on_close = False  # a held answer about news must not delay Ctrl-C
    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that somebody else listens on

    def __init__(self, port: int, open_subject: Callable[[str], Subject], folder: Path) -> None:
        self.entry = Entry()
        self.secret = secrets.token_hex(32)
        self.prover = Prover(self.secret)
        self.links = LinkFiles(folder)
        self.subjects: dict[str, Subject] = {}
        self._open_subject = open_subject
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        try:
            super().__init__(("127.0.0.1", port), Handler)
        except OSError as error:
            raise ConfigurationError(f"port {port} cannot be used ({error.strerror}); leave --port out") from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def show(self, subject: Subject) -> Link:
        """Take a subject among those that may be asked about, and return a link that shows it once."""
        self.subjects[subject.name] = subject
        address = f"http://127.0.0.1:{self.port}/#code={self.entry.new_code()}&at={subject.name}"
        return Link(address, self.links.write(address))

    def show_named(self, name: str) -> Link:
        """Open what a second ``attnscope open`` names, and return a link to it."""
        return self.show(self._open_subject(name))

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """Give a connection a thread, if there is room."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Serve a connection, and give its room back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Say nothing of a browser that went away; any other error is told as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser, or of a second ``attnscope open``."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server_version, sys_version = "attnscope", ""

    def log_message(self, *_: object) -> None:
        """Log nothing: addresses hold what a reader looks at."""

    def do_GET(self) -> None:
        """Answer with a file of the page, a proof, or a view."""
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        if not is_own_host(self._one("Host")):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is served on loopback names alone")
        elif parts.path in ASSETS:
            self._send(HTTPStatus.OK, asset(parts.path), ASSETS[parts.path][1])
        elif parts.path == "/proof":
            self._say(self.server.prover.answer(asked.get("nonce", "")))
        elif parts.path not in QUESTIONS:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        elif not self._admitted():
            self._refuse(HTTPStatus.UNAUTHORIZED, ENTER_FIRST)
        else:
            self._view(parts.path, asked)

    def do_POST(self) -> None:
        """Exchange a code for a session, or open a further subject for a proven client."""
        body = self._body()
        if body is None:
            self._refuse(HTTPStatus.BAD_REQUEST, "expected a small JSON object of texts")
        elif not is_own_host(self._one("Host")):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is served on loopback names alone")
        elif self.path == "/session":
            self._begin_session(body)
        elif self.path == "/again":
            self._open_again(body)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _one(self, name: str) -> str | None:
        """Return a header that was sent once; None where it is missing or was sent twice."""
        sent: list[str] = self.headers.get_all(name, [])
        return sent[0] if len(sent) == 1 else None

    def _admitted(self) -> bool:
        token, cookies = self._one(TOKEN_HEADER) or "", "; ".join(self.headers.get_all("Cookie", []))
        return is_own_origin(self.headers, required=False) and self.server.entry.admits(cookies, token)

    def _begin_session(self, body: Mapping[str, str]) -> None:
        own = is_own_origin(self.headers, required=True)
        session = self.server.entry.exchange(body.get("code", "")) if own else None
        if session is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, ENTER_FIRST)
            return
        cookie = f"{self.server.entry.cookie_name}={session.cookie}; Path=/; HttpOnly; SameSite=Strict"
        self._say({"token": session.token}, {"Set-Cookie": cookie})

    def _open_again(self, body: Mapping[str, str]) -> None:
        if self.headers.get("Origin") is not None or not self.server.prover.believes(body):
            self._refuse(HTTPStatus.FORBIDDEN, "only `attnscope open` of the same user may ask this")
            return
        self._answer(lambda: self._say(self.server.show_named(body.get("subject", "")).told()))

    def _view(self, path: str, asked: Mapping[str, str]) -> None:
        subject = self.server.subjects.get(asked.get("at", ""))
        if subject is None:
            self._refuse(
                HTTPStatus.NOT_FOUND, "this page server has not opened that capture: run `attnscope open` again"
            )
            return
        self._answer(lambda: self._say(QUESTIONS[path](subject, asked)))

    def _answer(self, work: Callable[[], None]) -> None:
        """Do the work; an error that attnscope explains becomes an answer that says it."""
        try:
            work()
        except (ConnectionFailedError, BusyError) as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.message)
        except AttnscopeError as error:
            known = HTTPStatus.NOT_FOUND if isinstance(error, LookupError) else HTTPStatus.BAD_GATEWAY
            self._refuse(HTTPStatus.BAD_REQUEST if isinstance(error, ValueError) else known, error.message)

    def _body(self) -> dict[str, str] | None:
        """Return the body as JSON texts by name; None where it is anything else."""
        length = self._one("Content-Length") or ""
        if (
            not (length.isascii() and length.isdecimal())
            or int(length) > BODY_BYTES
            or self.headers["Transfer-Encoding"]
        ):
            self.close_connection = True  # what follows on this connection cannot be told from the body
            return None
        try:
            said = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return None
        texts = isinstance(said, dict) and all(isinstance(one, str) for one in said.values())
        return said if texts else None

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, json.dumps({"error": plain(why)}).encode(), "application/json")

    def _say(self, answer: dict[str, Any] | Frame, more: Mapping[str, str] | None = None) -> None:
        if isinstance(answer, Frame):
            self._send(HTTPStatus.OK, answer.encode(), "application/octet-stream", more)
        else:
            text = json.dumps(plain_values(answer), allow_nan=False)
            self._send(HTTPStatus.OK, text.encode(), "application/json", more)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **(more or {}), "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
