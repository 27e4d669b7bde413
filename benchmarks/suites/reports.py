"""A report of the demo's capture and of a small one over HTTP, beside the code before one reading, pairs in turn."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.suites.wide import FIRST_LAYOUT, HERE, checkout, environment, measured, write_wide
from benchmarks.timing import shown, spread

BEFORE = "452aae7"
"""A commit at which figures and advice read a capture each for itself."""

ROUNDS = 5

CHECKPOINT = "AD-absolute-darkroom-reference-seed0@6000"
"""Shipped policy of the demo at that commit."""

SMALL = (4, 256)
"""Layers, as many heads, and tokens of the small capture."""


WRITE_DEMO = """
import sys
from pathlib import Path
import torch
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.wire import CaptureSpec, TaskChoice
path, episodes, replicas = Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(1)
registry = CheckpointRegistry(path.with_suffix(".checkpoints"))
registry.add_shipped()
info = registry.get(sys.argv[2])
tasks = TaskChoice(split="test", indices=(2, 0, 1, 3, 4, 5, 6, 7))
spec = CaptureSpec(checkpoint=info.id, tasks=tasks, episodes=episodes, replicas=replicas)
order = CaptureOrder("demo", "local", spec, resolve(spec, registry), path, durable=False)
cpu = torch.device("cpu")
run_capture(order, load_policy(registry.folder(info.id), cpu), info, cpu)
"""
"""Writes the capture that the demo of that commit makes: 8 test goals, by default 10 rollouts each, 20 episodes."""


def write_demo(source: Path, path: Path, *, quick: bool) -> None:
    """Write the demo's capture by the code of a checkout: the older code reads the first layout alone."""
    sizes = ("3", "1") if quick else ("20", "10")
    command = [sys.executable, "-c", WRITE_DEMO, str(path), CHECKPOINT, *sizes]
    subprocess.run(command, env=environment(source), check=True)


def pairs(sources: Mapping[str, Path], capture: Path, folder: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Return what a report took with the packages of each checkout, one after the other, round by round."""
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in sources}
    for number in range(rounds):
        for name, source in sources.items():
            taken[name].append(measured(source, capture, "report", folder / f"{name}-{number}"))
    return taken


def told(name: str, taken: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Print and return bytes and processor time of each code, and the ratios of the pairs."""
    found: dict[str, Any] = {}
    for when, costs in taken.items():
        found[when] = {what: spread([cost[what] for cost in costs]) for what in ("cpu", "bytes", "peak_mib")}
        print(
            f"   {name}, {when}: {shown(found[when]['cpu'])} s of processor, "
            f"{found[when]['bytes']['median'] / 1e6:.1f} MB received, {found[when]['peak_mib']['median']:.0f} MiB"
        )
    if "before" in taken:
        for what in ("cpu", "bytes"):
            each = [now[what] / old[what] for now, old in zip(taken["now"], taken["before"], strict=True)]
            found[f"{what}_ratio"] = spread(each)
            print(f"   {name}: {what} now ÷ before {shown(found[f'{what}_ratio'])}")
    return found


def run(*, quick: bool) -> dict[str, Any]:
    """Print bytes and processor time of both reports, now and before."""
    writers: dict[str, Callable[[Path, Path], None]] = {
        "the demo's capture": partial(write_demo, quick=quick),
        f"{SMALL[0]} layers, {SMALL[0]} heads, {SMALL[1]} tokens": partial(write_wide, side=SMALL[0], slots=SMALL[1]),
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with checkout(BEFORE, folder / "before") as older, checkout(FIRST_LAYOUT, folder / "writer") as writer:
            sources = ({} if older is None else {"before": older}) | {"now": HERE}
            for number, (title, write) in enumerate(writers.items()):
                path = folder / f"{number}.zarr"
                write(writer or HERE, path)
                taken = pairs(sources, path, folder / f"out-{number}", 1 if quick else ROUNDS)
                found[title] = told(title, taken)
    return found
