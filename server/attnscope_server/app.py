"""Building the service. Nothing happens at import; `attnscope_server.serving` runs what is built here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies import strategies
from attnscope_server.http import problems as handlers
from attnscope_server.http.audit import Audited
from attnscope_server.http.gate import Gate
from attnscope_server.http.metrics import Measured, Metrics
from attnscope_server.http.readiness import Readiness
from attnscope_server.http.routes import captures as capture_routes
from attnscope_server.http.routes import catalogue, jobs, maps, received, workers
from attnscope_server.http.sending import Sending
from attnscope_server.http.state import Changes, InFlight, LongPolls, SliceSlots, State
from attnscope_server.kinds import kinds
from attnscope_server.planning import Planner
from attnscope_server.pulling.receiving import Arrivals
from attnscope_server.records.attempt_tokens import AttemptTokens
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import KeyStore
from attnscope_server.replaying.answers import Replays
from attnscope_server.root.captures import Captures
from attnscope_server.root.clock import SettledClock
from attnscope_server.root.data_root import held, opened, prepare
from attnscope_server.root.housekeeping import Housekeeping
from attnscope_server.root.orphans import Orphans
from attnscope_server.running.runner import SlotKind
from attnscope_server.running.runners import runners_of
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_server.settings import Settings
from attnscope_storage import __version__


def create_app(settings: Settings) -> FastAPI:
    """Return the service of these settings; its parts come to life when it is served."""
    # No pages of documentation: they would load scripts from elsewhere. The document itself wants a key, as all else.
    app = FastAPI(
        title="attnscope",
        version=__version__,
        lifespan=_lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.metrics, app.state.in_flight = (
        settings,
        Metrics(),
        InFlight(settings.limits.sending_bytes),
    )
    app.state.readiness = Readiness()
    app.state.stop = lambda: None
    handlers.install(app)
    for router in (jobs.router, capture_routes.router, maps.router, catalogue.router, workers.router, received.router):
        app.include_router(router, prefix="/v1")
    app.include_router(catalogue.health)
    app.include_router(catalogue.metrics)
    app.add_middleware(Sending, limits=settings.limits, in_flight=app.state.in_flight)
    app.add_middleware(Gate, service=app, settings=settings)
    app.add_middleware(Audited)
    app.add_middleware(Measured, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the data root, open the database, run the supervisor; undo all of it at the end."""
    settings: Settings = app.state.settings
    prepare(settings)
    strategies()  # an installed one that cannot be used is said now, not at the first trial
    with held(settings.data_root), opened(settings) as database, database.served(lambda _: app.state.stop()):
        state = _state(settings, database, app.state.in_flight)
        state.changes.bind()
        app.state.service = state
        if settings.shipped_checkpoints:
            state.registry.add_shipped()
        state.supervisor.start()
        state.replays.process.start()
        state.housekeeping.start()
        state.ready = True
        try:
            yield
        finally:
            state.stopping = True
            state.changes.announce()
            await asyncio.to_thread(state.housekeeping.stop)
            await asyncio.to_thread(state.replays.process.stop)
            await asyncio.to_thread(state.supervisor.stop)


def _state(settings: Settings, database: Database, in_flight: InFlight) -> State:
    retention = None if settings.retention_days is None else timedelta(days=settings.retention_days)
    store, changes, limits = JobStore(database, retention=retention), Changes(), settings.limits
    captures, registry = Captures(settings.stores), CheckpointRegistry(settings.checkpoints_folder)
    listings = Listings(settings.environments)
    fixed = None if settings.api_key is None else settings.api_key.get_secret_value()
    takes = {name: frozenset(SlotKind) for name, kind in kinds().items() if kind.beside}
    return State(
        settings=settings,
        jobs=store,
        keys=KeyStore(database, fixed, SettledClock().now),
        tokens=AttemptTokens(database),
        registry=registry,
        captures=captures,
        arrivals=Arrivals(captures, registry, listings, durable=settings.durable),
        supervisor=Supervisor(settings, store, runners_of(settings), changes.announce, takes=takes),
        changes=changes,
        replays=Replays(settings),
        listings=listings,
        planner=Planner(settings, registry, listings, captures),
        slices=SliceSlots(limits.concurrent_slices, limits.waiting_slices),
        polls=LongPolls(limits.long_polls),
        sending=in_flight,
        arriving=InFlight(limits.sending_bytes, "other chunks of workers arrive"),
        housekeeping=Housekeeping(
            store,
            captures,
            settings.housekeeping_seconds,
            sweep=registry.sweep,
            orphans=Orphans(store, captures, lease_seconds=settings.lease_seconds).look,
        ),
    )
