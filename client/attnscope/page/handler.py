"""One connection of the page's server: a gate before a fixed list of routes, and answers that always say why.

It logs nothing, follows no address that a browser names, and hands out neither the service's key nor its address.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl

from attnscope.connecting.plain import plain, plain_values
from attnscope.errors import BusyError, ConnectionFailedError
from attnscope.page.answers import QUESTIONS, Answer
from attnscope.page.assets import ASSETS, HEADERS, asset
from attnscope.page.entry import TOKEN_HEADER, Entry, is_own_host, is_own_origin
from attnscope.page.frames import Frame
from attnscope.page.running import AGAIN, LINK, PROVEN, Link, Proven, Prover
from attnscope.page.subjects import Subject
from attnscope_storage.errors import AttnscopeError

BODY_BYTES: Final = 4096
"""Bytes of a request's body, at most."""

IDLE_SECONDS: Final = 75.0
"""Seconds that a connection of a session may be silent."""

STRANGER_SECONDS: Final = 10.0
"""Seconds that any other connection may be silent."""

API: Final = "/api/"
"""Begins the path of every question."""

JOBS: Final = "/api/jobs"
"""Path of the question about no capture of its own."""

_LENGTH: Final = re.compile("[0-9]{1,4}")

FAILED: Final = "the program that serves this page failed at this view; its terminal says why"

NO_REQUEST: Final = "expected a request as the page makes it"

ENTER_FIRST: Final = "this browser has no access yet, or its link was used or is too old: run `attnscope open` again"


def encoded(answer: Answer | Proven | Link) -> tuple[bytes, str]:
    """Return an answer's bytes and media type; a browser's texts have no characters that move or turn other text."""
    match answer:
        case Frame():
            return answer.encode(), "application/octet-stream"
        case Proven():
            return PROVEN.dump_json(answer), "application/json"
        case Link():
            return LINK.dump_json(answer), "application/json"
        case _:
            return json.dumps(plain_values(answer), allow_nan=False).encode(), "application/json"


class Shows(ThreadingHTTPServer):
    """The server as its connections use it: who may enter, and the subjects that may be asked about."""

    entry: Entry
    prover: Prover

    @abstractmethod
    def show_named(self, name: str) -> Link:
        """Open the subject that a second ``attnscope open`` names, and return a link to it."""

    @abstractmethod
    def subject(self, name: str) -> Subject:
        """Return the subject of a name."""

    @abstractmethod
    def list_jobs(self, seen: str) -> Answer:
        """Return the jobs that can be looked at, once they differ from those that were seen."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser, or of a second ``attnscope open``."""

    server: Shows
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = STRANGER_SECONDS
    server_version, sys_version = "attnscope", ""

    def log_message(self, *_: object) -> None:
        """Log nothing: addresses hold what a reader looks at."""

    def do_GET(self) -> None:
        """Answer with a file of the page, a proof, or a view."""
        path, _, query = self.path.partition("?")
        asked = dict(parse_qsl(query))
        if not is_own_host(self._one("Host")):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is served on loopback names alone")
        elif path in ASSETS:
            self._send(HTTPStatus.OK, asset(path), ASSETS[path][1])
        elif path == "/proof":
            self._send(HTTPStatus.OK, *encoded(self.server.prover.answer(asked.get("nonce", ""))))
        elif path != JOBS and path.removeprefix(API) not in QUESTIONS:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        elif not self._admitted():
            self._refuse(HTTPStatus.UNAUTHORIZED, ENTER_FIRST)
        else:
            self.connection.settimeout(IDLE_SECONDS)
            self._answer(lambda: self._asked(path, asked))

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
        own, token = is_own_origin(self.headers, required=False), self._one(TOKEN_HEADER) or ""
        return own and self.server.entry.admits(self._cookies(), token)

    def _cookies(self) -> str:
        return "; ".join(self.headers.get_all("Cookie", []))

    def _begin_session(self, body: Mapping[str, str]) -> None:
        own = is_own_origin(self.headers, required=True)
        session = self.server.entry.exchange(body.get("code", ""), self._cookies()) if own else None
        if session is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, ENTER_FIRST)
            return
        cookie = f"{self.server.entry.cookie_name}={session.cookie}; Path=/; HttpOnly; SameSite=Strict"
        self._send(HTTPStatus.OK, *encoded({"token": session.token}), {"Set-Cookie": cookie})

    def _open_again(self, body: Mapping[str, str]) -> None:
        again = AGAIN.validate_python(body)
        if self.headers.get("Origin") is not None or not self.server.prover.believes(again):
            self._refuse(HTTPStatus.FORBIDDEN, "only `attnscope open` of the same user may ask this")
            return
        self._answer(lambda: self.server.show_named(again.subject))

    def _asked(self, path: str, asked: Mapping[str, str]) -> Answer:
        """Return the answer to a question, about the jobs or about one capture."""
        if path == JOBS:
            return self.server.list_jobs(asked.get("seen", ""))
        return QUESTIONS[path.removeprefix(API)](self.server.subject(asked.get("at", "")), asked)

    def _answer(self, work: Callable[[], Answer | Link]) -> None:
        """Answer with what the work returns, or with its error's reason; of an unforeseen error the terminal tells."""
        try:
            content, kind = encoded(work())
        except (ConnectionFailedError, BusyError) as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.message)
        except AttnscopeError as error:
            known = HTTPStatus.NOT_FOUND if isinstance(error, LookupError) else HTTPStatus.BAD_GATEWAY
            self._refuse(HTTPStatus.BAD_REQUEST if isinstance(error, ValueError) else known, error.message)
        except Exception:
            self.close_connection = True
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)
            raise
        else:
            self._send(HTTPStatus.OK, content, kind)

    def _body(self) -> dict[str, str] | None:
        """Return the body as JSON texts by name; None where it is anything else."""
        length = self._one("Content-Length") or ""
        counted = _LENGTH.fullmatch(length) is not None and int(length) <= BODY_BYTES
        if not counted or self.headers["Transfer-Encoding"]:
            self.close_connection = True  # what follows on this connection cannot be told from the body
            return None
        try:
            said = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return None
        texts = isinstance(said, dict) and all(isinstance(one, str) for one in said.values())
        return said if texts else None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of the page, as every other refusal and without a word of it."""
        del message, explain
        self.close_connection = True
        self._refuse(HTTPStatus(code), NO_REQUEST)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, json.dumps({"error": plain(why)}).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **(more or {}), "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
