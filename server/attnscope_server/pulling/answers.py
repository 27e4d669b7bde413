"""Answers of a service as a worker reads them: bounded, never unpacked, and refusals as the errors that they mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import httpx
from pydantic import ValidationError

from attnscope_server.pulling.errors import AwayError, OverError, RefusedError
from attnscope_server.pulling.messages import Answer, Assignment, Beside, CommitState
from attnscope_storage.wire import Problem, ProblemCode

MessageT = TypeVar("MessageT", Assignment, Answer, Beside, CommitState)

PASSING: Final = frozenset({ProblemCode.UNAVAILABLE, ProblemCode.INTERNAL, None})
"""Codes of a service's faults after which the same request may succeed."""

FORBIDDEN: Final = 403
GONE: Final = 410
TOO_MANY: Final = 429
SERVER_ERRORS: Final = 500


def pieces(answer: httpx.Response) -> Iterator[bytes]:
    """Yield a body as it comes.

    Raises
    ------
    RefusedError
        It is compressed, which nobody asked for: a few bytes could become any number.
    """
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError("the service sends a compressed answer, which nobody asked for")
    yield from answer.iter_raw()


def read(kind: type[MessageT], answer: httpx.Response, most: int) -> MessageT:
    """Return the message of an answer.

    Raises
    ------
    RefusedError
        It is none, or larger than any message.
    """
    try:
        return kind.model_validate_json(_small(answer, most))
    except ValidationError as error:
        raise RefusedError(f"the service's answer is not understood: {error.error_count()} fields") from error


def refuse(answer: httpx.Response, *, attempt: bool, most: int) -> None:
    """Raise the error that an answer means; nothing where it is no refusal.

    Parameters
    ----------
    attempt
        True where the request was about an attempt.
    most
        Bytes that are read of it, at most.
    """
    if answer.is_success:
        return
    status = answer.status_code
    try:
        document = Problem.model_validate_json(_small(answer, most))
    except ValidationError:
        document = None
    detail = f"status {status}" if document is None else document.detail[:500]
    if attempt and status in {FORBIDDEN, GONE}:
        raise OverError(detail)
    if status == TOO_MANY or (status >= SERVER_ERRORS and (document is None or document.code in PASSING)):
        raise AwayError(detail)
    raise RefusedError(f"the service refuses this worker: {detail}", document)


def _small(answer: httpx.Response, most: int) -> bytes:
    body = bytearray()
    for piece in pieces(answer):
        body += piece
        if len(body) > most:
            raise RefusedError(f"the service answers with more than {most} bytes")
    return bytes(body)
