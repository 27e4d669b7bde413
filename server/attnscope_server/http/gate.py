"""The checks of a request before any route sees it: its Host, its key, the length of its body.

Plain ASGI, so that nothing of a request is read, and no path is told from another, for somebody without a key.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from attnscope_server.http import problems as handlers
from attnscope_server.http.access import IDENTITY, KEY_WANTED
from attnscope_server.records.database import UNANSWERED
from attnscope_server.settings import Settings, is_loopback
from attnscope_storage.wire import Problem, ProblemCode, problem

OPEN: Final = frozenset({"/healthz", "/readyz"})
"""Paths that want no key."""

WORKER_PATHS: Final = "/v1/worker/"
"""Beginning of the paths that a worker's key opens; no other key opens them."""

CHUNK_PATHS: Final = re.compile(r"/v1/worker/commits/[0-9]+/chunks")
"""Paths whose body is a chunk; only a worker's key comes that far."""

ENTRANCE: Final = (
    "This is an attnscope service, and it wants an API key. To look at its captures in a browser, run `attnscope open` "
    "on the machine that holds the key."
)
"""Said at ``/``."""

_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")


class Gate:
    """Refuse what names another host, sends no valid key, or a body over the cap."""

    def __init__(self, app: ASGIApp, service: FastAPI, settings: Settings) -> None:
        self.app = app
        self._service = service
        self._body_bytes, self._chunk_bytes = settings.limits.body_bytes, settings.limits.chunk_bytes
        self._hosts = frozenset(host.lower() for host in (settings.host, *settings.allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # This service sets no cookie and reads none, but its framework parses them, in time that grows with the square
        # of a header's length. In place: who measures and audits holds the same scope.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
        headers = Headers(scope=scope)
        refused = self._host(headers) or await self._key(scope, headers) or self._body(scope, headers)
        if refused is None:
            await self.app(scope, receive, send)
        else:
            # Length and encoding together may hide a second request in the body: nothing more is read from that peer.
            ends = "transfer-encoding" in headers
            await handlers.answer(refused, {"Connection": "close"} if ends else None)(scope, receive, send)

    def _host(self, headers: Headers) -> Problem | None:
        """Refuse a foreign host: a web page that rebinds its name to loopback still sends that name."""
        named = headers.getlist("host")
        if len(named) == 1 and (
            "*" in self._hosts or host_of(named[0]) in self._hosts or is_loopback(host_of(named[0]))
        ):
            return None
        shown = ", ".join(named)[:100] or "none"
        detail = f"Host: {shown} is not this service's; the operator names further ones by --allowed-host"
        return problem(ProblemCode.INVALID_REQUEST, detail)

    async def _key(self, scope: Scope, headers: Headers) -> Problem | None:
        if scope["path"] in OPEN:
            return None
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return problem(ProblemCode.UNAUTHENTICATED, _wanted(scope["path"]))
        try:
            identity = await run_in_threadpool(self._service.state.service.keys.identify, key.strip())
        except UNANSWERED:
            return problem(ProblemCode.UNAVAILABLE, handlers.DATABASE_BUSY)
        if identity is None:
            return problem(ProblemCode.UNAUTHENTICATED, _wanted(scope["path"]))
        scope[IDENTITY] = identity
        if identity.of_worker and not scope["path"].startswith(WORKER_PATHS):
            return problem(ProblemCode.FORBIDDEN, "this is the key of a worker: it runs jobs, and opens nothing else")
        return None

    def _body(self, scope: Scope, headers: Headers) -> Problem | None:
        limit = self._chunk_bytes if CHUNK_PATHS.fullmatch(scope["path"]) is not None else self._body_bytes
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
            return problem(ProblemCode.INVALID_REQUEST, "send a Content-Length")
        if int(length) > limit:
            detail = f"the body has {length} bytes, {limit} are allowed"
            return problem(ProblemCode.TOO_LARGE, detail, limit=limit, requested=int(length))
        return None


def _wanted(path: str) -> str:
    """Return what somebody without a key is told; who opens the bare address in a browser is led to the page."""
    return ENTRANCE if path == "/" else KEY_WANTED


def host_of(header: str) -> str:
    """Return the name or address in a Host header, lower case, without port; empty where it is malformed."""
    found = _HOST.fullmatch(header)
    return "" if found is None else found[1].lower()
