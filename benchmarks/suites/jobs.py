"""The time that a job adds: from submitting to its first commit and its end, with a worker warm or not started yet."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import attnscope
from attnscope.service import Service
from benchmarks.service import KEY, served
from benchmarks.timing import shown, spread

STEPS = 32
"""Steps of a job: one commit."""


def one(client: Service, checkpoint: str) -> dict[str, float]:
    """Submit a capture and follow it; return seconds since it was submitted."""
    begin, told = time.perf_counter(), {}
    job = client.submit(checkpoint=checkpoint, steps=STEPS, maps={"count": 0})
    told["accepted"] = time.perf_counter() - begin
    while not job.state.final:
        job.refresh(wait=1.0)
        if job.info.progress.steps_committed and "first commit seen" not in told:
            told["first commit seen"] = time.perf_counter() - begin
    told.setdefault("first commit seen", time.perf_counter() - begin)
    told["end seen"] = time.perf_counter() - begin
    return told


def run(*, quick: bool) -> dict[str, Any]:
    """Follow the first job of a service, which starts the worker, and several after it."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as url, attnscope.connect(url, KEY) as client:
        checkpoint = client.checkpoints()[0].id
        first = one(client, checkpoint)
        later = [one(client, checkpoint) for _ in range(2 if quick else 10)]
    for moment in first:
        warm = spread([told[moment] for told in later])
        results[moment] = {"first_job_seconds": first[moment], "warm_seconds": warm}
        print(f"   {moment:<18} first job {first[moment]:.2f} s   warm worker {shown(warm, 3)} s")
    return results
