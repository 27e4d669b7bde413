"""`attnscope-server serve` as a process that can be killed and started again on the same root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.service import Service

KEY = "a-fixed-key-for-tests-only"


@dataclass
class ServerProcess:
    """`attnscope-server serve` as a process that can be killed and started again on the same root."""

    root: Path
    process: subprocess.Popen[str] | None = None
    url: str = ""
    closing: list[Callable[[], None]] = field(default_factory=list)
    more: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""

    def start(self, port: int = 0) -> Service:
        """Start the service, on a free port or where it was before; return a client of it."""
        environment = os.environ | {
            "ATTNSCOPE_SERVER_API_KEY": KEY,
            "ATTNSCOPE_SERVER_DURABLE": "false",
            "ATTNSCOPE_SERVER_THREADS": "1",
            **self.more,
        }
        command = [sys.executable, "-c", "from attnscope_server.cli import main; main()", "serve"]
        command += ["--data-root", str(self.root), "--port", str(port), "--no-announce"]
        log = (self.root.parent / "service.log").open("a")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        log.close()
        said = self.process.stdout.readline()
        assert said.startswith("listening on "), (self.root.parent / "service.log").read_text()
        self.url = said.split()[-1]
        client = Service(Transport(Connection(self.url, KEY, "a test")))
        self.closing.append(client.close)
        return client

    def worker(self, seconds: float = 60) -> psutil.Process:
        """Return the worker's process, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            children = [
                child
                for child in psutil.Process(self.process.pid).children()
                if "attnscope_server.running.worker" in " ".join(child.cmdline())
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
