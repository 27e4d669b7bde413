"""The price of runners for those who need none: start and jobs of the default service beside the code before them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import psutil

from benchmarks.service import KEY, process_of
from benchmarks.suites.wide import HERE, checkout, environment
from benchmarks.timing import Cost, ratios, rounds, shown, spread

BEFORE: Final = "69b85680"
"""The last commit before attempts and leases, runners by settings, PostgreSQL and buckets."""

JOB: Final = {"kind": "capture", "checkpoint": "AD-darkroom-seed42", "steps": 32, "maps": {"count": 0}}
"""A capture of one commit: nearly all of it is the way through the service."""


def processor_seconds(process: psutil.Process) -> float:
    """Return what a service and its workers have taken so far, those that have ended too."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    ended = process.cpu_times()
    return sum(one.user + one.system for one in times) + ended.children_user + ended.children_system


def start(surroundings: Mapping[str, str]) -> Cost:
    """Start a service in an empty folder; return the cost until it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with process_of(Path(folder), surroundings) as (url, number):
            httpx.get(f"{url}/readyz").raise_for_status()
            return Cost(time.perf_counter() - began, processor_seconds(psutil.Process(number)))


@dataclass(frozen=True)
class Served:
    """A service that runs jobs."""

    http: httpx.Client
    process: psutil.Process

    def job(self) -> Cost:
        """Run a job to its end; return the cost of the service and its worker."""
        began, before, name = time.perf_counter(), processor_seconds(self.process), uuid4()
        self.http.put(f"/v1/jobs/{name}", json=JOB).raise_for_status()
        while True:
            told = self.http.get(f"/v1/jobs/{name}", params={"wait": 30}).raise_for_status().json()
            if told["state"] == "succeeded":
                return Cost(time.perf_counter() - began, processor_seconds(self.process) - before)
            if told["state"] == "failed":
                raise SystemExit(str(told["failure"]))


def run(*, quick: bool) -> dict[str, Any]:
    """Print both costs over those of the code before."""
    starts, jobs = (1, 3) if quick else (5, 12)
    results: dict[str, Any] = {"before": BEFORE}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        older = stack.enter_context(checkout(BEFORE, folder / "older"))
        if older is None:
            print("   no history here: nothing to compare with")
            return results
        sources = {"now": environment(HERE), "before": environment(older)}
        taken = {"start": rounds({name: partial(start, one) for name, one in sources.items()}, starts)}
        calls: dict[str, Callable[[], Cost]] = {}
        for name, one in sources.items():
            (folder / name).mkdir()
            url, number = stack.enter_context(process_of(folder / name, one))
            header = {"Authorization": f"Bearer {KEY}"}
            http = stack.enter_context(httpx.Client(base_url=url, headers=header, timeout=120))
            calls[name] = Served(http, psutil.Process(number)).job
        taken["job"] = rounds(calls, jobs)
    for what, costs in taken.items():
        results[what] = {
            "now_over_before": ratios(costs["now"], costs["before"]),
            "now_over_before_cpu": ratios(costs["now"], costs["before"], "cpu"),
            "seconds": {name: spread([cost.wall for cost in each]) for name, each in costs.items()},
            "cpu_seconds": {name: spread([cost.cpu for cost in each]) for name, each in costs.items()},
        }
        print(
            f"   {what}: now ÷ before {shown(results[what]['now_over_before'])} by time, "
            f"{shown(results[what]['now_over_before_cpu'])} by processor time"
        )
    return results
