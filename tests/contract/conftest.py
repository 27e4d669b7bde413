"""A real service on a real socket, in a fresh data root, with the shipped checkpoint and torch on one thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from attnscope.connection import Connection
from attnscope.service import Service
from attnscope.transport import Transport
from attnscope_server.serving import Running, serve_background
from attnscope_server.settings import Settings
from attnscope_storage.reader import CaptureReader

KEY = "a-fixed-key-for-tests-only"


def settings(root: Path, **changes) -> Settings:
    """Return settings of a small service."""
    return Settings(**({"data_root": root, "port": 0, "announce": False, "threads": 1, "durable": False} | changes))


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Running]:
    """Return a running service."""
    with serve_background(settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def client(service) -> Iterator[Service]:
    """Return a client of the running service."""
    with Service(Transport(Connection(service.url, service.key, "a test"))) as connected:
        yield connected


@dataclass
class ServerProcess:
    """`attnscope-server serve` as a process that can be killed and started again on the same root."""

    root: Path
    process: subprocess.Popen[str] | None = None
    url: str = ""
    closing: list[Callable[[], None]] = field(default_factory=list)

    def start(self) -> Service:
        """Start the service; return a client of it."""
        environment = os.environ | {
            "ATTNSCOPE_SERVER_API_KEY": KEY,
            "ATTNSCOPE_SERVER_DURABLE": "false",
            "ATTNSCOPE_SERVER_THREADS": "1",
        }
        command = [sys.executable, "-c", "from attnscope_server.cli import main; main()", "serve"]
        command += ["--data-root", str(self.root), "--port", "0", "--no-announce"]
        log = (self.root.parent / "service.log").open("a")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        log.close()
        said = self.process.stdout.readline()
        assert said.startswith("listening on "), (self.root.parent / "service.log").read_text()
        client = Service(Transport(Connection(said.split()[-1], KEY, "a test")))
        self.closing.append(client.close)
        return client

    def worker(self, seconds: float = 60) -> psutil.Process:
        """Return the worker's process, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            children = [
                child
                for child in psutil.Process(self.process.pid).children()
                if "attnscope_server.worker" in " ".join(child.cmdline())
            ]
            if children:
                return children[0]
            time.sleep(0.02)
        raise AssertionError("no worker was started")

    def kill(self) -> None:
        """Kill -9 the service."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self) -> None:
        """Stop the service in an orderly way."""
        for close in self.closing:
            close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
            self.process.stdout.close()


@pytest.fixture
def server(tmp_path) -> Iterator[ServerProcess]:
    """Return a service in a process of its own, not started yet."""
    root = tmp_path / "root"
    root.mkdir()
    process = ServerProcess(root)
    yield process
    process.stop()


def decoded(path: Path) -> dict[str, np.ndarray]:
    """Return every decoded array of a capture's folder."""
    reader = CaptureReader.open(path)
    return {name: reader.array(name)[:] for name in reader.names()}


@pytest.fixture
def differing() -> Callable[[Path, Path], list[str]]:
    """Return a function that names the arrays of two captures that are not bit-equal."""

    def compare(one: Path, other: Path) -> list[str]:
        left, right = decoded(one), decoded(other)
        assert left.keys() == right.keys()
        return [n for n, v in left.items() if not np.array_equal(v, right[n], equal_nan=v.dtype.kind == "f")]

    return compare


@pytest.fixture
def second_service(tmp_path):
    """Return a function that serves with other settings."""

    @contextmanager
    def serve(**changes) -> Iterator[Running]:
        with serve_background(settings(tmp_path / "second", **changes)) as running:
            yield running

    return serve
