"""A report of the demo's capture and of a small one over HTTP, beside the code before one reading, pairs in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.wire import CaptureSpec, TaskChoice
from benchmarks.suites.wide import HERE, checkout, measured, write_wide
from benchmarks.timing import shown, spread

BEFORE = "452aae7"
"""A commit at which figures and advice read a capture each for itself."""

ROUNDS = 5

CHECKPOINT = "AD-absolute-darkroom-reference-seed0@6000"
"""Shipped policy of the demo at that commit."""

SMALL = (4, 256)
"""Layers, as many heads, and tokens of the small capture."""


def write_demo(path: Path, *, quick: bool) -> None:
    """Write the capture that the demo of that commit makes: 8 test goals, 10 rollouts each, 20 episodes."""
    torch.set_num_threads(1)
    registry = CheckpointRegistry(path.with_suffix(".checkpoints"))
    registry.add_shipped()
    info = registry.get(CHECKPOINT)
    tasks = TaskChoice(split="test", indices=(2, 0, 1, 3, 4, 5, 6, 7))
    spec = CaptureSpec(checkpoint=info.id, tasks=tasks, episodes=3 if quick else 20, replicas=1 if quick else 10)
    order = CaptureOrder("demo", "local", spec, resolve(spec, registry), path, durable=False)
    cpu = torch.device("cpu")
    run_capture(order, load_policy(registry.folder(info.id), cpu), info, cpu)


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
    writers: dict[str, Callable[[Path], None]] = {
        "the demo's capture": lambda path: write_demo(path, quick=quick),
        f"{SMALL[0]} layers, {SMALL[0]} heads, {SMALL[1]} tokens": lambda path: write_wide(path, *SMALL),
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with checkout(BEFORE, folder / "before") as older:
            sources = ({} if older is None else {"before": older}) | {"now": HERE}
            for number, (title, write) in enumerate(writers.items()):
                path = folder / f"{number}.zarr"
                write(path)
                taken = pairs(sources, path, folder / f"out-{number}", 1 if quick else ROUNDS)
                found[title] = told(title, taken)
    return found
