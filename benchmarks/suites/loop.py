"""The time that a wrong body of a megabyte holds the service's event loop: work of its thread, and wall time.

A probe on the loop asks to be called every millisecond; how much later it is called is a hold. Bodies are posted by a
process of its own, so that the client takes no time from the loop. Wall time holds what other programs take too.
"""

from __future__ import annotations

import multiprocessing
import runpy
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import httpx

from attnscope_server import logs
from attnscope_server.serving import Running, serve_background
from attnscope_server.settings import Settings

BODIES: Final = Path(__file__).resolve().parents[2] / "tests" / "support" / "bodies.py"
"""Every kind of body that the tests post."""

PROBE_SECONDS: Final = 0.001
"""Seconds between two calls that the probe asks for."""

DEAF: Final = (sys.executable, "-c", "import sys; [line for line in sys.stdin]")
"""Starts a worker that does nothing."""


class Probe:
    """The longest hold of an event loop since it was last asked about, in seconds."""

    def __init__(self, loop: Any) -> None:  # noqa: ANN401 - asyncio's loop of another thread
        self._loop, self._longest = loop, 0.0
        loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._loop.call_later(PROBE_SECONDS, self._called)

    def _called(self) -> None:
        self._longest = max(self._longest, time.perf_counter() - self._asked - PROBE_SECONDS)
        self._ask()

    def taken(self) -> float:
        """Return the longest hold, and begin anew."""
        longest, self._longest = self._longest, 0.0
        return longest


def posting(pipe: Connection, url: str, key: str) -> None:
    """Send what the pipe says, and answer with the seconds that it took; None ends."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=120) as http:
        while (body := pipe.recv()) is not None:
            begun = time.perf_counter()
            if body:
                http.post("/v1/jobs:estimate", content=body)
            else:
                http.get("/v1/whoami")
            pipe.send(time.perf_counter() - begun)


def held(running: Running, send: Callable[[bytes], float], bodies: dict[str, bytes], rounds: int) -> dict[str, Any]:
    """Return, by body, processor time of the loop's thread and its longest hold, in milliseconds; medians of rounds."""
    (thread,) = (one for one in threading.enumerate() if one.name == "service")
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    probe, taken = Probe(running.state.changes._loop), {name: [] for name in bodies}  # noqa: SLF001 - looked at only
    for _ in range(rounds + 1):
        for name, body in bodies.items():
            probe.taken()
            before = time.clock_gettime(clock)
            seconds = send(body)
            taken[name].append((time.clock_gettime(clock) - before, probe.taken(), seconds))
    return {
        name: dict(
            zip(
                ("loop cpu ms", "longest hold ms", "request ms"),
                (round(1e3 * statistics.median(column), 3) for column in zip(*rows[1:], strict=True)),
                strict=True,
            )
        )
        for name, rows in taken.items()
    }


def run(*, quick: bool = False) -> dict[str, Any]:
    """Print a line for each kind of body, beside an idle request."""
    logs.configure("json", "error")
    told = runpy.run_path(str(BODIES))
    bodies = {"idle request": b""} | {name: told["filled"](make).encode() for name, make in told["BODIES"].items()}
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory() as folder:
        where = Settings(
            data_root=Path(folder), port=0, announce=False, durable=False, worker_command=DEAF, log_level="error"
        )
        with serve_background(where) as running:
            client = multiprocessing.get_context("spawn").Process(
                target=posting, args=(theirs, running.url, running.key), daemon=True
            )
            client.start()

            def send(body: bytes) -> float:
                mine.send(body)
                return float(mine.recv())

            found = held(running, send, bodies, 3 if quick else 15)
            mine.send(None)
            client.join()
    idle = found["idle request"]
    worst = {name: max(found[body][name] for body in found if body != "idle request") for name in idle}
    for body, row in found.items():
        print(f"   {body:24} {row['loop cpu ms']:8.2f} ms of work, {row['longest hold ms']:8.2f} ms longest hold")
    ratios = {
        "work, worst over idle": round(worst["loop cpu ms"] / idle["loop cpu ms"], 2),
        "longest hold, worst over an idle request": round(worst["longest hold ms"] / idle["request ms"], 2),
    }
    print(f"   idle request {idle['request ms']:.2f} ms; {ratios}")
    return {"bodies": found, **ratios}
