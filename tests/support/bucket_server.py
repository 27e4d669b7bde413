"""A bucket on this machine for tests: SeaweedFS on loopback ports of its own, or a server that ignores conditions."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

READY_WITHIN = 120.0
"""Seconds until a started server must take an object."""

CAPTURES: Final = "attnscope/root-*/captures/*"
"""Objects of the captures of a service whose prefix begins with ``root-``."""

ACTIONS: Final = {
    "whole": ["Admin", "Read", "Write", "List", "Tagging"],
    "worker": [f"{action}:{CAPTURES}" for action in ("Read", "Write", "List")],
    "every-service": [f"{action}:attnscope/*/captures/*" for action in ("Read", "Write", "List")],
}
"""Actions of each identity, by name."""


@dataclass
class BucketServer:
    """A started server."""

    endpoint: str
    command: list[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server on its own ports and files, and wait until it takes an object."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)
        _wait(self, self.folder / "log")

    def kill(self) -> None:
        """Kill -9 the server."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that say how to reach it."""
        return self.environment_of("whole")

    @property
    def worker_environment(self) -> dict[str, str]:
        """The same variables with keys that reach captures only."""
        return self.environment_of("worker")

    def environment_of(self, identity: str) -> dict[str, str]:
        """Return the variables with the keys of an identity."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": identity,
            "AWS_SECRET_ACCESS_KEY": f"{identity}-secret",
        }


def _identity(name: str, actions: list[str]) -> dict[str, object]:
    key = {"accessKey": name, "secretKey": f"{name}-secret"}
    return {"name": name, "credentials": [key], "actions": actions}


@contextlib.contextmanager
def seaweed(folder: Path) -> Iterator[BucketServer]:
    """Run SeaweedFS with its data in a folder."""
    identities = folder / "identities.json"
    identities.write_text(json.dumps({"identities": [_identity(name, actions) for name, actions in ACTIONS.items()]}))
    (folder / "data").mkdir(exist_ok=True)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = dict(zip((*names, "s3.port", "s3.port.grpc"), free_ports(8), strict=True))
    command = [
        program("weed"), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-s3", "-s3.iam=false", f"-s3.config={identities}", "-master.telemetry=false", "-master.electionTimeout=400ms",
        "-volume.max=8", "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with _running(command, f"http://127.0.0.1:{ports['s3.port']}", folder) as server:
        yield server


@contextlib.contextmanager
def heedless(folder: Path) -> Iterator[BucketServer]:
    """Run rclone's bucket, which ignores conditions."""
    (folder / "data" / "attnscope").mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    where = ["--addr", f"127.0.0.1:{port}", "--auth-key", "whole,whole-secret", "--config", os.devnull]
    command = [program("rclone"), "serve", "s3", *where, str(folder / "data")]
    with _running(command, f"http://127.0.0.1:{port}", folder) as server:
        yield server


def program(name: str) -> str:
    """Return a program that lies beside this Python, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found is not None, f"{name} is not installed: make setup-dev"
    return found


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, below those that the system gives to outgoing connections."""
    with contextlib.ExitStack() as opened:
        found: list[int] = []
        while len(found) < count:
            one, port = opened.enter_context(socket.socket()), random.randrange(15_000, 32_000)  # noqa: S311 - no secret
            with contextlib.suppress(OSError):  # somebody has it
                one.bind(("127.0.0.1", port))
                found.append(port)
        return found


@contextlib.contextmanager
def _running(command: list[str], endpoint: str, folder: Path) -> Iterator[BucketServer]:
    server = BucketServer(endpoint, command, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _wait(server: BucketServer, log: Path) -> None:
    options = {key.removeprefix("AWS_").lower(): value for key, value in server.environment.items()}
    until = time.monotonic() + READY_WITHIN
    while True:
        assert server.process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            store = S3Store("attnscope", config=options, retry_config={"max_retries": 0})
            obstore.put(store, "ready", b"1")
        except BaseError as error:
            failed = str(error)
        else:
            return
        assert time.monotonic() < until, f"{failed}\n{log.read_text(errors='replace')[-2000:]}"
        time.sleep(0.1)
