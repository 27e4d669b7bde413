"""The audit log: one line for every write and every refusal, with the key's id. No key is ever written.

Of a job that a worker runs its claim has a line, and whatever is refused; its reports and commits would fill the log.
"""

from __future__ import annotations

import re
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnscope_server.http.access import IDENTITY
from attnscope_server.records.keys import Identity

log = structlog.get_logger("attnscope.audit")

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

FAILED: Final = 400
"""Least status of a request that was not answered as it was meant."""

REFUSALS: Final = frozenset({401, 403, 429})
"""Statuses of a request that was refused because of who sent it."""

ROUTINE: Final = re.compile(r"/v1/worker/(?:report|commits/[0-9]+(?:/chunks)?)")
"""Paths of what a worker says and sends again and again of a job whose claim has its line."""

MAX_PATH: Final = 200
"""Characters of a path in a line."""


class Audited:
    """Log who wrote, what was refused, and how it was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it once its answer has begun."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note(scope, int(message["status"]))
            await send(message)

        await self.app(scope, receive, noted)


def _note(scope: Scope, status: int) -> None:
    if scope["method"] in READS and status not in REFUSALS:
        return
    if status < FAILED and ROUTINE.fullmatch(scope["path"]) is not None:
        return
    found = scope.get(IDENTITY)
    identity = found if isinstance(found, Identity) else None
    log.info(
        "refused" if status in REFUSALS else "write",
        method=scope["method"][:20],
        path=scope["path"][:MAX_PATH].encode("ascii", "backslashreplace").decode(),
        status=status,
        key=None if identity is None else identity.key_id,
        owner=None if identity is None else identity.owner,
        client=scope["client"][0] if scope.get("client") else None,
    )
