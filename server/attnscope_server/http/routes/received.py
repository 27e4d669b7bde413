"""Routes by which a worker that does not reach the stores sends its commits, and reads what its job needs of them.

They want the token of the attempt. The service writes every document itself, and believes no chunk.
"""

from __future__ import annotations

import math
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
from attnscope_server.pulling.messages import CommitState, SentCommit
from attnscope_server.records.job import StoredJob
from attnscope_storage.errors import CaptureNotFoundError, ChunkRefusedError
from attnscope_storage.layout.keys import MAX_KEY_LENGTH
from attnscope_storage.layout.root import ROOT_KEY
from attnscope_storage.wire import ProblemCode
from attnscope_storage.writing.received import ReceivedStore

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


@router.get("/commits", responses=OVER)
def get_commits(job: Held, state: Service, _identity: WorkerKey) -> CommitState:
    """Say how much of the job is committed, so that a worker goes on from there."""
    try:
        reader = state.captures.open(job.id)
    except CaptureNotFoundError:
        return CommitState()
    written = int(reader.attributes.get("bytes_written", 0))
    return CommitState(steps=reader.steps_committed, complete=reader.complete, bytes_written=written)


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
) -> None:
    """Take a chunk of the next commit; it has no name before the commit is made."""
    if request.headers.get("content-type") != BYTES:
        raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, f"expected {BYTES}")
    length = int(request.headers.get("content-length", "0"))  # the gate has seen to it that it is a number
    index = tuple(map(int, chunk.split(".")))
    with state.arriving.reserve(length):
        encoded = await request.body()
        await run_in_threadpool(_take, state, job, number, array, index, encoded, sha256)


def _take(
    state: State, job: StoredJob, number: int, array: str, index: tuple[int, ...], encoded: bytes, sha256: str
) -> None:
    with state.arrivals.store(job) as store:
        spec = store.schema.arrays.get(array)
        decoded = 0 if spec is None else math.prod(spec.chunks) * np.dtype(spec.dtype).itemsize
        try:
            with state.arriving.reserve(decoded):
                store.take(number, array, index, encoded, sha256)
        except ChunkRefusedError as error:
            raise refusal(ProblemCode.CONFLICT, error.message) from error


@router.post("/commits/{number}", responses=OVER, dependencies=[Depends(json_only)])
def post_commit(number: Number, sent: SentCommit, job: Held, state: Service, _identity: WorkerKey) -> CommitState:
    """Make the next commit of chunks that were sent; the same again changes nothing."""
    attributes = None if sent.provenance is None else state.arrivals.attributes(job, sent.provenance)
    if number == 0 and attributes is None:
        raise refusal(ProblemCode.INVALID_REQUEST, "the commit that makes a store has a provenance")
    with state.arrivals.store(job) as store:
        try:
            store.commit(number, sent.chunks, attributes)
            if sent.complete:
                store.declare_complete()
        except ChunkRefusedError as error:
            raise refusal(ProblemCode.CONFLICT, error.message) from error
        return _state(store)


def _state(store: ReceivedStore) -> CommitState:
    return CommitState(steps=store.steps, complete=store.complete, bytes_written=store.bytes_written)


@router.get(
    "/stores/{store}/{key:path}",
    response_class=Response,
    responses=OVER
    | problems(ProblemCode.NOT_FOUND, ProblemCode.CHUNK_LOST)
    | {200: {"description": "A document or a chunk", "content": {BYTES: {}}}},
)
def get_stored(store: UUID, key: str, job: Held, state: Service, _identity: WorkerKey) -> Response:
    """Return the root document or a committed chunk of the job's own store, or of the one that it reads."""
    if str(store) not in {str(job.id), getattr(job.resolved, "capture_store", None)}:
        raise refusal(ProblemCode.FORBIDDEN, "the job of this attempt reads no such store")
    try:
        reader = state.captures.open(store)
    except CaptureNotFoundError as error:
        raise refusal(ProblemCode.NOT_FOUND, "nothing is committed there") from error
    if key == ROOT_KEY:
        return Response(reader.root.stored, media_type=BYTES)
    return Response(reader.chunk_bytes(key), media_type=BYTES)
