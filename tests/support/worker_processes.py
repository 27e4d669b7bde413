"""Processes of `attnscope-server worker` for one service, and the signals that a test sends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

SECONDS = 300.0
"""Seconds until a thing that must come is given up."""


def wait_until(condition: Callable[[], object], why: str = "it did not come to that in time") -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


class Fleet:
    """Worker processes of one service.

    Parameters
    ----------
    more
        Environment variables of the workers beside this process's own.
    """

    def __init__(self, folder: Path, url: str, key: str, more: Mapping[str, str] | None = None) -> None:
        self.folder, self.url, self.environment = folder, url, {**os.environ, **(more or {})}
        self.key = folder / "worker.key"
        self.key.write_text(key, encoding="ascii")
        self.key.chmod(0o600)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *further: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        command = [sys.executable, "-c", "from attnscope_server.cli import main; main()", "worker"]
        command += ["--service", self.url, "--key-file", str(self.key), "--name", name, "--device", "cpu"]
        command += ["--threads", "1", "--cache", str(self.folder / "cache"), *further]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=self.environment))
        return self.processes[-1]

    def log(self) -> str:
        """Return what all workers have logged."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("*.log"))

    def end(self) -> None:
        """End what still runs, stopped processes too."""
        for process in self.processes:
            if process.poll() is None:
                everybody(process, signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                everybody(process, signal.SIGKILL)
                process.wait()


def everybody(process: subprocess.Popen[bytes], way: signal.Signals) -> None:
    """Send a signal to a worker and to its child."""
    for one in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
        one.send_signal(way)


@pytest.fixture
def fleet(tmp_path) -> Iterator[Callable[..., Fleet]]:
    """Return a function that gives a service its worker processes."""
    made = []

    def make(running) -> Fleet:
        made.append(Fleet(tmp_path, running.url, running.state.keys.create_worker()))
        return made[-1]

    yield make
    for one in made:
        one.end()


def places(running) -> dict[str, object]:
    """Return the job of each slot that has one, by the slot's name."""
    return {place.slot.name: place.job for place in running.state.supervisor.places() if place.job is not None}
