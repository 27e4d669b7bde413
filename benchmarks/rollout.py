"""Capture against the reference's way: same policy, same steps, same thread, in interleaved rounds."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from attnscope_env import preset
from attnscope_model.native import load_policy, load_tensors
from attnscope_model.registry import CheckpointRegistry
from attnscope_server.capture import CaptureOrder, run_capture
from attnscope_server.resolve import resolve
from attnscope_storage.wire import CaptureSpec
from benchmarks.reference_way import EncoderPolicy, roll_out

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"


@dataclass(frozen=True)
class Case:
    """One comparison."""

    checkpoint: str
    causal: bool
    envs: int
    steps: int


def seconds(run: Callable[[], object]) -> float:
    """Return the wall time of a run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def prepare(case: Case, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what a case compares, by name."""
    registry = CheckpointRegistry(folder / "checkpoints")
    info = registry.add(GOLDEN / case.checkpoint, causal=case.causal)
    spec = CaptureSpec(
        checkpoint=info.id, tasks={"goals": [(5, 4)]}, replicas=case.envs, steps=case.steps, maps={"count": 0}
    )
    resolved = resolve(spec, registry)
    device = torch.device("cpu")
    policy = load_policy(registry.folder(info.id), device)
    baseline = EncoderPolicy(load_tensors(registry.folder(info.id)), heads=info.policy.heads, causal=case.causal)
    chosen = preset(info.preset)
    goal = chosen.task_of_goal((5, 4))
    count = iter(range(10_000))

    def reference(*, capture: bool) -> None:
        roll_out(baseline, chosen.make_vector([goal] * case.envs), case.steps, capture=capture, greedy=False)

    def ours() -> None:
        path = folder / "captures" / f"{next(count)}.zarr"
        run_capture(CaptureOrder(path.stem, "bench", spec, resolved, path, durable=False), policy, info, device)

    return {
        "reference, capturing": lambda: reference(capture=True),
        "reference, not capturing": lambda: reference(capture=False),
        "attnscope, capturing to disk": ours,
    }


def compare(case: Case, rounds: int) -> dict[str, object]:
    """Run a case in interleaved rounds; return milliseconds per env-step and the ratios of each round."""
    with tempfile.TemporaryDirectory() as folder:
        runs = prepare(case, Path(folder))
        for run in runs.values():
            run()  # warm-up
        times = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                times[name].append(seconds(run))
    ours = np.array(times["attnscope, capturing to disk"])
    ratios = {name: (np.array(values) / ours).tolist() for name, values in times.items()}
    per_step = 1e3 / (case.envs * case.steps)
    return {
        "case": case.__dict__,
        "ms_per_env_step": {name: statistics.median(values) * per_step for name, values in times.items()},
        "ratio_to_attnscope": {
            name: {"median": statistics.median(values), "low": min(values), "high": max(values)}
            for name, values in ratios.items()
        },
    }


def main(out: Path, rounds: int = 3) -> None:
    """Print the table and keep the figures beside the docs."""
    torch.set_num_threads(1)
    results = []
    print(f"one thread, {rounds} interleaved rounds, medians; ratio = time of the row / time of attnscope capturing")
    print(f"{'policy':<12}{'envs':>5}{'steps':>7}  {'what':<30}{'ms/env-step':>12}{'ratio':>8}{'low':>8}{'high':>8}")
    for checkpoint, causal in (("ckpt-noncausal.pt", False), ("ckpt-causal.pt", True)):
        for envs, steps in ((1, 400), (8, 200)):
            result = compare(Case(checkpoint, causal, envs, steps), rounds)
            results.append(result)
            for name, per_step in result["ms_per_env_step"].items():
                ratio = result["ratio_to_attnscope"][name]
                policy = "causal" if causal else "non-causal"
                print(
                    f"{policy:<12}{envs:>5}{steps:>7}  {name:<30}{per_step:>12.3f}"
                    f"{ratio['median']:>8.2f}{ratio['low']:>8.2f}{ratio['high']:>8.2f}"
                )
    out.write_text(json.dumps(results, indent=1) + "\n")
