"""Every error answer as a problem document."""

from __future__ import annotations

import math
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from attnscope_server.errors import ProblemError
from attnscope_server.failures import CODES, problem_of
from attnscope_server.records.database import UNANSWERED
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE, Problem, ProblemCode, problem
from attnscope_storage.wire.wording import wrong_fields

log = structlog.get_logger("attnscope.http")

DATABASE_BUSY = "the job database is busy or cannot be written; try again"

RETRY_AFTER = "1"
"""Seconds after which a client may try again what is not available now."""

MEMORY = "memory ran out while this was answered; ask for less"

MAX_FIELDS = 5
"""Wrong fields that an answer names."""

BY_STATUS = {
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.TOO_LARGE,
    415: ProblemCode.UNSUPPORTED_MEDIA_TYPE,
    416: ProblemCode.RANGE_NOT_SATISFIABLE,
}
"""Codes of the framework's own refusals."""


def answer(document: Problem, headers: dict[str, str] | None = None) -> Response:
    """Return a problem as a response."""
    extra = dict(headers or {})
    if document.status == 401:  # noqa: PLR2004 - Unauthorized
        extra["WWW-Authenticate"] = "Bearer"
    if document.status == 503 and document.retryable:  # noqa: PLR2004 - Service Unavailable
        extra.setdefault("Retry-After", RETRY_AFTER)
    content = document.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, document.status, headers=extra, media_type=PROBLEM_MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    @app.exception_handler(ProblemError)
    async def _refused(request: Request, error: ProblemError) -> Response:
        return answer(error.problem.model_copy(update={"instance": request.url.path}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        items = error.errors()
        found = "; ".join(wrong_fields(items)[:MAX_FIELDS])
        limit, requested = _cap(items[0])
        refused = problem(ProblemCode.INVALID_REQUEST, found, limit=limit, requested=requested)
        return answer(refused.model_copy(update={"instance": request.url.path}))

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> Response:
        code = BY_STATUS.get(error.status_code, ProblemCode.INVALID_REQUEST)
        document = problem(code, str(error.detail), instance=request.url.path)
        return answer(document, dict(error.headers or {}))

    async def _known(request: Request, error: Exception) -> Response:
        document = problem_of(error, where="in the service", reduce=MEMORY)
        return answer(document.model_copy(update={"instance": request.url.path}))

    for kind in (*CODES, MemoryError):
        app.add_exception_handler(kind, _known)

    async def _busy(request: Request, error: Exception) -> Response:
        log.warning("the job database did not answer", detail=str(error))
        return answer(problem(ProblemCode.UNAVAILABLE, DATABASE_BUSY, instance=request.url.path))

    for unanswered in UNANSWERED:
        app.add_exception_handler(unanswered, _busy)

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> Response:
        log.error("a request failed", path=request.url.path, exc_info=error)
        detail = f"{type(error).__name__}; the service's log has the rest"
        return answer(problem(ProblemCode.INTERNAL, detail, instance=request.url.path))


def _cap(item: Any) -> tuple[float | None, float | None]:  # noqa: ANN401 - pydantic's description of an error
    """Return the cap that a field exceeds and the value that was asked for; None where the error is another."""
    context, given = item.get("ctx") or {}, item.get("input")
    for name in ("max_length", "le", "lt"):
        if isinstance(context.get(name), int | float):
            size = context.get("actual_length", len(given) if isinstance(given, str | list) else given)
            return context[name], size if isinstance(size, int | float) and math.isfinite(size) else None
    return None, None
