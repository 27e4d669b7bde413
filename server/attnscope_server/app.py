"""Building the service. Nothing happens at import; `attnscope_server.serving` runs what is built here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from attnscope_env.listing import Listings
from attnscope_model.registry import CheckpointRegistry
from attnscope_server import handlers
from attnscope_server.captures import Captures
from attnscope_server.data_root import held, prepare
from attnscope_server.database import Database
from attnscope_server.job_store import JobStore
from attnscope_server.keys import KeyStore
from attnscope_server.replays import Replays
from attnscope_server.routes import captures, catalogue, jobs, maps
from attnscope_server.settings import Settings
from attnscope_server.state import Changes, State
from attnscope_server.supervisor import Supervisor
from attnscope_storage import __version__
from attnscope_storage.wire import ProblemCode, problem


def create_app(settings: Settings) -> FastAPI:
    """Return the service of these settings; its parts come to life when it is served."""
    app = FastAPI(title="attnscope", version=__version__, lifespan=_lifespan, openapi_url="/v1/openapi.json")
    app.state.settings = settings
    handlers.install(app)
    for router in (jobs.router, captures.router, maps.router, catalogue.router):
        app.include_router(router, prefix="/v1")
    app.include_router(catalogue.health)
    app.add_middleware(BodyLimit, limit=settings.limits.body_bytes)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the data root, open the database, run the supervisor; undo all of it at the end."""
    settings: Settings = app.state.settings
    prepare(settings)
    with held(settings.data_root):
        database = Database.open(settings.database_path, durable=settings.durable)
        state = _state(settings, database)
        state.changes.bind()
        app.state.service = state
        for job in state.jobs.deleted_leftovers():
            state.captures.remove(job)
            state.jobs.mark_removed(job)
        if settings.shipped_checkpoints:
            state.registry.add_shipped()
        state.supervisor.start()
        state.replays.process.start()
        state.ready = True
        try:
            yield
        finally:
            state.stopping = True
            state.changes.announce()
            await asyncio.to_thread(state.replays.process.stop)
            await asyncio.to_thread(state.supervisor.stop)
            database.close()


def _state(settings: Settings, database: Database) -> State:
    store, changes = JobStore(database), Changes()
    fixed = None if settings.api_key is None else settings.api_key.get_secret_value()
    return State(
        settings=settings,
        jobs=store,
        keys=KeyStore(database, fixed),
        registry=CheckpointRegistry(settings.checkpoints_folder),
        captures=Captures(settings.data_root),
        supervisor=Supervisor(settings, store, changes.announce),
        changes=changes,
        replays=Replays(settings),
        slices=asyncio.Semaphore(settings.limits.concurrent_slices),
        listings=Listings(settings.environments),
    )


class BodyLimit:
    """Refuse a body that is over the cap, or does not say how long it is, before it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdigit():
                document = problem(ProblemCode.INVALID_REQUEST, "send a Content-Length")
            elif int(length) > self.limit:
                detail = f"the body has {length} bytes"
                document = problem(ProblemCode.TOO_LARGE, detail, limit=self.limit, requested=int(length))
            else:
                await self.app(scope, receive, send)
                return
            await handlers.answer(document)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
