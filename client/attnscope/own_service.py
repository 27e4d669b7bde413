"""A service of one's own on this machine, for as long as a program needs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Final

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.errors import ConnectionFailedError
from attnscope.service import Service

START_SECONDS = 120.0
"""Until a service that said nothing is given up."""

PATIENT: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of the service: a thread that waits for another one sleeps.

Threads that spin instead burn many times the work's own CPU time where other programs hold the cores.
"""


@contextmanager
def own_service(root: Path) -> Iterator[Service]:
    """Run `attnscope-server` as a subprocess on a free loopback port, and connect to it.

    Raises
    ------
    ConnectionFailedError
        The server is not installed, or did not start.
    """
    program = server_program()
    environment = {**PATIENT, **os.environ, "ATTNSCOPE_SERVER_API_KEY": os.urandom(24).hex()}
    command = [program, "serve", "--data-root", str(root), "--port", "0", "--no-announce"]
    with (root / "service.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program, its arguments from here
            command, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8", env=environment
        )
    try:
        line = _first_line(process)
        if not line.startswith("listening on "):
            raise ConnectionFailedError(f"the service did not start: {_last_line(root / 'service.log')}")
        url = line.removeprefix("listening on ").strip()
        with Service(Transport(Connection(url, environment["ATTNSCOPE_SERVER_API_KEY"], "the demo"))) as service:
            yield service
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def server_program() -> str:
    """Return the program that runs a service on this machine.

    Raises
    ------
    ConnectionFailedError
        It is not installed.
    """
    program = shutil.which("attnscope-server") or str(Path(sys.executable).with_name("attnscope-server"))
    if not Path(program).exists():
        raise ConnectionFailedError("this needs the server too: pip install 'attnscope[server]'")
    return program


def _last_line(log: Path) -> str:
    """Return what the service said last: a reason, or the end of its own traceback."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else f"it said nothing for {START_SECONDS:.0f} s"


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return the line that says where the service listens; empty where it ended or said nothing in time."""
    giving_up = Timer(START_SECONDS, process.terminate)
    giving_up.start()
    try:
        return process.stdout.readline() if process.stdout else ""
    finally:
        giving_up.cancel()
