"""The identity and the rights of a caller, which every route but health asks for.

The gate (`attnscope_server.http.gate`) finds out whose key was sent before anything else of a request is read; the
dependencies here ask what that key may do. A route that names none of them still lets nobody in without a key.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from attnscope_server.errors import ProblemError, RecordUnreadableError, refusal
from attnscope_server.http.parts import part_of_job
from attnscope_server.http.state import State
from attnscope_server.records.job import StoredJob
from attnscope_server.records.keys import Identity, Scope
from attnscope_storage.wire import PROBLEM_MEDIA_TYPE, PROBLEMS, Problem, ProblemCode

BEARER = HTTPBearer(auto_error=False, description="An API key: Authorization: Bearer ats_…")
IDENTITY: Final = "attnscope.identity"
"""Entry of the ASGI scope in which the gate leaves the owner of the key."""

KEY_WANTED: Final = "send a valid API key as Authorization: Bearer …"


def service_state(request: Request) -> State:
    """Return the state that the app holds."""
    state: State = request.app.state.service
    return state


def identified(wanted: SecurityScopes, request: Request, _documented: Annotated[object, Security(BEARER)]) -> Identity:
    """Return the owner of the key that was sent, if the key has every scope that the route needs."""
    identity = request.scope.get(IDENTITY)
    if not isinstance(identity, Identity):
        raise refusal(ProblemCode.UNAUTHENTICATED, KEY_WANTED)
    for scope in wanted.scopes:
        if not identity.may(Scope(scope)):
            raise refusal(ProblemCode.FORBIDDEN, f"this key lacks the scope {scope}")
    return identity


Service = Annotated[State, Depends(service_state)]
JobsReader = Annotated[Identity, Security(identified, scopes=[Scope.JOBS_READ.value])]
JobsWriter = Annotated[Identity, Security(identified, scopes=[Scope.JOBS_WRITE.value])]
DataReader = Annotated[Identity, Security(identified, scopes=[Scope.DATA_READ.value])]
Admin = Annotated[Identity, Security(identified, scopes=[Scope.ADMIN.value])]
WorkerKey = Annotated[Identity, Security(identified, scopes=[Scope.WORKER.value])]


def json_only(request: Request) -> None:
    """Refuse a request whose media type is not JSON, so that no form of a web page can submit one."""
    if not is_json(request):
        detail = f"expected application/json, got {_content_type(request)[:100] or 'no content type'}"
        raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail)


def is_json(request: Request) -> bool:
    """Return True where the media type is JSON."""
    return _content_type(request) == "application/json"


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def owned(state: State, identity: Identity, name: UUID) -> StoredJob:
    """Return this owner's job of that name; another owner's job is unknown, like one that never existed.

    Inside the service a job is found by its ``id``, which is not always its name.
    """
    try:
        stored = state.jobs.find(identity.owner, name)
    except RecordUnreadableError:
        placed(state, identity, name)  # a deleted one is gone, whatever its record holds
        raise
    if stored is None:
        _refuse_part(state, identity, name)
        raise refusal(ProblemCode.NOT_FOUND, f"there is no job {name}")
    if stored.deleted_at is not None:
        raise _gone(name)
    return stored


def placed(state: State, identity: Identity, name: UUID) -> UUID:
    """Return the id inside the service of this owner's job, also where its record cannot be read."""
    found = state.jobs.named(identity.owner, name)
    if found is None:
        _refuse_part(state, identity, name)
        raise refusal(ProblemCode.NOT_FOUND, f"there is no job {name}")
    job, deleted = found
    if deleted:
        raise _gone(name)
    return job


def _refuse_part(state: State, identity: Identity, name: UUID) -> None:
    """Refuse a request that is only for whole jobs, where the name is that of a part."""
    part = part_of_job(state, identity.owner, name)
    if part is not None:
        detail = f"{name} is {part.label}, a part of job {part.of.name}: it is kept, cancelled and deleted with it"
        raise refusal(ProblemCode.CONFLICT, detail)


def _gone(name: UUID) -> ProblemError:
    return refusal(ProblemCode.GONE, f"job {name} was deleted or had expired; its id stays reserved")


def readable(state: State, identity: Identity, name: UUID) -> StoredJob:
    """Return this owner's job of that name, or a part of one of this owner's jobs, as a job."""
    part = part_of_job(state, identity.owner, name) if state.jobs.named(identity.owner, name) is None else None
    return owned(state, identity, name) if part is None else part.job


def problems(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Return the documented error answers of a route; those of every route are added."""
    every = (
        ProblemCode.INVALID_REQUEST,
        ProblemCode.UNAUTHENTICATED,
        ProblemCode.FORBIDDEN,
        ProblemCode.TOO_LARGE,
        ProblemCode.TOO_MANY_REQUESTS,
        ProblemCode.UNAVAILABLE,
    )
    described: dict[int | str, dict[str, Any]] = {}
    for code in (*every, *codes):
        status, title, _ = PROBLEMS[code]
        described[status] = {"description": title, "model": Problem, "content": {PROBLEM_MEDIA_TYPE: {}}}
    return described
