"""Running of the app that `attnscope_server.app` builds: until a signal, or in the background of a test or notebook."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from attnscope_env.presets.listing import EnvironmentPackageError, Listings
from attnscope_model.strategies.registry import strategies
from attnscope_server.app import create_app
from attnscope_server.errors import AddressUnusableError, ExposureError, ServiceError, SettingUnusableError
from attnscope_server.http.connections import bounded_connections
from attnscope_server.http.state import State
from attnscope_server.root.data_root import announce, local_key, withdraw
from attnscope_server.running.devices import refuse_unusable
from attnscope_server.settings import Settings

START_SECONDS = 60.0
"""Time that a background service may take to start."""


class _Server(uvicorn.Server):
    """A server that announces its start and its end, also where a signal ends its process."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], ended: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening
        self._ended = ended

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ended()
        await super().shutdown(sockets)


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    url: str
    key: str
    settings: Settings
    state: State


def refuse_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine without TLS.

    Raises
    ------
    ExposureError
        The host is not loopback, there are no TLS files, and nobody said that a proxy is in front.
    """
    if not (settings.on_loopback or settings.behind_proxy or settings.tls_certificate):
        raise ExposureError(
            f"{settings.host} is reachable from other machines and keys would travel in the clear: "
            "listen on 127.0.0.1 and use ssh -L, name TLS files, or say --behind-proxy"
        )


def refuse_unusable_settings(settings: Settings) -> None:
    """Refuse settings by which every job, or every start, would fail later.

    Raises
    ------
    SettingUnusableError
        A device, a program or a folder that they name is not here, or an environment cannot be listed.
    StrategyPackageError
        An installed package's strategy cannot be used.
    """
    for command in (settings.worker_command, settings.replay_command):
        if shutil.which(command[0]) is None:
            raise SettingUnusableError(f"there is no program {command[0]}, which is to start workers or replays")
    if settings.announce:
        folder = settings.announce_folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            reason = None if os.access(folder, os.W_OK | os.X_OK) else "it cannot be written"
        except OSError as error:
            reason = error.strerror or str(error)
        if reason is not None:
            raise SettingUnusableError(f"{folder}, where the local client looks: {reason}; or say --no-announce")
    refuse_unusable(settings.devices)
    strategies()
    try:
        _ = Listings(settings.environments).ids
    except EnvironmentPackageError as error:
        raise SettingUnusableError(str(error)) from error


def _listening(settings: Settings) -> socket.socket:
    """Return the socket that the service listens on.

    Raises
    ------
    AddressUnusableError
        Something else listens there, or this machine has no such address, or the account may not use it.
    """
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except (OSError, OverflowError) as error:
        where = f"port {settings.port} of {settings.host}"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            detail = (
                f"{where} is taken: stop the program that listens there, or name another --port (0 takes a free one)"
            )
        else:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            detail = f"the service cannot listen on {where}: {reason}; name another --host or --port"
        raise AddressUnusableError(detail) from error


def _prepared(settings: Settings, listening: Callable[[Running], None]) -> tuple[_Server, socket.socket]:
    refuse_exposure(settings)
    refuse_unusable_settings(settings)
    app = create_app(settings)
    config = _configured(app, settings)
    place = _listening(settings)
    # Inherited too. asyncio sets it only on sockets that name their protocol; without it the body of an answer waits
    # for the header's acknowledgement, which its receiver delays by 40 ms.
    place.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited: the kernel, too, closes a connection whose peer takes no data
        patience = round(2000 * settings.limits.reader_seconds)
        place.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
    url = f"{settings.scheme}://{settings.host}:{place.getsockname()[1]}"

    def on_listening() -> None:
        state: State = app.state.service
        key = local_key(settings, state.keys)
        announce(settings, url, key)
        listening(Running(url, key, settings, state))

    server = _Server(config, on_listening, lambda: withdraw(settings, url))

    def stop() -> None:
        server.should_exit = True

    app.state.stop = stop  # a service that has lost its database must not go on
    return server, place


def _configured(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return the server's configuration, with the TLS files read.

    Raises
    ------
    SettingUnusableError
        They cannot be read, or do not belong together.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        http=bounded_connections(settings.limits),
        h11_max_incomplete_event_size=settings.limits.header_bytes,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # errors of TLS are such too
        files = f"the TLS files {settings.tls_certificate} and {settings.tls_key}"
        raise SettingUnusableError(f"{files} cannot be used: {error.strerror or error}") from error
    return config


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    server, place = _prepared(settings, lambda running: print(f"listening on {running.url}", flush=True))  # noqa: T201
    server.run(sockets=[place])
    if not server.started:
        raise ServiceError("the service did not start; its log says why")


@contextmanager
def serve_background(settings: Settings) -> Iterator[Running]:
    """Serve on a thread while the context lasts; port 0 takes a free one."""
    answered: list[Running] = []
    server, place = _prepared(settings, answered.append)
    thread = threading.Thread(target=lambda: server.run(sockets=[place]), name="service", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not answered and thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.02)
    if not answered:
        server.should_exit = True
        place.close()
        raise ServiceError("the service did not start; its log says why")
    try:
        yield answered[0]
    finally:
        server.should_exit = True
        thread.join()
        place.close()
