"""Admission to the page: loopback names, the page's own origin, codes that work once, sessions of two halves.

Pure rules over headers. A session has two halves, because a browser sends cookies to every port of a host and keeps
page storage to one port: a server on another port learns the cookie at most, a script that is injected the token.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Final

CODE_SECONDS: Final = 60.0
"""Seconds in which a code can be exchanged."""

MOST_SESSIONS: Final = 32
"""Sessions at a time; the oldest ends when another begins."""

TOKEN_HEADER: Final = "X-Attnscope-Page"  # noqa: S105 - the name of a header
"""Header that carries the page's half of a session."""

_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def is_own_host(host: str | None) -> bool:
    """Return whether a Host header means loopback; a name that was bound to it by a foreign DNS does not."""
    return host is not None and _LOOPBACK.fullmatch(host) is not None


def is_own_origin(headers: Message[str, str], *, required: bool) -> bool:
    """Return whether a request comes from the page itself, port included.

    Parameters
    ----------
    headers
        Of the request; names are looked up as HTTP does.
    required
        Whether the request must say its origin, as every POST of a browser does.
    """
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return not required
    return origin.lower() == f"http://{headers.get('Host', '')}".lower()


@dataclass(frozen=True)
class Session:
    """One browser's right to read, in two halves."""

    cookie: str
    """Sent by the browser itself; no script can read it."""
    token: str
    """Kept by the page, sent as a header; no other port can read it."""


class Entry:
    """Codes and sessions of one page server; may be used from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: dict[str, float] = {}
        self._sessions: dict[str, str] = {}
        self._lock = threading.Lock()
        self.cookie_name = f"attnscope-{secrets.token_hex(4)}"
        """Name of the cookie: another page server of the same host has another."""

    def new_code(self) -> str:
        """Return a code that can be exchanged once, within `CODE_SECONDS`."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = self._clock() + CODE_SECONDS
        return code

    def exchange(self, code: str, cookies: str = "") -> Session | None:
        """Return a session for a code; None where it is unknown, used or too old.

        A browser that has a session keeps it: another cookie would end the session of its other tabs.

        Parameters
        ----------
        cookies
            The Cookie header as it was sent.
        """
        held = self._cookie_in(cookies)
        with self._lock:
            until = self._codes.pop(code, None)
            if until is None or self._clock() > until:
                return None
            if held in self._sessions:
                return Session(held, self._sessions[held])
            made = Session(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
            self._sessions[made.cookie] = made.token
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            return made

    def admits(self, cookies: str, token: str) -> bool:
        """Return whether a Cookie header and a token are the two halves of one session.

        Parameters
        ----------
        cookies
            The header as it was sent: ``name=value; name=value``.
        token
            What `TOKEN_HEADER` held.
        """
        with self._lock:
            expected = self._sessions.get(self._cookie_in(cookies))
        return expected is not None and hmac.compare_digest(expected.encode(), token.encode())

    def _cookie_in(self, cookies: str) -> str:
        """Return this server's cookie of a Cookie header; empty where there is none."""
        pairs = (part.strip().partition("=") for part in cookies.split(";"))
        return next((value for name, _, value in pairs if name == self.cookie_name), "")
