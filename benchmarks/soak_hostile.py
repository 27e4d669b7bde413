"""Hostile clients beside the soak's good ones, in a process of their own: bodies, connections, headers, lists, stops.

``python -m benchmarks.soak_hostile URL SECONDS PID`` with the key in ``SOAK_KEY``; prints what it did as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import psutil

from benchmarks.soak_clients import chance_of

IDLE_CONNECTIONS = 200
SLOW_CONNECTIONS = 20
LISTERS = 4
BODY_BYTES = 1_000_000
"""Size of an invalid body, just below the cap."""

STOPPED_SECONDS = (2.0, 6.0)
"""Seconds for which a worker is stopped; one in `LEFT_STOPPED` is never woken, and the service has to end it."""

LEFT_STOPPED = 4


@dataclass
class Hostile:
    """The values that the hostile threads share."""

    url: str
    key: str
    until: float
    service: psutil.Process
    did: Counter[str] = field(default_factory=Counter)

    @property
    def going(self) -> bool:
        """True while there is time left."""
        return time.monotonic() < self.until

    def client(self) -> httpx.Client:
        """Return a client that never tries again."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)

    def connect(self) -> socket.socket:
        """Open a connection."""
        where = urlsplit(self.url)
        assert where.hostname is not None
        return socket.create_connection((where.hostname, where.port or 80), timeout=10)

    def count(self, what: str, answer: httpx.Response) -> None:
        """Count an answer."""
        self.did[f"{what} {answer.status_code}"] += 1


def huge_bodies(hostile: Hostile) -> None:
    """Post a megabyte that is wrong everywhere, again and again."""
    wrong = json.dumps({"checkpoint": "AD", "steps": ["x"] * (BODY_BYTES // 6)})[:BODY_BYTES]
    fields = json.dumps({f"f{number}": None for number in range(BODY_BYTES // 20)})
    with hostile.client() as http:
        while hostile.going:
            for body in (wrong, fields):
                with suppress(httpx.HTTPError):
                    answer = http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
                    hostile.count("huge body", answer)


def idle_connections(hostile: Hostile) -> None:
    """Hold two hundred connections and send nothing; open again what is closed."""
    held: list[socket.socket] = []
    while hostile.going:
        held = [connection for connection in held if not _closed(connection)]
        with suppress(OSError):
            while len(held) < IDLE_CONNECTIONS:
                held.append(hostile.connect())
                hostile.did["idle connections opened"] += 1
        time.sleep(1)
    for connection in held:
        connection.close()


def _closed(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def slow_headers(hostile: Hostile) -> None:
    """Send requests of which a byte arrives every second."""
    header = b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 10_000
    sending: list[tuple[socket.socket, int]] = []
    while hostile.going:
        with suppress(OSError):
            while len(sending) < SLOW_CONNECTIONS:
                sending.append((hostile.connect(), 0))
                hostile.did["slow requests begun"] += 1
        gone_on = []
        for connection, sent in sending:
            with suppress(OSError):
                connection.sendall(header[sent : sent + 1])
                gone_on.append((connection, sent + 1))
        sending = gone_on
        time.sleep(1)
    for connection, _ in sending:
        connection.close()


def list_storm(hostile: Hostile) -> None:
    """Ask for the longest pages of whole jobs, one after the other without a pause."""
    with hostile.client() as http:
        while hostile.going:
            with suppress(httpx.HTTPError):
                hostile.count("list", http.get("/v1/jobs", params={"limit": 1000}))


def stopped_workers(hostile: Hostile) -> None:
    """Stop a worker that has committed since the last time; wake it later, or leave it to the service."""
    chance, last, number = chance_of(1), {}, 0
    with hostile.client() as http:
        while hostile.going:
            time.sleep(chance.uniform(3, 9))
            with suppress(httpx.HTTPError, psutil.Error, KeyError):
                for job in http.get("/v1/jobs", params={"state": "running", "view": "summary"}).json()["jobs"]:
                    committed = job["progress"]["steps_committed"]
                    if committed <= last.get(job["id"], 0):
                        continue
                    last[job["id"]], number = committed, number + 1
                    _stop(hostile, chance.uniform(*STOPPED_SECONDS), woken=number % LEFT_STOPPED != 0)


def _stop(hostile: Hostile, seconds: float, *, woken: bool) -> None:
    for child in hostile.service.children():
        if "attnscope_server.running.worker" in child.cmdline():
            child.send_signal(signal.SIGSTOP)
            hostile.did["workers stopped" if woken else "workers stopped for good"] += 1
            if woken:
                time.sleep(seconds)
                child.send_signal(signal.SIGCONT)


def main() -> None:
    """Be hostile until the time is up."""
    url, seconds, service = sys.argv[1:4]
    until = time.monotonic() + float(seconds)
    hostile = Hostile(url, os.environ["SOAK_KEY"], until, psutil.Process(int(service)))
    targets = [huge_bodies, idle_connections, slow_headers, stopped_workers, *[list_storm] * LISTERS]
    threads = [threading.Thread(target=target, args=(hostile,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(dict(sorted(hostile.did.items()))))


if __name__ == "__main__":
    main()
