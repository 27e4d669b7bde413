"""Replay of any step: what a map costs in the replay process, over HTTP beyond its transfer, and beside a busy job."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
import torch

import attnscope
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.replaying.worker import ReplayWorker
from attnscope_server.serving import Running, serve_background
from attnscope_server.settings import Settings
from benchmarks.subject import GOLDEN

STEPS, ASKED = 600, 40
"""Environment steps of the capture, and how many of them are asked for."""


def milliseconds(
    ask: Callable[[int], object], steps: Iterable[int], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the time of each question: the wall's, or this process's on its processor."""
    times = []
    for step in steps:
        begin = clock()
        ask(step)
        times.append(1e3 * (clock() - begin))
    return times


def told(name: str, times: list[float]) -> dict[str, object]:
    """Print one line and return its figures."""
    low, median, high = min(times), statistics.median(times), sorted(times)[int(0.9 * len(times))]
    print(f"  {name:<52}{median:>9.2f}{low:>9.2f}{high:>9.2f}")
    return {"what": name, "ms_median": median, "ms_low": low, "ms_p90": high, "count": len(times)}


def in_process(running: Running, job: UUID, layers: int, heads: int, steps: list[int]) -> list[dict[str, object]]:
    """Ask a worker in this process: reading, embedding, forward with maps, comparison with what is stored."""
    worker = ReplayWorker(running.settings.data_root)
    order = {"job": str(job), "env": 0, "layers": [*range(layers)], "heads": [*range(heads)], "positions": "reindex"}

    def ask(kind: str) -> Callable[[int], object]:
        return lambda step: worker.answer(
            order | {"step": step, "kind": kind, "transitions": [*range(min(step, 159 if layers == 4 else 99))]}
        )

    ask("weights")(STEPS - 1)
    processor = milliseconds(ask("weights"), steps, time.process_time)
    return [
        told("worker: the same as the next, processor time", processor),
        told("worker: all layers' and heads' maps of a step", milliseconds(ask("weights"), steps)),
        told("worker: value-weighted", milliseconds(ask("value-weighted"), steps)),
        told("worker: attention rollout", milliseconds(ask("rollout"), steps)),
        told("worker: leave-one-out over the whole window", milliseconds(ask("leave-one-out"), steps[:8])),
    ]


def over_http(running: Running, job: UUID, steps: list[int], place: str) -> list[dict[str, object]]:
    """Ask the service twice: the second answer comes from memory, so the difference is the replay."""
    headers = {"Authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=120) as http:

        def ask(step: int) -> bytes:
            answer = http.get(f"/v1/captures/{job}/maps", params={"step": step})
            answer.raise_for_status()
            return answer.content

        first = milliseconds(ask, [steps[0]])
        fresh, kept = milliseconds(ask, steps[1:]), milliseconds(ask, steps[1:])
        beyond = (np.array(fresh) - np.array(kept)).tolist()
    return [
        told(f"HTTP: the first question, process start included{place}", first),
        told(f"HTTP: replayed{place}", fresh),
        told(f"HTTP: the same bytes from memory, that is transfer{place}", kept),
        told(f"HTTP: replay beyond transfer{place}", beyond),
    ]


def measure(name: str, *, causal: bool) -> dict[str, object]:
    """Capture with one checkpoint and ask for steps of it, alone and beside a job that keeps its worker busy."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_root=Path(folder), port=0, announce=False, threads=1, durable=False)
        with serve_background(settings) as running, attnscope.connect(running.url, running.key) as client:
            registry = CheckpointRegistry(running.settings.checkpoints_folder)
            info = registry.add(GOLDEN / f"ckpt-{name}.pt", causal=causal)
            job = client.submit(checkpoint=info.id, tasks={"goals": [(5, 4)]}, steps=STEPS, maps={"count": 0}).wait()
            steps = random.permutation(np.arange(info.policy.context_length, STEPS))[: 2 * ASKED].tolist()
            rows = in_process(running, job.id, info.policy.layers, info.policy.heads, steps[:ASKED])
            rows += over_http(running, job.id, steps[:ASKED], "")
            busy = client.submit(checkpoint=info.id, tasks={"goals": [(5, 4)]}, steps=10**6, maps={"count": 0})
            while not busy.refresh().info.progress.steps_committed:
                time.sleep(0.05)
            rows += over_http(running, job.id, steps[ASKED:], ", a job running")
            busy.cancel()
            while not busy.refresh(wait=2.0).state.final:
                pass
    tokens = info.policy.context_length
    size = 4 * info.policy.layers * info.policy.heads * tokens**2
    return {"checkpoint": name, "tokens": tokens, "answer_bytes": size, "rows": rows}


def run(*, quick: bool) -> dict[str, object]:
    """Print the tables; return their figures."""
    torch.set_num_threads(1)
    results: dict[str, object] = {}
    for name, causal in (("noncausal", False), ("causal", True))[: 1 if quick else 2]:
        print(f"replay, {name} reference policy, full window, one thread, ms{'median':>21}{'low':>9}{'p90':>9}")
        results[name] = measure(name, causal=causal)
    return results
