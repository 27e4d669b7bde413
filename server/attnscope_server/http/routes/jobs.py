"""Jobs: submit, estimate, list, poll, cancel, delete."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Literal, TypeVar, cast
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Response
from starlette.concurrency import run_in_threadpool

from attnscope_server.http.access import JobsReader, JobsWriter, Service, json_only, owned, placed, problems, readable
from attnscope_server.http.parts import part_of_job
from attnscope_server.http.reading import ReadApart
from attnscope_server.http.state import State
from attnscope_server.kinds import kind_of
from attnscope_server.records.job import StoredJob
from attnscope_server.records.listing import Cut, JobFilter
from attnscope_server.records.usage import Room
from attnscope_server.root.housekeeping import remove
from attnscope_server.running.supervising.placing import Place
from attnscope_server.running.supervising.waiting import waits_for
from attnscope_storage.wire import (
    AnySpec,
    DeviceKind,
    Estimate,
    Job,
    JobChanges,
    JobPage,
    JobSpec,
    JobState,
    JobSummary,
    ProblemCode,
    Resolved,
    SummaryPage,
)
from attnscope_storage.wire.base import MAX_LABEL

router = APIRouter(tags=["jobs"], route_class=ReadApart)

REFUSED = problems(
    ProblemCode.NOT_FOUND,
    ProblemCode.UNKNOWN_CHECKPOINT,
    ProblemCode.TOO_LARGE,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE,
    ProblemCode.STORAGE_FULL,
)

OnKind = Annotated[
    DeviceKind | None, Query(description="Kind of device that a new job waits for; it is no part of what is computed.")
]

Summary = TypeVar("Summary", bound=JobSummary)

DEFAULT_PAGE = 50
"""Jobs of a page where no limit is named."""


def shown(state: State, *jobs: StoredJob) -> tuple[Job, ...]:
    """Return jobs as their owner sees them now."""
    places = state.jobs.queue_positions(*jobs)
    found = (job.wire(state.supervisor.progress(job.id), places.get(job.id)) for job in jobs)
    return tuple(_explained(job, state.supervisor.places) for job in found)


def _explained(job: Summary, places: Callable[[], Sequence[Place]]) -> Summary:
    """Return a job that says, where it is queued and no placement slot takes it, why."""
    why = waits_for(job, places()) if job.state is JobState.QUEUED else None
    if why is None:
        return job
    return job.model_copy(update={"progress": job.progress.model_copy(update={"waits_for": why})})


def submit(state: State, owner: str, name: UUID, spec: AnySpec, device_kind: DeviceKind | None) -> tuple[Job, bool]:
    """Queue a job; the same id and specification again changes nothing."""
    limits = state.settings.limits
    room = Room(limits.stored_bytes)

    def resolve(asked: AnySpec, referred: StoredJob | None) -> Resolved:
        planned = state.planner.admit(asked, referred or _part(state, owner, asked))
        room.more, resolved = planned.bytes_on_disk, planned.resolved
        return cast("Resolved", resolved)

    stored, new = state.jobs.submit(
        name, owner, spec, resolve, queue_limit=limits.queued_jobs, room=room, device_kind=device_kind
    )
    if new:
        state.supervisor.wake()
    return shown(state, stored)[0], new


def _part(state: State, owner: str, spec: AnySpec) -> StoredJob | None:
    """Return the part of a job that a specification refers to; None where it refers to none."""
    part = None if spec.refers_to is None else part_of_job(state, owner, spec.refers_to)
    return None if part is None else part.job


@router.post("/jobs", status_code=201, responses=REFUSED, dependencies=[Depends(json_only)])
def post_job(
    spec: JobSpec, state: Service, identity: JobsWriter, response: Response, device_kind: OnKind = None
) -> Job:
    """Submit a job under an id that the service mints."""
    job, _ = submit(state, identity.owner, uuid4(), spec, device_kind)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.post("/jobs:estimate", responses=REFUSED, dependencies=[Depends(json_only)])
def post_estimate(spec: JobSpec, state: Service, identity: JobsReader) -> Estimate:
    """Say what a job would cost; nothing is queued."""
    referred, last = state.jobs.before(identity.owner, spec, kind_of(spec.kind).alike)
    found = referred or _part(state, identity.owner, spec)
    return state.planner.estimate(state.planner.plan(spec, found), last)


@router.put(
    "/jobs/{job_id}",
    status_code=201,
    responses={200: {"model": Job, "description": "The same job was submitted before"}}
    | REFUSED
    | problems(ProblemCode.CONFLICT, ProblemCode.GONE),
    dependencies=[Depends(json_only)],
)
def put_job(
    job_id: UUID, spec: JobSpec, state: Service, identity: JobsWriter, response: Response, device_kind: OnKind = None
) -> Job:
    """Submit a job under an id of the caller's; repeating it is harmless."""
    job, new = submit(state, identity.owner, job_id, spec, device_kind)
    response.status_code = 201 if new else 200
    return job


