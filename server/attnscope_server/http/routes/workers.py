"""Routes of workers that ask for jobs: claim, report, end, and the checkpoints of the job that they run.

Only keys of the scope `worker` open them. What concerns an attempt wants its token too.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from attnscope_model.errors import CheckpointError
from attnscope_server.errors import TransitionError, refusal
from attnscope_server.failures import problem_of
from attnscope_server.http.access import Service, WorkerKey, json_only, problems
from attnscope_server.http.reading import ReadApart
from attnscope_server.http.seeing import Seeing
from attnscope_server.http.state import State
from attnscope_server.pulling.messages import (
    TOKEN_HEADER,
    Answer,
    Assignment,
    Farewell,
    Offer,
    Reports,
)
from attnscope_server.pulling.runner import PullRunner
from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import ENDINGS, Failed, Run
from attnscope_storage.wire import ProblemCode

router = APIRouter(tags=["workers"], route_class=ReadApart)

LOOK_EVERY = 5.0
"""Seconds between two looks of a claim that waits, at most."""

CHECKPOINT_FILES = Literal["model.safetensors", "config.json"]
"""Files of a checkpoint that a worker fetches; its entry comes with the job."""


def pull_runner(state: Service) -> PullRunner:
    """Return the runner of workers that ask.

    Raises
    ------
    ProblemError
        The service has none.
    """
    runner = state.supervisor.runner(PullRunner.name)
    if not isinstance(runner, PullRunner):
        detail = "this service gives no jobs to workers that ask: its operator names `pull` among the runners"
        raise refusal(ProblemCode.CONFLICT, detail)
    return runner


def attempt_held(
    state: Service, identity: WorkerKey, token: Annotated[str, Header(alias=TOKEN_HEADER, max_length=200)]
) -> StoredJob:
    """Return the running job whose attempt the token is for."""
    return state.tokens.held(token, identity.key_id)


Pull = Annotated[PullRunner, Depends(pull_runner)]
Held = Annotated[StoredJob, Depends(attempt_held)]
REFUSED = problems(ProblemCode.CONFLICT, ProblemCode.UNSUPPORTED_MEDIA_TYPE)
OVER = problems(ProblemCode.CONFLICT, ProblemCode.GONE, ProblemCode.UNSUPPORTED_MEDIA_TYPE)


@router.post(
    "/worker/claim",
    responses=REFUSED | {204: {"description": "No job came while the worker waited"}},
    response_model=Assignment,
    dependencies=[Depends(json_only)],
)
async def post_claim(offer: Offer, request: Request, state: Service, identity: WorkerKey, pull: Pull) -> Response:
    """Wait for a job for the device of a worker; the same job again where the answer did not arrive."""
    turn = pull.offered(identity, offer)
    deadline = time.monotonic() + offer.wait
    state.supervisor.wake()
    try:
        while pull.waits(offer.slot, turn):
            order = pull.taken(offer.slot, turn)
            if order is not None:
                return await run_in_threadpool(_assigned, state, pull, offer.slot, identity.key_id, order)
            left = deadline - time.monotonic()
            if left <= 0 or state.stopping or await request.is_disconnected():
                break
            await state.changes.wait(min(left, LOOK_EVERY))
    finally:
        late = pull.closed(offer.slot, turn)
    if late is None:
        return Response(status_code=204)
    if await request.is_disconnected():
        await run_in_threadpool(pull.given_back, offer.slot, late)
        return Response(status_code=204)
    return await run_in_threadpool(_assigned, state, pull, offer.slot, identity.key_id, late)


def _assigned(state: State, pull: PullRunner, slot: str, key_id: str, order: Run) -> Response:
    """Return the answer that gives a job, with a token that ends the one before.

    A job whose checkpoint is gone fails, as it would on a device of the service; its worker gets another one.
    """
    about = (order.job, order.attempt)
    try:
        checkpoints = tuple(state.registry.get(one) for one in order.resolved.checkpoint_ids)
    except CheckpointError as error:
        failure = problem_of(error, where="in the service", reduce="")
        pull.heard(slot, about, [Failed(job=order.job, attempt=order.attempt, problem=failure)])
        return Response(status_code=204)
    try:
        token = state.tokens.issue(*about, key_id)
    except TransitionError:  # it ended while its worker waited
        return Response(status_code=204)
    told = Assignment(token=token, order=order, checkpoints=checkpoints)
    return Response(told.line, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.post("/worker/report", responses=OVER, dependencies=[Depends(json_only)])
def post_report(reports: Reports, job: Held, state: Service, pull: Pull, _identity: WorkerKey) -> Answer:
    """Take a worker's reports about its attempt; they renew its lease. Answer with its orders."""
    about = (job.id, job.attempts)
    for one in reports.reports:
        if (one.job, one.attempt) != about:
            raise refusal(ProblemCode.FORBIDDEN, "a report names another attempt than that of its token")
    kept = Seeing(state, job).all(reports.reports)
    if any(isinstance(one, ENDINGS) for one in kept):
        state.arrivals.forget(job.id)
    return Answer(orders=pull.heard(job.slot or "", about, kept))


@router.post("/worker/end", status_code=204, responses=REFUSED, dependencies=[Depends(json_only)])
def post_end(farewell: Farewell, state: Service, identity: WorkerKey, pull: Pull) -> None:
    """Forget a worker that takes no more jobs; a job that it still has goes back to the queue at once."""
    pull.left(identity, farewell.slot)
    state.supervisor.wake()
    state.changes.announce()  # a claim of that worker waits no longer


@router.get(
    "/worker/checkpoints/{checkpoint}/{file}",
    response_class=FileResponse,
    responses=OVER | {200: {"description": "The file", "content": {"application/octet-stream": {}}}},
)
def get_checkpoint_file(
    checkpoint: str, file: CHECKPOINT_FILES, job: Held, state: Service, _identity: WorkerKey
) -> FileResponse:
    """Return a file of a checkpoint that the attempt's job needs."""
    if checkpoint not in job.resolved.checkpoint_ids:
        raise refusal(ProblemCode.FORBIDDEN, "the job of this attempt needs no such checkpoint")
    return FileResponse(state.registry.folder(checkpoint) / file, media_type="application/octet-stream")
