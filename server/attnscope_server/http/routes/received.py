"""Routes by which a worker that does not reach the stores sends its commits, and reads what its job needs of them.

They want the token of the attempt. The service writes every document itself, and believes no chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from attnscope_server.errors import refusal
from attnscope_server.http.access import Service, WorkerKey, json_only, problems
from attnscope_server.http.reading import ReadApart
from attnscope_server.http.routes.workers import Held
from attnscope_server.http.state import State
from attnscope_server.pulling.messages import Beside, CommitState, SentCommit
from attnscope_server.pulling.receiving import owned_names
from attnscope_server.records.job import StoredJob
from attnscope_storage.errors import CaptureNotFoundError, ChunkRefusedError
from attnscope_storage.layout.keys import MAX_KEY_LENGTH
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.wire import ProblemCode
from attnscope_storage.wire.parts import child_id

router = APIRouter(tags=["workers"], prefix="/worker", route_class=ReadApart)

OVER = problems(
    ProblemCode.CONFLICT,
    ProblemCode.GONE,
    ProblemCode.TOO_LARGE,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE,
    ProblemCode.STORAGE_FULL,
)
BYTES = "application/octet-stream"

Number = Annotated[int, Path(ge=0, le=2**53, description="Entries that the commit leaves committed; 0 makes a store.")]
PartName = Annotated[
    str | None, Query(max_length=200, description="Store that the job owns; by default the job's own store is meant.")
]


@router.get("/commits", responses=OVER)
def get_commits(job: Held, state: Service, _identity: WorkerKey, part: PartName = None) -> CommitState:
    """Say how much of the job, or of a store that it owns, is committed, so that a worker goes on from there."""
    if part is not None and part not in owned_names(job):
        raise refusal(ProblemCode.FORBIDDEN, "the job of this attempt owns no such store")
    try:
        reader = state.captures.open(job.id if part is None else child_id(job.id, part))
    except CaptureNotFoundError:
        return CommitState()
    with refused_as_conflict():
        return CommitState(
            steps=reader.steps_committed,
            complete=reader.complete,
            bytes_written=int(reader.attributes.get("bytes_written", 0)),
            part=_due(state, job, part),
        )


@router.get("/beside", responses=OVER)
def get_beside(job: Held, state: Service, _identity: WorkerKey) -> Beside:
    """Say which stores the job owns by now, and what else its worker would read out of the folder of stores."""
    parts = tuple(name for name in owned_names(job) if state.captures.path(child_id(job.id, name)).exists())
    others = (one for one in state.jobs.stored_of(job.owner, job.kind) if one != job.id) if owned_names(job) else ()
    return Beside(parts=parts, earlier=state.arrivals.earlier(job, others))


@router.put(
    "/commits/{number}/chunks",
    status_code=204,
    responses=OVER,
    openapi_extra={"requestBody": {"required": True, "content": {BYTES: {}}}},
)
async def put_chunk(
    number: Number,
    request: Request,
    job: Held,
    state: Service,
    _identity: WorkerKey,
    array: Annotated[str, Query(max_length=MAX_KEY_LENGTH)],
    chunk: Annotated[str, Query(max_length=200, pattern=r"^(0|[1-9][0-9]{0,17})(\.(0|[1-9][0-9]{0,17}))*$")],
    sha256: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
    part: PartName = None,
) -> None:
    """Take a chunk of the next commit; it has no name before the commit is made."""
    if request.headers.get("content-type") != BYTES:
        raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, f"expected {BYTES}")
    length = int(request.headers.get("content-length", "0"))  # the gate has seen to it that it is a number
    index = tuple(map(int, chunk.split(".")))
    with state.arriving.reserve(length):
        encoded = await request.body()
        await run_in_threadpool(_take, state, job, part, number, array, index, encoded, sha256)


def _take(
    state: State,
    job: StoredJob,
    part: str | None,
    number: int,
    array: str,
    index: tuple[int, ...],
    encoded: bytes,
    sha256: str,
) -> None:
    with refused_as_conflict(), state.arrivals.store(job, part) as store:
        spec = store.schema.arrays.get(array)
        decoded = 0 if spec is None else math.prod(spec.chunks) * np.dtype(spec.dtype).itemsize
        with state.arriving.reserve(decoded):
            store.take(number, array, index, encoded, sha256)


@router.post("/commits/{number}", responses=OVER, dependencies=[Depends(json_only)])
def post_commit(
    number: Number, sent: SentCommit, job: Held, state: Service, _identity: WorkerKey, part: PartName = None
) -> CommitState:
    """Make the next commit of chunks that were sent; the same again changes nothing."""
    if number == 0 and sent.provenance is None:
        raise refusal(ProblemCode.INVALID_REQUEST, "the commit that makes a store has a provenance")
    with refused_as_conflict(), state.arrivals.store(job, part) as store:
        attributes = None if sent.provenance is None else state.arrivals.attributes(job, sent.provenance, part)
        if number != store.steps:
            _refuse_early(state, job, part)
        store.commit(number, sent.chunks, attributes)
        if sent.complete:
            _refuse_early(state, job, part)
            store.declare_complete()
        written, due = store.bytes_written, _due(state, job, part)
        return CommitState(steps=store.steps, complete=store.complete, bytes_written=written, part=due)


@contextmanager
def refused_as_conflict() -> Iterator[None]:
    """Answer a chunk or a commit that is not the next one with a conflict."""
    try:
        yield
    except ChunkRefusedError as error:
        raise refusal(ProblemCode.CONFLICT, error.message) from error


def _due(state: State, job: StoredJob, part: str | None) -> str | None:
    """Return the name of the owned store that the job's next commit waits for; None for an owned store."""
    due = None if part is not None else state.arrivals.due(job)
    return None if due is None else due.name


def _refuse_early(state: State, job: StoredJob, part: str | None) -> None:
    """Refuse a commit of a job's own store before the owned store that it follows from is complete."""
    if (due := _due(state, job, part)) is not None:
        raise ChunkRefusedError(f"the next commit follows from {due}, which is not complete")


@router.get(
    "/stores/{store}/{key:path}",
    response_class=Response,
    responses=OVER
    | problems(ProblemCode.NOT_FOUND, ProblemCode.CHUNK_LOST)
    | {200: {"description": "A document or a chunk", "content": {BYTES: {}}}},
)
def get_stored(store: UUID, key: str, job: Held, state: Service, _identity: WorkerKey) -> Response:
    """Return the root document or a committed chunk of the job's own stores, or of the one that it reads."""
    own = {str(job.id), *(str(child_id(job.id, name)) for name in owned_names(job))}
    if str(store) not in {*own, getattr(job.resolved, "capture_store", None)}:
        raise refusal(ProblemCode.FORBIDDEN, "the job of this attempt reads no such store")
    try:
        reader = state.captures.open(store)
    except CaptureNotFoundError as error:
        raise refusal(ProblemCode.NOT_FOUND, "nothing is committed there") from error
    if key == ROOT_KEY:
        return Response(reader.root.stored, media_type=BYTES)
    return Response(reader.chunk_bytes(key), media_type=BYTES)
