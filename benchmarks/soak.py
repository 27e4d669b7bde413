"""Fifty clients on one loopback service while jobs run and the worker is killed at random; every value is checked.

``make soak`` does this twice for five minutes (``MINUTES=…``), without and with hostile clients beside the good ones
(`benchmarks.soak_hostile`), and prints what it counted as JSON. It ends with status 1 where a good client saw a 5xx
other than a 503 that says when to come back, a wrong value, an unended job, growing memory, or a p99.9 of more than
`SLOWER` times that of the run without hostile clients.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.soak_clients import SPECS, Soak, chance_of, killer, one_client, poll

CLIENTS = 50
PROBE_SECONDS = 15.0
"""Length of each latency measurement."""

SLOWER = 5.0
"""Factor by which hostile clients may raise the good ones' p99.9."""

GROWTH = 1.15
"""Factor that the service's memory may grow by between the second and the last quarter, and stay called flat."""


def probe(soak: Soak, seconds: float) -> dict[str, float]:
    """Return the latency of polls and slices, one after the other, in milliseconds."""
    taken: dict[str, list[float]] = {"poll": [], "slice": []}
    job = next(iter(soak.ended))
    headers = {"Authorization": f"Bearer {soak.key}"}
    end = time.monotonic() + seconds
    with httpx.Client(base_url=soak.url, headers=headers) as http:
        while time.monotonic() < end:
            for kind, path in (
                ("poll", f"jobs/{job}"),
                ("slice", f"captures/{job}/slice?array=attention/rows&step=9"),
            ):
                begun = time.perf_counter()
                http.get(f"/v1/{path}").raise_for_status()
                taken[kind].append(1e3 * (time.perf_counter() - begun))
            time.sleep(0.02)
    quantiles = {kind: statistics.quantiles(times, n=20) for kind, times in taken.items()}
    return {f"{kind} p{q}": round(found[at], 1) for kind, found in quantiles.items() for q, at in ((50, 9), (95, 18))}


def metrics(soak: Soak) -> dict[str, float]:
    """Return the service's own counts of its answers, by status."""
    text = httpx.get(f"{soak.url}/metrics", headers={"Authorization": f"Bearer {soak.key}"}).text
    found: Counter[str] = Counter()
    for status, count in re.findall(r'attnscope_request_seconds_count\{.*?status="(\d+)"\} (\S+)', text):
        found[status] += round(float(count))
    return dict(sorted(found.items()))


def prepare(soak: Soak, probe_seconds: float) -> dict[str, dict[str, float]]:
    """Capture each specification once, undisturbed; measure latencies without and with a running job."""
    with soak.client() as client:
        for which, spec in enumerate(SPECS):
            job = client.submit(**spec).wait()
            capture = job.capture()
            soak.expected.append({name: capture[name][:] for name in capture.names()})
            soak.ended[str(job.id)] = which
        idle = probe(soak, probe_seconds)
        job = client.submit(checkpoint="AD-darkroom", steps=10**6, tasks={"goals": [(5, 4)]}, maps={"count": 0})
        while job.refresh(wait=0.2).info.progress.steps_committed == 0:
            time.sleep(0.05)
        busy = probe(soak, probe_seconds)
        job.cancel()
    print("soaking …", file=sys.stderr, flush=True)
    return {"latency ms, no job": idle, "latency ms, a job running": busy}


def run(soak: Soak, service: psutil.Process, minutes: float, probe_seconds: float, hostile: bool) -> dict[str, Any]:
    """Let every client loose, then wait until every job has ended; return what was seen."""
    report: dict[str, Any] = prepare(soak, probe_seconds)
    soak.seconds.clear()
    soak.statuses.clear()
    soak.until = time.monotonic() + 60 * minutes
    threads = [threading.Thread(target=one_client, args=(soak, number)) for number in range(CLIENTS)]
    threads.append(threading.Thread(target=killer, args=(soak, service)))
    enemies = attack(soak, service, 60 * minutes) if hostile else None
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(service.memory_info().rss / 2**20)
        time.sleep(1)
    if enemies is not None:
        report["hostile"] = json.loads(enemies.communicate(timeout=120)[0])
    finish(soak)
    quarter = max(1, len(memory) // 4)
    early, late = statistics.median(memory[quarter : 2 * quarter] or memory), statistics.median(memory[-quarter:])
    report |= {"done": dict(sorted(soak.done.items())), "answers by status": metrics(soak)}
    report["answers to good clients"] = dict(sorted(soak.statuses.items()))
    report["good clients, ms"] = {f"p{q}": round(1e3 * at(soak.seconds, q), 1) for q in (50, 95, 99, 99.9)}
    report |= {
        "service memory MiB": {"second quarter": round(early, 1), "last": round(late, 1), "peak": round(max(memory), 1)}
    }
    report |= {"wrong": soak.wrong[:20], "failed": soak.failed[:20], "jobs not ended": len(soak.live)}
    serious = [status for status in soak.statuses if status.startswith("5") and "Retry-After" not in status]
    report["load"] = [round(load, 1) for load in os.getloadavg()]
    report["ok"] = not (serious or soak.wrong or soak.failed or soak.live or late > GROWTH * early)
    return report


def attack(soak: Soak, service: psutil.Process, seconds: float) -> subprocess.Popen[str]:
    """Start the hostile clients in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.soak_hostile", soak.url, str(seconds), str(service.pid)]
    environment = os.environ | {"SOAK_KEY": soak.key}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, encoding="utf-8")


def finish(soak: Soak) -> None:
    """Wait until every job has ended, for some minutes at most."""
    with soak.client() as client:
        deadline = time.monotonic() + 300
        while soak.live and time.monotonic() < deadline:
            for job in list(soak.live):
                poll(soak, client, chance_of(1)) if client.job(job).refresh(wait=5.0).state.final else None


def at(seconds: list[float], percent: float) -> float:
    """Return the time within which so many of a hundred requests were answered; the longest where there are few."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def soaked(minutes: float, probe_seconds: float, hostile: bool) -> dict[str, Any]:
    """Start a service of its own on a free loopback port, soak it, and return what was seen."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        key = os.urandom(24).hex()
        command = [sys.executable, "-c", "from attnscope_server.cli import main; main()", "serve", "--port", "0"]
        command += ["--data-root", f"{folder}/root", "--no-announce", "--threads", "1"]
        with Path(f"{folder}/log").open("w", encoding="utf-8") as log:
            environment = os.environ | {"ATTNSCOPE_SERVER_API_KEY": key, "ATTNSCOPE_SERVER_SILENT_SECONDS": "20"}
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, encoding="utf-8"
            )
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            return run(Soak(said.split()[-1], key), psutil.Process(process.pid), minutes, probe_seconds, hostile)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def main() -> None:
    """Soak without and with hostile clients, and report both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--probe-seconds", type=float, default=PROBE_SECONDS)
    asked = parser.parse_args()
    minutes = min(60.0, asked.minutes)
    calm, attacked = (soaked(minutes, asked.probe_seconds, hostile) for hostile in (False, True))
    slower = attacked["good clients, ms"]["p99.9"] / calm["good clients, ms"]["p99.9"]
    ok = calm["ok"] and attacked["ok"] and slower <= SLOWER
    report = {"without hostile clients": calm, "with hostile clients": attacked}
    print(json.dumps(report | {"p99.9 with / without": round(slower, 2), "ok": ok}, indent=1))
    raise SystemExit(0 if ok else 1)


if __name__ == "__main__":
    main()
