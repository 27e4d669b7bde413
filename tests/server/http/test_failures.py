"""One table gives every error its code, in an answer, in a failed job and in a replay."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from attnscope_model.errors import CheckpointError, CheckpointUnreadableError, ReplayDiffersError
from attnscope_model.strategies import StrategyError
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.errors import refusal
from attnscope_server.failures import CODES, problem_of
from attnscope_server.http import problems
from attnscope_storage.errors import CaptureNotFoundError, ChunkLostError, StorageFullError
from attnscope_storage.wire import PROBLEMS, ProblemCode

WAYS = [
    (CheckpointError, ProblemCode.CHECKPOINT_UNREADABLE),
    (CheckpointUnreadableError, ProblemCode.CHECKPOINT_UNREADABLE),
    (ChunkLostError, ProblemCode.CHUNK_LOST),
    (CaptureNotFoundError, ProblemCode.NOT_COMMITTED),
    (NotReproducibleError, ProblemCode.NOT_REPRODUCIBLE),
    (ReplayDiffersError, ProblemCode.REPLAY_DIFFERS),
    (StorageFullError, ProblemCode.STORAGE_FULL),
    (StrategyError, ProblemCode.INVALID_REQUEST),
    (MemoryError, ProblemCode.OUT_OF_MEMORY),
    (KeyError, ProblemCode.INTERNAL),
]


async def answer_to(error: Exception) -> httpx.Response:
    """Return what an app with the service's handlers answers where a route raises this error."""
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def fails() -> None:
        raise error

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get("/")


@pytest.mark.parametrize(("kind", "code"), WAYS)
def test_an_error_has_one_code_wherever_it_is_raised(kind, code):
    """An answer and the problem of a failed job or a replay have the same code and status."""
    error = kind("words that explain")
    document = problem_of(error, where="in the worker", reduce="ask for less")
    answered = asyncio.run(answer_to(error)).json()
    assert document.code is code
    assert (answered["type"], answered["status"]) == (document.type, PROBLEMS[code][0])
    if kind in CODES:
        assert "words that explain" in document.detail
        assert "words that explain" in answered["detail"]


def test_a_refusal_keeps_its_own_problem():
    """Its limit and what was asked are not lost on the way through a worker."""
    error = refusal(ProblemCode.TOO_LARGE, "too long", limit=1, requested=2)
    assert problem_of(error, where="in the worker", reduce="") == error.problem
