"""Captures and trials: the raw Zarr store for bulk and for other people's tools, and slices for views.

A trial is read like a capture, at the same addresses: both are the Zarr store of one job.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from attnscope_server.errors import ProblemError, refusal
from attnscope_server.http.access import DataReader, Service, problems, readable
from attnscope_server.http.shaping import OVER_STEPS, Shaping, shaping_of
from attnscope_server.http.slices import Cut, parse_cut
from attnscope_server.http.state import State
from attnscope_server.records.keys import Identity
from attnscope_storage.errors import CaptureNotFoundError, ChunkLostError
from attnscope_storage.layout.keys import Beyond, Committed, Metadata
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.reductions import BUDGETS, POOLED
from attnscope_storage.wire import ProblemCode, contracts
from attnscope_storage.wire.echo import ARRAY_HEADER, JOB_HEADER, KEY_HEADER, SELECTION_HEADER, echo_of

router = APIRouter(tags=["captures"], prefix="/captures/{job_id}")

IMMUTABLE = "private, max-age=31536000, immutable"
"""Caching of a full chunk, which never changes."""

REVALIDATED = "private, no-cache"
"""Caching of a document, and of a chunk that later commits add to."""

RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
NOT_AXES = frozenset({"array", "reduce", "over", "format", "least", "per", "budgets", "pool", "pool_by"})
"""Query parameters of a slice that name no axis."""


def opened(state: State, identity: Identity, job_id: UUID) -> tuple[UUID, CaptureReader]:
    """Return a job's id inside the service, and a reader of its capture or trial."""
    job = readable(state, identity, job_id)
    try:
        return job.id, state.captures.open(job.id)
    except CaptureNotFoundError as error:
        job = readable(state, identity, job_id)  # it may have been deleted in between
        never = f"is {job.state.value} and has committed nothing" if job.state.final else "has committed nothing yet"
        raise refusal(ProblemCode.NOT_COMMITTED, f"job {job_id} {never}") from error


def reader_of(state: State, identity: Identity, job_id: UUID) -> CaptureReader:
    """Return a reader of a job's capture."""
    return opened(state, identity, job_id)[1]


@router.head("/zarr/{key:path}", response_class=Response, include_in_schema=False)
@router.get(
    "/zarr/{key:path}",
    response_class=Response,
    responses=problems(
        ProblemCode.NOT_FOUND, ProblemCode.GONE, ProblemCode.RANGE_NOT_SATISFIABLE, ProblemCode.CHUNK_LOST
    )
    | {
        200: {"description": "A document or a chunk", "content": {"application/octet-stream": {}}},
        206: {"description": "Part of it"},
        304: {"description": "Unchanged"},
    },
)
def get_key(job_id: UUID, key: str, request: Request, state: Service, identity: DataReader) -> Response:
    """Return a key of the Zarr v3 store of a capture or trial.

    404 says only that the committed shape does not reach there, or that no Zarr v3 store has such a key; a capture that
    is unknown or another's is 403, and a committed chunk that is missing 500, so that no reader takes it for absent.
    """
    try:
        root = reader_of(state, identity, job_id)
    except ProblemError as error:
        if error.problem.code is ProblemCode.NOT_COMMITTED:
            raise refusal(ProblemCode.NOT_FOUND, error.message) from error
        if error.problem.code is ProblemCode.GONE:
            raise
        raise refusal(ProblemCode.FORBIDDEN, "this key may not read that capture") from error
    located = root.locate(key)
    if not isinstance(located, Metadata | Committed):
        why = "beyond the committed shape" if isinstance(located, Beyond) else "no key of this store"
        raise refusal(ProblemCode.NOT_FOUND, f"{key[:200]!r} is {why}")
    full = isinstance(located, Committed) and root.root.is_full(located)
    grown = None if full or isinstance(located, Metadata) else _chunk(state, identity, job_id, root, key)
    headers = {
        "ETag": str(root.etag(key)) if grown is None else f'"{hashlib.sha256(grown).hexdigest()[:32]}"',
        "Cache-Control": IMMUTABLE if full else REVALIDATED,
        "Accept-Ranges": "bytes",
        JOB_HEADER: str(job_id),
        KEY_HEADER: key,
    }
    if headers["ETag"] in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    same = request.headers.get("if-range", headers["ETag"]).strip() == headers["ETag"]
    asked = request.headers.get("range") if same else None  # of another version: the whole, so that none are mixed
    _refuse_parts(asked, state.settings.limits.range_parts)
    if isinstance(located, Metadata):
        return ranged(root.metadata_bytes(key) or b"", asked, headers, "application/json")
    content = _chunk(state, identity, job_id, root, key) if grown is None else grown
    return ranged(content, asked, headers, "application/octet-stream")


def _chunk(state: State, identity: Identity, job_id: UUID, reader: CaptureReader, key: str) -> bytes:
    with lost_if_not_deleted(state, identity, job_id):
        return reader.chunk_bytes(key)


@contextmanager
def lost_if_not_deleted(state: State, identity: Identity, job_id: UUID) -> Iterator[None]:
    """Answer "gone" where a chunk is missing because the job was deleted while it was read."""
    try:
        yield
    except ChunkLostError:
        readable(state, identity, job_id)
        raise


def _refuse_parts(asked: str | None, limit: int) -> None:
    parts = asked.count(",") + 1 if asked is not None and asked.startswith("bytes=") else 1
    if parts > limit:
        detail = f"Range: {parts} parts asked for, {limit} is allowed; ask for them one by one"
        raise refusal(ProblemCode.RANGE_NOT_SATISFIABLE, detail, limit=limit, requested=parts)


