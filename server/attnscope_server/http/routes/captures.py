"""Captures and trials: the raw Zarr store for bulk and for other people's tools, and slices for views.

A trial is read like a capture, at the same addresses: both are the Zarr store of one job.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from attnscope_server.errors import ProblemError, refusal
from attnscope_server.http.access import DataReader, Service, owned, problems
from attnscope_server.http.slices import FORMATS, as_npy, parse_cut, reduce_over
from attnscope_server.http.state import State
from attnscope_server.records.keys import Identity
from attnscope_storage.errors import CaptureNotFoundError, ChunkLostError
from attnscope_storage.keys import Beyond, Committed, Metadata
from attnscope_storage.reader import CaptureReader
from attnscope_storage.shades import as_u8
from attnscope_storage.wire import ProblemCode, contracts
from attnscope_storage.wire.echo import ARRAY_HEADER, JOB_HEADER, KEY_HEADER, SELECTION_HEADER, echo_of

router = APIRouter(tags=["captures"], prefix="/captures/{job_id}")

IMMUTABLE = "private, max-age=31536000, immutable"
"""Caching of a committed chunk, which never changes."""

RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
NOT_AXES = frozenset({"array", "reduce", "over", "format"})
"""Query parameters of a slice that name no axis."""


def opened(state: State, identity: Identity, job_id: UUID) -> tuple[UUID, CaptureReader]:
    """Return a job's id inside the service, and a reader of its capture or trial."""
    job = owned(state, identity, job_id)
    try:
        return job.id, state.captures.open(job.id)
    except CaptureNotFoundError as error:
        owned(state, identity, job_id)  # it may have been deleted in between
        raise refusal(ProblemCode.NOT_COMMITTED, f"job {job_id} has committed nothing yet") from error


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
    headers = {
        "ETag": str(root.etag(key)),
        "Cache-Control": IMMUTABLE if isinstance(located, Committed) else "private, no-cache",
        "Accept-Ranges": "bytes",
        JOB_HEADER: str(job_id),
        KEY_HEADER: key,
    }
    if headers["ETag"] in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    same = request.headers.get("if-range", headers["ETag"]).strip() == headers["ETag"]
    asked = request.headers.get("range") if same else None  # of another version: the whole, so that none are mixed
    _refuse_parts(asked, state.settings.limits.range_parts)
    with lost_if_not_deleted(state, identity, job_id):
        content = root.chunk_bytes(key) if isinstance(located, Committed) else root.metadata_bytes(key)
    media = "application/octet-stream" if isinstance(located, Committed) else "application/json"
    return ranged(content or b"", asked, headers, media)


@contextmanager
def lost_if_not_deleted(state: State, identity: Identity, job_id: UUID) -> Iterator[None]:
    """Answer "gone" where a chunk is missing because the job was deleted while it was read."""
    try:
        yield
    except ChunkLostError:
        owned(state, identity, job_id)
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
    reduce: Annotated[str | None, Query(max_length=20, description="mean, max, min, sum or count, NaN-aware.")] = None,
    over: Annotated[str | None, Query(max_length=200, description="Axes to reduce, by comma.")] = None,
    form: Annotated[
        str, Query(max_length=20, alias="format", description="npy, or u8: round(254·√x), 255 absent.")
    ] = "npy",
) -> Response:
    """Return a cut or a reduction of an array; each axis of the array may be named as a query parameter.

    A selector is `7` (drops the axis; negative counts from the committed end), `a:b`, `a:b:c` or `1,4,9`.
    """
    if form not in FORMATS:
        raise refusal(ProblemCode.INVALID_REQUEST, f"format: expected one of {', '.join(FORMATS)}, got {form!r}")
    selectors = {name: value for name, value in request.query_params.items() if name not in NOT_AXES}
    async with state.slices.turn():
        answer = await run_in_threadpool(cut, state, identity, job_id, array, selectors, (reduce, over, form))
    answer.headers[JOB_HEADER], answer.headers[ARRAY_HEADER] = str(job_id), array
    answer.headers[SELECTION_HEADER] = echo_of(request.query_params.multi_items())
    return answer


def cut(
    state: State,
    identity: Identity,
    job_id: UUID,
    name: str,
    selectors: dict[str, str],
    shaping: tuple[str | None, str | None, str],
) -> Response:
    """Read a cut within the caps, reduce and encode it."""
    reduction, over, form = shaping
    reader = reader_of(state, identity, job_id)
    if name not in reader.names():
        known = contracts().get(reader.kind)
        left_out = known is not None and name.startswith(known.optional)
        code = ProblemCode.NOT_CAPTURED if left_out else ProblemCode.INVALID_REQUEST
        raise refusal(code, f"this {reader.kind} has no array {name!r}; it has {', '.join(reader.names())}")
    asked = parse_cut(reader.array(name), selectors)
    limits = state.settings.limits
    within(asked.read_bytes, limits.slice_read_bytes, "reads", "name fewer steps, or use the Zarr route for bulk")
    if reduction is None:
        within(asked.result_bytes, limits.slice_result_bytes, "returns", "cut it into several slices by step")
    needed = asked.result_bytes if reduction is None else asked.reducing_bytes
    within(needed, limits.slice_read_bytes, "takes", "name each entry once, and fewer of them")
    with lost_if_not_deleted(state, identity, job_id):
        values: Any = asked.array[asked.axes]
    dims = asked.dims
    if reduction is not None:
        values, dims = reduce_over(values, dims, reduction, tuple((over or "").split(",")) if over else ())
    values = as_u8(values) if form == "u8" else values
    headers = {
        "X-Attnscope-Dims": ",".join(dims),
        "X-Attnscope-Shape": ",".join(map(str, values.shape)),
        "X-Attnscope-Dtype": str(values.dtype),
        "X-Attnscope-Committed": str(reader.steps_committed),
        "X-Attnscope-Complete": str(reader.complete).lower(),
        "Cache-Control": "private, no-cache",
    }
    content = values.tobytes() if form == "u8" else as_npy(values)
    return Response(content, headers=headers, media_type="application/octet-stream")


def within(requested: int, limit: int, what: str, remedy: str) -> None:
    """Refuse what is over a cap, and say how to cut it."""
    if requested > limit:
        detail = f"this slice {what} {requested} bytes, {limit} are allowed: {remedy}"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=limit, requested=requested)
