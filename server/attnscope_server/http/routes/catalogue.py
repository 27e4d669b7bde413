"""The offers of the service: checkpoints, environments, capabilities, and who is asking; health."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from attnscope_model.errors import CheckpointAmbiguousError, CheckpointUnknownError
from attnscope_model.strategies import describe_all
from attnscope_server.capturing.resolving import task_cell
from attnscope_server.errors import refusal
from attnscope_server.http.access import Admin, JobsReader, Service, problems
from attnscope_server.http.metrics import MEDIA_TYPE as METRICS_TYPE
from attnscope_server.http.shaping import FORMATS, OVER_STEPS
from attnscope_server.http.slices import REDUCTIONS
from attnscope_server.kinds import kinds
from attnscope_server.records.job import StoredJob
from attnscope_server.records.keys import Identity
from attnscope_server.running.supervising.placing import Place
from attnscope_storage import __version__
from attnscope_storage.layout.store_schema import SCHEMA_VERSION
from attnscope_storage.wire import (
    MAP_FORMATS,
    MAP_KINDS,
    MAP_POSITIONS,
    Capabilities,
    CheckpointInfo,
    DeviceInfo,
    EnvironmentInfo,
    Health,
    PlacementSlot,
    ProblemCode,
    Quota,
    StrategyInfo,
    TaskPage,
    WhoAmI,
)

router = APIRouter(tags=["catalogue"])
health = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"])

DEFAULT_TASKS = 200
"""Tasks of a page where no limit is named."""


@router.get("/checkpoints", responses=problems())
def get_checkpoints(state: Service, _identity: JobsReader) -> list[CheckpointInfo]:
    """List the registered checkpoints."""
    return state.registry.list()


@router.get("/checkpoints/{name}", responses=problems(ProblemCode.NOT_FOUND))
def get_checkpoint(name: str, state: Service, _identity: JobsReader) -> CheckpointInfo:
    """Return a checkpoint by id, prefix or name."""
    try:
        return state.registry.get(name)
    except (CheckpointUnknownError, CheckpointAmbiguousError) as error:
        raise refusal(ProblemCode.NOT_FOUND, error.message) from error


@router.get("/environments", responses=problems())
def get_environments(state: Service, _identity: JobsReader) -> list[EnvironmentInfo]:
    """List the environments that a job may name, with their presets; tasks of long splits are only counted."""
    return [EnvironmentInfo.model_validate(listing.info()) for listing in state.listings]


@router.get("/strategies", responses=problems(ProblemCode.NOT_FOUND))
def get_strategies(
    state: Service,
    _identity: JobsReader,
    checkpoint: Annotated[
        str | None, Query(description="Id, id prefix or name: say where each fits this one's policy.")
    ] = None,
) -> list[StrategyInfo]:
    """List the strategies that a trial may name: parameters, what they look at, where they fit; installed ones last."""
    try:
        policy = None if checkpoint is None else state.registry.get(checkpoint).policy
    except (CheckpointUnknownError, CheckpointAmbiguousError) as error:
        raise refusal(ProblemCode.NOT_FOUND, error.message) from error
    return describe_all(policy)


@router.get("/tasks", responses=problems(ProblemCode.NOT_FOUND))
def get_tasks(
    state: Service,
    _identity: JobsReader,
    preset: Annotated[str, Query(description="Name of a listed preset.")],
    split: Literal["train", "validation", "test", "all"] = "all",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1)] = DEFAULT_TASKS,
) -> TaskPage:
    """List a page of a preset's tasks, in the order of the split."""
    try:
        tasks = state.listings.preset(preset).tasks(split)
    except LookupError as error:
        raise refusal(ProblemCode.NOT_FOUND, str(error.args[0])) from error
    last = min(offset + min(limit, state.settings.limits.page_tasks), len(tasks))
    return TaskPage(
        tasks=tuple(task_cell(task) for task in tasks[offset:last]),
        total=len(tasks),
        next_offset=last if last < len(tasks) else None,
    )


@router.get("/capabilities", responses=problems())
def get_capabilities(state: Service, identity: JobsReader) -> Capabilities:
    """Say what this service can do, and its caps."""
    limits = {name: value for name, value in state.settings.limits.model_dump().items() if value is not None}
    return Capabilities(
        version=__version__,
        job_kinds=tuple(kinds()),
        schema_version=SCHEMA_VERSION,
        devices=tuple(
            DeviceInfo(name=str(number), description=device, busy_with=_busy_with(job, identity))
            for number, (device, job) in enumerate(state.supervisor.devices())
        ),
        placement_slots=tuple(_slot(place, identity) for place in state.supervisor.places()),
        limits=limits,
        slice_formats=FORMATS,
        slice_reductions=(*REDUCTIONS, "count", *OVER_STEPS),
        map_kinds=MAP_KINDS,
        map_positions=MAP_POSITIONS,
        map_formats=MAP_FORMATS,
    )


def _slot(place: Place, identity: Identity) -> PlacementSlot:
    return PlacementSlot(
        runner=place.runner,
        name=place.slot.name,
        device=place.slot.device,
        hardware=place.hardware,
        kind=place.slot.kind.value,
        free=place.slot.free and place.job is None,
        busy_with=_busy_with(place.job, identity),
    )


def _busy_with(job: StoredJob | None, identity: Identity) -> str | None:
    """Return what an owner may know of the job on a device."""
    if job is None:
        return None
    return str(job.name) if job.owner == identity.owner else "another owner's job"


@router.get("/whoami", responses=problems())
def get_whoami(state: Service, identity: JobsReader) -> WhoAmI:
    """Say whose key this is, and how much of its owner's quotas is used."""
    limits, used = state.settings.limits, state.jobs.usage(identity.owner)
    return WhoAmI(
        owner=identity.owner,
        key_id=identity.key_id,
        scopes=tuple(sorted(scope.value for scope in identity.scopes)),
        expires_at=identity.expires_at,
        quotas={
            "stored_bytes": Quota(used=used.stored_bytes, limit=limits.stored_bytes),
            "running_per_owner": Quota(used=used.running, limit=limits.running_per_owner),
            "queued_jobs": Quota(used=used.waiting, limit=limits.queued_jobs),
        },
    )


@metrics.get(
    "/metrics",
    response_class=Response,
    responses=problems() | {200: {"description": "Prometheus' text format", "content": {METRICS_TYPE: {}}}},
)
def get_metrics(request: Request, state: Service, _identity: Admin) -> Response:
    """Return the service's numbers; they are of all owners together, so only a key with `admin` reads them."""
    return Response(request.app.state.metrics.exposition(state), headers={"Content-Type": METRICS_TYPE})


@health.get("/healthz")
async def get_health() -> Health:
    """Say that the process answers."""
    return Health(status="ok")


@health.get("/readyz", responses={503: {"model": Health, "description": "Not ready"}})
def get_ready(request: Request, state: Service, response: Response) -> Health:
    """Say whether jobs can be submitted and run: a write is tried, the disk has room, every thread lives."""
    if not state.ready or state.stopping:
        response.status_code = 503
        return Health(status="stopping" if state.stopping else "starting")
    wrong = request.app.state.readiness.wrong(state)
    if wrong is None:
        return Health(status="ok")
    response.status_code = 503
    return Health(status="unavailable", detail=wrong)