@router.get("/jobs", responses=problems(), response_model=JobPage | SummaryPage)
def get_jobs(
    state: Service,
    identity: JobsReader,
    states: Annotated[list[JobState] | None, Query(alias="state", max_length=len(JobState))] = None,
    kind: Annotated[str | None, Query(max_length=40)] = None,
    label: Annotated[str | None, Query(max_length=MAX_LABEL)] = None,
    limit: Annotated[int, Query(ge=1)] = DEFAULT_PAGE,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    view: Annotated[
        Literal["whole", "summary"], Query(description="A summary leaves out the specification and its resolved form.")
    ] = "whole",
) -> Response:
    """List the owner's jobs, newest first; a page ends early where its jobs are large."""
    limits = state.settings.limits
    wanted = JobFilter(owner=identity.owner, states=tuple(states or ()), kind=kind, label=label)
    cut = Cut(min(limit, limits.page_jobs), limits.page_bytes, cursor, whole=view == "whole")

    places = cache(state.supervisor.places)

    def current(job: UUID, summary: JobSummary) -> JobSummary:
        progress = state.supervisor.progress(job)
        fresh = summary if progress is None else summary.model_copy(update={"progress": progress})
        return _explained(fresh, places)

    jobs, following = state.jobs.list(wanted, cut, current, state.sending.reserve)
    content = b'{"jobs":[%b],"next_cursor":%b}' % (b",".join(jobs), json.dumps(following).encode())
    return Response(content, media_type="application/json")


@router.get("/jobs/{job_id}", responses=problems(ProblemCode.NOT_FOUND, ProblemCode.GONE))
async def get_job(
    job_id: UUID,
    state: Service,
    identity: JobsReader,
    wait: Annotated[
        float, Query(ge=0, allow_inf_nan=False, description="Seconds to wait for a change, capped by the service.")
    ] = 0.0,
    seen: Annotated[JobState | None, Query(alias="state", description="Return once the state is another.")] = None,
) -> Job:
    """Return a job; with `wait`, once it has left the state `state`, or has ended where none is named."""
    deadline = time.monotonic() + min(wait, state.settings.limits.long_poll_seconds)
    with state.polls.hold(identity.owner, counted=wait > 0):
        while True:
            job = await run_in_threadpool(readable, state, identity, job_id)
            left = deadline - time.monotonic()
            arrived = job.state.final or (seen is not None and job.state is not seen)
            if arrived or left <= 0 or state.stopping:
                return (await run_in_threadpool(shown, state, job))[0]
            del job  # a large specification is not kept in memory by whoever waits
            await state.changes.wait(min(left, 5.0))


@router.patch(
    "/jobs/{job_id}",
    responses=problems(ProblemCode.NOT_FOUND, ProblemCode.GONE, ProblemCode.UNSUPPORTED_MEDIA_TYPE),
    dependencies=[Depends(json_only)],
)
def patch_job(job_id: UUID, changes: JobChanges, state: Service, identity: JobsWriter) -> Job:
    """Say until when a capture or trial is kept, pin it, or say where it may run; what is not sent stays as it is."""
    return shown(state, state.jobs.change(owned(state, identity, job_id).id, changes))[0]


@router.post("/jobs/{job_id}/cancel", status_code=202, responses=problems(ProblemCode.NOT_FOUND, ProblemCode.GONE))
def post_cancel(job_id: UUID, state: Service, identity: JobsWriter) -> Job:
    """Cancel a job; it is `cancelling` until its work has ended. Cancelling an ended job changes nothing."""
    return shown(state, state.supervisor.cancel(owned(state, identity, job_id)))[0]


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    responses=problems(ProblemCode.NOT_FOUND, ProblemCode.GONE, ProblemCode.CONFLICT),
)
def post_retry(job_id: UUID, state: Service, identity: JobsWriter) -> Job:
    """Queue a job again that failed, was cancelled or interrupted; it goes on from its last commit."""
    job = state.jobs.retry(owned(state, identity, job_id).id, queue_limit=state.settings.limits.queued_jobs)
    state.supervisor.wake()
    state.changes.announce()
    return shown(state, job)[0]


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    responses=problems(ProblemCode.NOT_FOUND, ProblemCode.GONE, ProblemCode.CONFLICT),
)
def delete_job(job_id: UUID, state: Service, identity: JobsWriter) -> None:
    """Delete an ended job and its capture or trial; the id stays reserved."""
    job = placed(state, identity, job_id)
    state.jobs.mark_deleted(job)
    remove(state.jobs, state.captures, job)
