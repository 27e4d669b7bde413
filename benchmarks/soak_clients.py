"""The clients of the soak: they act at random and check all that they read, while another thread kills the worker."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

import attnscope
from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.errors import BusyError, GoneError
from attnscope.service import Service
from attnscope_storage.wire import JobState

LIVE_JOBS = 12
"""Jobs that are queued or run at once, at most; more would only wait."""

KEPT_JOBS = 40
"""Ended jobs that are kept for reading; older ones are deleted."""

ARRAYS = ("attention/rows", "stats/entropy", "rollout/action", "policy/logits", "context/length", "rollout/reward")
SPECS: tuple[dict[str, Any], ...] = (
    {"checkpoint": "AD-darkroom", "steps": 160, "tasks": {"goals": [(5, 4)]}, "maps": {"steps": [99, 159]}},
    {"checkpoint": "AD-darkroom", "steps": 60, "tasks": {"goals": [(0, 8)]}, "seeds": (0, 1), "maps": {"count": 0}},
    {
        "checkpoint": "AD-darkroom",
        "steps": 240,
        "tasks": {"goals": [(2, 2)]},
        "rows": {"every": 3},
        "maps": {"count": 1},
    },
)


def chance_of(seed: int) -> random.Random:
    """Return random numbers that are the same each time."""
    return random.Random(seed)  # noqa: S311 - spreads load, guards nothing


@dataclass
class Soak:
    """The values that the threads share."""

    url: str
    key: str
    until: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    expected: list[dict[str, np.ndarray]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers to these clients by status; a 503 that says when to come back apart."""
    seconds: list[float] = field(default_factory=list)
    """From each request to the header of its answer; polls that the service was asked to hold are left out."""
    live: dict[str, int] = field(default_factory=dict)
    """Job → its specification, while it has not ended."""
    ended: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self) -> Service:
        """Return a client of its own connections, whose requests are timed."""
        return Service(Timed(Connection(self.url, self.key, "the soak"), self))

    def compare(self, what: str, got: np.ndarray, wanted: np.ndarray) -> None:
        """Count what was checked, bit for bit."""
        self.done["values checked"] += got.size
        if got.shape != wanted.shape or got.tobytes() != wanted.tobytes():
            self.wrong.append(what)

    def pick(self, jobs: dict[str, int], chance: random.Random) -> tuple[str, int] | None:
        """Return one of the jobs."""
        with self.lock:
            return chance.choice(list(jobs.items())) if jobs else None


class Timed(Transport):
    """A transport that counts every answer before it tries again, and times it."""

    def __init__(self, connection: Connection, soak: Soak) -> None:
        super().__init__(connection)
        self._soak = soak
        self._client.event_hooks = {"request": [self._began], "response": [self._answered]}

    def _began(self, request: httpx.Request) -> None:
        request.extensions["begun"] = time.perf_counter()

    def _answered(self, response: httpx.Response) -> None:
        took = time.perf_counter() - response.request.extensions["begun"]
        later = response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in response.headers
        self._soak.statuses[f"{response.status_code}{' with Retry-After' if later else ''}"] += 1
        if "wait" not in response.request.url.params and time.monotonic() < self._soak.until:
            self._soak.seconds.append(took)


def submit(soak: Soak, client: Service, chance: random.Random) -> None:
    """Queue a job where few wait."""
    which = chance.randrange(len(SPECS))
    with soak.lock:
        if len(soak.live) >= LIVE_JOBS:
            return
    job = client.submit(**SPECS[which])
    with soak.lock:
        soak.live[str(job.id)] = which


def poll(soak: Soak, client: Service, chance: random.Random) -> None:
    """Ask how far a job is, sometimes until it changes."""
    found = soak.pick(soak.live, chance)
    if found is None:
        return
    job = client.job(found[0])
    job.refresh(wait=chance.choice([0.0, 0.0, 2.0]))
    if job.state.final:
        with soak.lock:
            first = soak.live.pop(found[0], None) is not None  # another client may have seen it end already
            if first:
                soak.ended[found[0]] = found[1]
                soak.done[f"jobs {job.state}"] += 1
        if first and job.state is not JobState.SUCCEEDED:
            soak.failed.append(f"{found[0]}: {job.info.failure}")


def cut(soak: Soak, client: Service, chance: random.Random) -> None:
    """Slice a job's arrays at random, of a running one as far as it is committed."""
    found = soak.pick({**soak.live, **soak.ended}, chance)
    if found is None:
        return
    with suppress(LookupError):  # nothing is committed yet
        capture = client.job(found[0]).capture()
        name = chance.choice(ARRAYS)
        array, wanted = capture[name], soak.expected[found[1]][name]
        if len(array):
            first = chance.randrange(len(array))
            last = chance.randint(first + 1, min(len(array), first + 40))
            soak.compare(f"slice {name}[{first}:{last}] of {found[0]}", array[first:last], wanted[first:last])


def download(soak: Soak, client: Service, chance: random.Random) -> None:
    """Download an ended job's capture, and compare every array."""
    found = soak.pick(soak.ended, chance)
    if found is None:
        return
    with tempfile.TemporaryDirectory(prefix="soak-download-") as folder:
        offline = attnscope.open(client.job(found[0]).capture().download(Path(folder) / "c.zarr"))
        for name, wanted in soak.expected[found[1]].items():
            soak.compare(f"download {name} of {found[0]}", offline[name][:], wanted)


def tidy(soak: Soak, client: Service, chance: random.Random) -> None:
    """List jobs, and delete one of too many."""
    for number, _ in enumerate(client.jobs()):
        if number >= 20:
            break
    with soak.lock:
        gone = chance.choice(list(soak.ended)) if len(soak.ended) > KEPT_JOBS else None
        if gone is not None:
            del soak.ended[gone]
    if gone is not None:
        client.job(gone).delete()


ACTIONS = ((submit, 3), (poll, 8), (cut, 8), (download, 1), (tidy, 1))


def one_client(soak: Soak, number: int) -> None:
    """Do one thing after another until the time is up."""
    chance = chance_of(number)
    actions, weights = zip(*ACTIONS, strict=True)
    with soak.client() as client:
        while time.monotonic() < soak.until:
            action = chance.choices(actions, weights)[0]
            try:
                action(soak, client, chance)
                soak.done[action.__name__] += 1
            except GoneError:
                soak.done["read while it was deleted"] += 1
            except BusyError:
                soak.done["told to come back"] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the report names it
                soak.failed.append(f"{action.__name__}: {type(error).__name__}: {error}")
            time.sleep(chance.uniform(0, 0.2))


def killer(soak: Soak, service: psutil.Process) -> None:
    """Kill the worker at random, but only once its job has committed again: three deaths without fail a job."""
    chance, last = chance_of(0), {}
    with soak.client() as client:
        while time.monotonic() < soak.until:
            time.sleep(chance.uniform(2, 8))
            with suppress(Exception):
                for job in client.jobs(states=[JobState.RUNNING]):
                    committed = job.summary.progress.steps_committed
                    if committed > last.get(job.id, 0):
                        last[job.id] = committed
                        for child in service.children():
                            if "attnscope_server.running.worker" in child.cmdline():
                                child.kill()
                                soak.done["workers killed"] += 1
