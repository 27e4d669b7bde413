"""A bare client of the page's server: it says exactly what a test wants said, as a browser would or an intruder."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode

from attnscope.page.server import PageServer

PATIENCE = 180.0
"""Seconds until an answer is given up: on a busy machine the first replay starts slowly."""


@dataclass
class Answered:
    """An answer of the page server."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass
class Standing:
    """A page server in another process, by its port and the name of what it shows."""

    port: int
    name: str

    @property
    def subjects(self) -> dict[str, None]:
        """The one subject that its link names."""
        return {self.name: None}


class Browser:
    """Sends what a browser would, or what an intruder would."""

    def __init__(self, server: PageServer | Standing) -> None:
        self.server = server
        self.host = f"127.0.0.1:{server.port}"
        self.origin: str | None = f"http://{self.host}"
        self.cookie = ""
        self.token = ""

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Answered:
        """Send one request; headers of the call come before those of the browser, an empty one is left out."""
        usual = {"Host": self.host, "Cookie": self.cookie, "X-Attnscope-Page": self.token}
        if method == "POST":
            usual["Origin"] = self.origin or ""
        sent = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
        content = b"" if body is None else json.dumps(body).encode()
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)) as connection:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {**sent, "Content-Length": str(len(content))}.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(content)
            answer = connection.getresponse()
            return Answered(answer.status, dict(answer.getheaders()), answer.read())

    def enter(self, code: str, **headers: str) -> Answered:
        """Exchange a code, and keep what comes for it as a browser would."""
        answer = self.send("POST", "/session", {"code": code}, **headers)
        if answer.status == 200:
            self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
            self.token = answer.json()["token"]
        return answer

    def ask(self, path: str = "/api/about", headers: dict[str, str] | None = None, **asked: object) -> Answered:
        """Ask for a view of the server's first subject."""
        query = urlencode({"at": next(iter(self.server.subjects), ""), **asked})
        return self.send("GET", f"{path}?{query}", **(headers or {}))


def code_of(address: str) -> str:
    """Return the code of a link."""
    return address.partition("#code=")[2].partition("&")[0]
