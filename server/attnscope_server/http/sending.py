"""Answers that leave piece by piece, so that a slow reader holds neither a worker nor more memory than is allowed."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnscope_server.http import problems as handlers
from attnscope_server.http.state import InFlight
from attnscope_server.limits import Limits

log = structlog.get_logger("attnscope.http")

PIECE: Final = 256 * 1024
"""Bytes handed to the connection at once."""

LARGE: Final = ("/v1/captures/", "/v1/checkpoints", "/v1/environments")
"""Paths of large answers whose size is not known before they are made; lists of jobs reserve theirs."""


class Sending:
    """Bodies on their way, counted in bytes; no further read begins while too many wait for slow readers."""

    def __init__(self, app: ASGIApp, limits: Limits, in_flight: InFlight) -> None:
        self.app = app
        self._limits = limits
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back in pieces."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith(LARGE) and self._in_flight.full:
            await handlers.answer(self._in_flight.refused())(scope, receive, send)
            return
        stalled = False

        async def paced(message: Message) -> None:
            nonlocal stalled
            body = message.get("body", b"")
            if stalled or message["type"] != "http.response.body" or len(body) <= PIECE:
                if not stalled:
                    await send(message)
                return
            stalled = not await self._in_pieces(message, send)

        await self.app(scope, receive, paced)

    async def _in_pieces(self, message: Message, send: Send) -> bool:
        """Send a body; return False where its reader takes nothing for too long, and is left."""
        view = memoryview(message["body"])
        more = message.get("more_body", False)
        try:
            with self._in_flight.hold(len(view)):
                for first in range(0, len(view), PIECE):
                    last = first + PIECE >= len(view)
                    piece = {"type": message["type"], "body": bytes(view[first : first + PIECE])}
                    async with asyncio.timeout(self._limits.reader_seconds):
                        await send({**piece, "more_body": more or not last})
        except TimeoutError:
            log.warning("a reader took nothing for too long", seconds=self._limits.reader_seconds)
            return False
        return True
