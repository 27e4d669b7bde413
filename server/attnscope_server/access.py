"""Who is asking, and whether they may: the dependencies that every route but health stands behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from attnscope_server.errors import refusal
from attnscope_server.jobs import StoredJob
from attnscope_server.keys import Identity, Scope
from attnscope_server.state import State
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE, PROBLEMS, Problem, ProblemCode

_BEARER = HTTPBearer(auto_error=False, description="An API key: Authorization: Bearer ats_…")


def service_state(request: Request) -> State:
    """Return what the app holds."""
    state: State = request.app.state.service
    return state


def allowed(scope: Scope) -> Callable[..., Identity]:
    """Return the dependency that lets a key with `scope` pass."""

    def check(
        state: Annotated[State, Depends(service_state)],
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Identity:
        identity = state.keys.identify(sent.credentials) if sent is not None else None
        if identity is None:
            raise refusal(ProblemCode.UNAUTHENTICATED, "send a valid API key as Authorization: Bearer …")
        if not identity.may(scope):
            raise refusal(ProblemCode.FORBIDDEN, f"this key lacks the scope {scope.value}")
        return identity

    return check


Service = Annotated[State, Depends(service_state)]
JobsReader = Annotated[Identity, Depends(allowed(Scope.JOBS_READ))]
JobsWriter = Annotated[Identity, Depends(allowed(Scope.JOBS_WRITE))]
DataReader = Annotated[Identity, Depends(allowed(Scope.DATA_READ))]


def json_only(request: Request) -> None:
    """Refuse a body that does not say it is JSON, so that no web page's form can submit one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, f"expected application/json, got {kind or 'no content type'}")


def owned(state: State, identity: Identity, job: Any) -> StoredJob:  # noqa: ANN401 - a UUID
    """Return a job of this owner; another's is as unknown as one that never was."""
    stored = state.jobs.get(job)
    if stored is None or stored.owner != identity.owner:
        raise refusal(ProblemCode.NOT_FOUND, f"there is no job {job}")
    if stored.deleted_at is not None:
        raise refusal(ProblemCode.GONE, f"job {job} was deleted; its id stays reserved")
    return stored


def problems(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Return the documented error answers of a route; those of every route are added."""
    every = (ProblemCode.INVALID_REQUEST, ProblemCode.UNAUTHENTICATED, ProblemCode.FORBIDDEN, ProblemCode.UNAVAILABLE)
    described: dict[int | str, dict[str, Any]] = {}
    for code in (*every, *codes):
        status, title, _ = PROBLEMS[code]
        described[status] = {"description": title, "model": Problem, "content": {PROBLEM_MEDIA_TYPE: {}}}
    return described
