"""The memory of a capture with whole maps beside its estimate: 1 to 64 environments, a fresh process each.

The process imports, compiles and captures a little before its memory is read, so that what is measured is the
capture's own: weights, contexts, blocks, maps and activations.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from attnscope_env.presets.listing import LISTED
from attnscope_model.checkpoints.conversion import write_entry
from attnscope_model.checkpoints.native import CONFIG, WEIGHTS, config_bytes, identity, load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.families.ad import ADConfig, ADPolicy, stored_config
from attnscope_model.training.trainer import initialise
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.kind import KIND
from attnscope_server.kinds import Means
from attnscope_server.limits import Limits
from attnscope_storage.wire import CaptureSpec
from benchmarks.subject import CPU
from benchmarks.suites.memory import peak_mib

ENVS = (1, 4, 16, 64)

SHAPE = ADConfig((9, 9), 5, 512, "learned-absolute", width=128, layers=4, heads=4, feedforward=512)
"""A policy of 512 tokens: a whole map of one environment weighs 8 MiB as float16."""

AIM = 0.2
"""Distance of the peak from the estimate, as a share of the estimate, at most."""


def register(folder: Path, config: ADConfig = SHAPE) -> CheckpointRegistry:
    """Return a registry that holds a policy of random weights under the name ``random``, beside the shipped ones."""
    registry = CheckpointRegistry(folder)
    registry.add_shipped()
    policy = ADPolicy(config)
    initialise(policy, seed=1)
    weights, stored = save(dict(policy.state_dict())), config_bytes(stored_config(config))
    entry = registry.root / identity(weights, stored)
    entry.mkdir()
    (entry / WEIGHTS).write_bytes(weights)
    (entry / CONFIG).write_bytes(stored)
    told = {"id": entry.name, "name": "random", "policy": policy.description}
    write_entry(entry, registry.list()[0].model_copy(update=told))
    return registry


def capture(registry: CheckpointRegistry, folder: Path, envs: int, steps: int, maps: dict[str, Any]) -> float:
    """Capture rows and maps of random weights; return the MiB that the service would estimate."""
    common: dict[str, Any] = {"tasks": {"goals": [(5, 4)]}, "replicas": envs, "steps": steps, "maps": maps}
    spec = CaptureSpec.model_validate({"checkpoint": "random", "rows": {"form": "f16"}, **common})
    planned = KIND.plan(spec, registry, LISTED, Limits())
    info = registry.get("random")
    policy = load_policy(registry.folder(info.id), CPU)
    path = folder / f"{envs}-{steps}.zarr"
    run_capture(CaptureOrder(path.stem, "bench", spec, planned.resolved, path, durable=False), policy, info, CPU)
    return KIND.memory(planned, Means(2**40, compiled=False)) / 2**20


def measured(envs: int) -> dict[str, float]:
    """Return the peak of a capture over what the process held before it, and its estimate, in MiB."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = register(folder / "registry")
        capture(registry, folder, 1, 8, {"steps": [7]})
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
        before = peak_mib()
        full = SHAPE.context_length
        estimate = capture(registry, folder, envs, full + 2, {"steps": [full]})
        return {"estimate_mib": estimate, "peak_mib": peak_mib() - before}


def run(*, quick: bool) -> dict[str, Any]:
    """Print peak and estimate by environments."""
    results: dict[str, Any] = {}
    for envs in ENVS[: 2 if quick else None]:
        command = [sys.executable, "-m", "benchmarks.suites.estimates", str(envs)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8", env=os.environ)
        found: dict[str, float] = json.loads(ran.stdout)
        found["peak_over_estimate"] = found["peak_mib"] / found["estimate_mib"]
        results[f"{envs} envs"] = found
        held = "within" if abs(found["peak_over_estimate"] - 1) <= AIM else "MORE THAN"
        print(
            f"   {envs:>3} envs, rows and one whole map each: peak {found['peak_mib']:.0f} MiB, estimate "
            f"{found['estimate_mib']:.0f} MiB, ratio {found['peak_over_estimate']:.2f}: {held} {AIM:.0%}"
        )
    return results


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]))))
