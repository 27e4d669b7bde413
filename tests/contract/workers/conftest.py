"""A service whose jobs run at workers that ask for them, and such workers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from attnscope_server.pulling.cache import CheckpointCache
from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.hardware import Hardware
from attnscope_server.pulling.means import Means
from attnscope_server.pulling.worker import PullWorker
from attnscope_server.serving import Running, serve_background

COMMAND = (sys.executable, "-m", "attnscope_server.running.worker")


@pytest.fixture(scope="module")
def pulled(service_settings) -> Iterator[Running]:
    """Return a running service that has no device of its own."""
    with serve_background(service_settings(runners=("pull",), alive_seconds=0.5, lease_seconds=20.0)) as running:
        yield running


@pytest.fixture(scope="module")
def lent(tmp_path_factory) -> Iterator[Callable]:
    """Return a function that starts a worker in a thread, for as long as its context lasts."""
    cache = tmp_path_factory.mktemp("cache")

    @contextmanager
    def start(running, *, key=None, name="box", **changes) -> Iterator[PullWorker]:
        key = key or running.state.keys.create_worker()
        means = {
            "name": name,
            "hardware": Hardware(device="cpu", name="cpu"),
            "cache": CheckpointCache(cache, 2**30),
            "command": COMMAND,
            "threads": 1,
        }
        if "stores" not in changes:
            means["stores"] = str(running.settings.data_root)
        with ExitStack() as opened:
            connection = Connection(running.url, key)
            opened.callback(connection.close)
            worker = PullWorker(connection, Means(**(means | changes)))
            thread = threading.Thread(target=worker.serve, daemon=True)
            thread.start()
            try:
                yield worker
            finally:
                worker.drain()
                thread.join(60)
                assert not thread.is_alive(), "the worker does not end"

    return start
