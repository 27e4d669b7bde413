"""Connections of the service: their number, the size of a header, and the time that a request may take to arrive.

Uvicorn bounds none of the three. A peer that opens connections and sends nothing would hold a file descriptor each,
until the service can accept nobody and start no worker.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, cast

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from attnscope_server.limits import Limits
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE, ProblemCode, problem

log = structlog.get_logger("attnscope.http")

RETRY_AFTER: Final = 1
"""Seconds after which a refused peer may try again."""

ARRIVING: Final = 0.25
"""Seconds in which a new connection's request may be on its way: it does not give way yet."""

LINGER: Final = 1.0
"""Seconds in which a refused peer may read its answer; closing at once would reset the connection."""


def bounded_connections(limits: Limits) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP/1.1 protocol with the bounds of `limits`."""
    return cast("type[asyncio.Protocol]", type("LimitedConnection", (BoundedConnection,), {"limits": limits}))


class BoundedConnection(H11Protocol):
    """One connection. It ends when a request does not arrive in time, or when a newer one needs its place."""

    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._idle_since = self.loop.time()
        self._refused = False

    @property
    def idle(self) -> bool:
        """True where no request is under way or on its way."""
        waits = self.cycle is None or self.cycle.response_complete
        return waits and not self._refused and self.loop.time() - self._idle_since > ARRIVING

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; over the cap, the one that has been idle for longest gives way, else this one."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections and not self._make_room():
            self._refuse()
            return
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timer."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that has begun must be complete before its deadline."""
        if self._refused:
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state in {h11.DONE, h11.MUST_CLOSE}:
            self._cancel_deadline()
        elif self._deadline is None:
            self._expect_request()

    def on_response_complete(self) -> None:
        """Note since when the connection is idle; a body that nobody reads has its deadline too."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and self._deadline is None and not self.transport.is_closing():
            self._expect_request()

    def _make_room(self) -> bool:
        others = (other for other in self.connections if isinstance(other, BoundedConnection) and other is not self)
        idle = [other for other in others if other.idle and not other.transport.is_closing()]
        if not idle:
            return False
        # One that never sent a whole request goes first: a client keeps the others for its next request.
        longest = min(idle, key=lambda other: (other.cycle is not None, other._idle_since))  # noqa: SLF001
        longest.transport.abort()
        return True

    def _refuse(self) -> None:
        document = problem(
            ProblemCode.UNAVAILABLE,
            f"{self.limits.connections} connections are open already: try again soon",
            limit=self.limits.connections,
            requested=len(self.connections),
        )
        body = json.dumps(document.model_dump(mode="json", exclude_none=True)).encode()
        head = (
            f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {PROBLEM_MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: {RETRY_AFTER}\r\nConnection: close\r\n\r\n"
        )
        self._refused = True
        self.transport.write(head.encode() + body)
        if len(self.connections) > 2 * self.limits.connections:
            self.transport.close()
        else:
            self._deadline = self.loop.call_later(LINGER, self.transport.close)

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(self.limits.request_seconds, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        if self.transport.is_closing() or self.conn.their_state in {h11.DONE, h11.MUST_CLOSE}:
            return
        log.info("a request did not arrive in time", seconds=self.limits.request_seconds)
        self.transport.abort()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
