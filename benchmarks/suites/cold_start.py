"""Cold starts: importing the client, the service until it answers, and what their libraries alone take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service import KEY, served
from benchmarks.timing import Cost, ratios, rounds, shown, spread


def imports(modules: str) -> Callable[[], Cost]:
    """Return what imports modules in a fresh interpreter."""

    def fresh() -> Cost:
        begin, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
        after = os.times()
        spent = sum(after[2:4]) - sum(before[2:4])
        return Cost(time.perf_counter() - begin, spent)

    return fresh


def service_ready() -> Cost:
    """Start the service in an empty folder; return the time until it says that it is ready."""
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with served(Path(folder)) as url:
            answer = httpx.get(f"{url}/readyz")
            taken = time.perf_counter() - begin
            answer.raise_for_status()
    after = os.times()
    return Cost(taken, sum(after[2:4]) - sum(before[2:4]))


def first_row() -> Cost:
    """Start the service and ask for a row of a new capture; return the time until the row is here."""
    import attnscope  # noqa: PLC0415 - its import is measured elsewhere

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with served(Path(folder)) as url, attnscope.connect(url, KEY) as client:
            handle = client.submit(checkpoint=client.checkpoints()[0].id, steps=64, maps={"count": 0})
            handle.wait()
            answer = httpx.get(
                f"{url}/v1/captures/{handle.id}/slice",
                params={"array": "attention/rows", "step": "0"},
                headers={"Authorization": f"Bearer {KEY}"},
            )
            answer.raise_for_status()
            taken = time.perf_counter() - begin
    return Cost(taken, 0.0)


def run(*, quick: bool) -> dict[str, Any]:
    """Compare imports and starts."""
    count = 1 if quick else 5
    laptop, its = "import attnscope", "import numpy, httpx, pydantic"
    service, bare = "service ready", "import torch, fastapi"
    taken = rounds({its: imports("numpy, httpx, pydantic"), laptop: imports("attnscope")}, 2 * count)
    taken |= rounds({bare: imports("torch, fastapi"), service: service_ready}, count)
    taken |= rounds({"first row of a new capture, service start included": first_row}, 1, warm=False)
    results: dict[str, Any] = {
        name: {"seconds": spread([cost.wall for cost in costs])} for name, costs in taken.items()
    }
    for name, under in ((laptop, its), (service, bare)):
        results[name]["over"] = {under: ratios(taken[name], taken[under])}
        results[name]["over_cpu"] = {under: ratios(taken[name], taken[under], "cpu")}
    for name, result in results.items():
        line = f"   {name:<52}{shown(result['seconds'])} s"
        for under, ratio in result.get("over", {}).items():
            line += f"   × {shown(ratio)} of {under}"
        print(line)
    return results