def ranged(content: bytes, asked: str | None, headers: dict[str, str], media: str) -> Response:
    """Return the content, or the range of it that was asked for; what is no range of bytes gets the whole."""
    found = RANGE.fullmatch(asked) if asked else None
    if found is None or found[1] == found[2] == "":
        return Response(content, headers=headers, media_type=media)
    size = len(content)
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first >= size or first > last:
        raise refusal(ProblemCode.RANGE_NOT_SATISFIABLE, f"{asked} of {size} bytes", limit=size, requested=first)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(content[first : last + 1], 206, headers, media)


@router.get(
    "/slice",
    response_class=Response,
    responses=problems(ProblemCode.NOT_FOUND, ProblemCode.GONE, ProblemCode.TOO_LARGE, ProblemCode.NOT_COMMITTED)
    | problems(ProblemCode.NOT_CAPTURED, ProblemCode.CHUNK_LOST)
    | {200: {"description": "Values, dims in X-Attnscope-Dims", "content": {"application/octet-stream": {}}}},
)
async def get_slice(
    job_id: UUID,
    request: Request,
    state: Service,
    identity: DataReader,
    array: Annotated[str, Query(max_length=200)],
    reduce: Annotated[
        str | None,
        Query(
            max_length=20,
            description="mean, max, min, sum or count, NaN-aware; step-mean, age-profile or retained-mass.",
        ),
    ] = None,
    over: Annotated[str | None, Query(max_length=200, description="Axes to reduce, by comma.")] = None,
    form: Annotated[
        str, Query(max_length=20, alias="format", description="npy, f16 (npy), or u8: round(254·√x), 255 absent.")
    ] = "npy",
    least: Annotated[int, Query(ge=1, le=2**31, description="Tokens of the shortest context that counts.")] = 1,
    per: Annotated[str | None, Query(max_length=20, description="largest-entropy: ÷ ln(context length).")] = None,
    budgets: Annotated[int, Query(ge=1, le=BUDGETS, description="Budgets of a retained-mass curve.")] = 20,
    pool: Annotated[int | None, Query(ge=1, le=POOLED, description="Queries and keys of a map, at most.")] = None,
    pool_by: Annotated[str, Query(max_length=20, description="mean or max of a pooled cell.")] = "mean",
) -> Response:
    """Return a cut or a reduction of an array; each axis of the array may be named as a query parameter.

    A selector is `7` (drops the axis; negative counts from the committed end), `a:b`, `a:b:c` or `1,4,9`.
    `step-mean` averages the steps of a statistic whose context has `least` tokens, in float64. `age-profile` and
    `retained-mass` do so with decision rows by age and by budget. `pool` shrinks whole maps.
    """
    asked = {"reduce": reduce, "over": over, "form": form, "least": least, "per": per, "budgets": budgets}
    shaping = shaping_of({**asked, "pool": pool, "pool_by": pool_by})
    selectors = {name: value for name, value in request.query_params.items() if name not in NOT_AXES}
    async with state.slices.turn():
        answer = await run_in_threadpool(cut, state, identity, job_id, array, selectors, shaping)
    answer.headers[JOB_HEADER], answer.headers[ARRAY_HEADER] = str(job_id), array
    answer.headers[SELECTION_HEADER] = echo_of(request.query_params.multi_items())
    return answer


def cut(
    state: State, identity: Identity, job_id: UUID, name: str, selectors: dict[str, str], shaping: Shaping
) -> Response:
    """Read a cut within the caps, reduce and encode it."""
    reader = reader_of(state, identity, job_id)
    if name not in reader.names():
        known = contracts().get(reader.kind)
        left_out = known is not None and name.startswith(known.optional)
        code = ProblemCode.NOT_CAPTURED if left_out else ProblemCode.INVALID_REQUEST
        raise refusal(code, f"this {reader.kind} has no array {name!r}; it has {', '.join(reader.names())}")
    asked = parse_cut(reader.array(name), selectors)
    _refuse_large(state, asked, shaping)
    with lost_if_not_deleted(state, identity, job_id):
        values: Any = asked.array[asked.axes]
        values, dims = shaping.apply(reader, asked, values)
    content, dtype = shaping.encode(values)
    headers = {
        "X-Attnscope-Dims": ",".join(dims),
        "X-Attnscope-Shape": ",".join(map(str, values.shape)),
        "X-Attnscope-Dtype": str(dtype),
        "X-Attnscope-Committed": str(reader.steps_committed),
        "X-Attnscope-Complete": str(reader.complete).lower(),
        "Cache-Control": "private, no-cache",
    }
    return Response(content, headers=headers, media_type="application/octet-stream")


def _refuse_large(state: State, asked: Cut, shaping: Shaping) -> None:
    """Refuse a slice that is over a cap, before anything is read."""
    limits = state.settings.limits
    within(asked.read_bytes, limits.slice_read_bytes, "reads", "name fewer steps, or use the Zarr route for bulk")
    whole = shaping.reduce is None and shaping.pool is None
    if whole:
        within(asked.result_bytes, limits.slice_result_bytes, "returns", "cut it into several slices by step")
    # Rows are reduced in blocks and maps are pooled one by one; other reductions take all in float64.
    small = whole or shaping.pool is not None or (shaping.reduce in OVER_STEPS and asked.array.name == "attention/rows")
    needed = asked.result_bytes if small else asked.reducing_bytes
    within(needed, limits.slice_read_bytes, "takes", "name each entry once, and fewer of them")


def within(requested: int, limit: int, what: str, remedy: str) -> None:
    """Refuse what is over a cap, and say how to cut it."""
    if requested > limit:
        detail = f"this slice {what} {requested} bytes, {limit} are allowed: {remedy}"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=requested)
