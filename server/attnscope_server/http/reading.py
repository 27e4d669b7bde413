"""Bodies are parsed and checked on a thread of the pool: a megabyte that is wrong everywhere does not hold the loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Security
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from starlette.concurrency import run_in_threadpool

from attnscope_server.errors import refusal
from attnscope_server.http.access import identified, is_json, service_state
from attnscope_storage.wire import ProblemCode


def refuse_many_lists(content: bytes, limit: int) -> None:
    """Refuse a body of very many lists before it is read.

    The parser is one call that lets no other thread run, and each list costs it a hundred times a number's time.

    Raises
    ------
    ProblemError
        too-large, with the lists and objects that the body may have.
    """
    lists = content.count(b"[") + content.count(b"{")
    if lists > limit:
        detail = f"the body has {lists} lists and objects, {limit} are allowed"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=lists)


class ReadApart(APIRoute):
    """A route whose body arrives on the event loop, and is read as JSON and as its type beside it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler; what it is given is checked already."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        scopes = self._scopes()

        async def read_first(request: Request) -> Response:
            identified(scopes, request, None)  # a key that may not write learns nothing of its body
            content = await request.body()
            if content and is_json(request):  # anything else is refused by its content type
                refuse_many_lists(content, service_state(request).settings.limits.body_lists)
                request._json = await run_in_threadpool(self._read, content)  # noqa: SLF001 - where starlette keeps it
            return await handle(request)

        return read_first

    def _scopes(self) -> SecurityScopes:
        """Return the scopes that the route asks a key for."""
        hints = get_type_hints(self.endpoint, include_extras=True).values()
        marks = [mark for hint in hints for mark in getattr(hint, "__metadata__", ())]
        return SecurityScopes([scope for mark in marks if isinstance(mark, Security) for scope in mark.scopes or ()])

    def _read(self, content: bytes) -> Any:  # noqa: ANN401 - of the body's type
        """Return a body as what the route takes.

        Raises
        ------
        RequestValidationError
            It is no JSON, or not of that type.
        """
        assert self.body_field is not None  # noqa: S101 - else nothing is read
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            wrong = {"type": "json_invalid", "loc": ("body",), "msg": "", "ctx": {"error": str(error)[:200]}}
            raise RequestValidationError([wrong]) from error
        read, errors = self.body_field.validate(value, loc=("body",))
        if errors:
            raise RequestValidationError(errors)
        return read
