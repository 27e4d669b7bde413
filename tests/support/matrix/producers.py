"""Small captures from every way of making one: a few steps of tiny random policies, in seconds."""

from __future__ import annotations

import pickle  # noqa: TID251 - the tests write a reference's history; nothing is unpickled
from pathlib import Path
from unittest import mock
from uuid import UUID, uuid5

import numpy as np
import torch
import yaml

import attnscope
from attnscope.foreign import import_file
from attnscope_env import LISTED, Listings
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.captures import Captures
from attnscope_server.root.data_root import prepare
from attnscope_server.settings import Settings
from attnscope_storage.kinds.capture import lengths
from attnscope_storage.wire import CaptureSpec, JobState
from forwards import layouts
from forwards.packing_layouts import PACKING
from heads.environments import ENTRIES
from heads.installed import installed
from heads.policies import save
from native import register_native
from reading_here import reading_here

CPU = torch.device("cpu")
STEPS = 40
SPACE = UUID("6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a11")
FAMILIES = {"dpt": "dpt", "three tokens": "rad", "language model": "hub-gpt2"}
"""Foreign layouts by producer."""

REMEMBERING = {"memory": "trxl", "rolling": "amago", "returns": "decision"}
"""Layouts of policies that decide out of a memory, by producer."""

PACKED = {"packed": "cad"}
"""Layouts of policies that pack their older history, by producer."""

HEADS = {"branches": "branches", "action vectors": "gaussian", "no distribution": "vector", "tiles": "grid"}
"""Small policies whose actions are several choices or vectors, or that see a grid, by producer."""

JOBS = {"captured": JobState.SUCCEEDED, "cancelled": JobState.CANCELLED, "failed": JobState.FAILED}


EARLY = {"steps": [1, 39]}
"""Whole maps of jobs: one lies before the end of a job that is stopped."""


def registry_of(folder: Path) -> CheckpointRegistry:
    """Return a registry with a tiny policy of every shape that a producer needs."""
    registry = CheckpointRegistry(folder)
    with reading_here():
        for name in {"reference-causal", *FAMILIES.values(), *REMEMBERING.values(), *PACKED.values()}:
            layout, file = (layouts.LAYOUTS | layouts.REMEMBERING | PACKING)[name], folder.parent / f"{name}.pt"
            torch.save(layout.content(), file)
            if layout.bare and layout.config:
                file.with_name(file.name + ".yaml").write_text(yaml.safe_dump(dict(layout.config)))
            registry.add(file, name=name, **layout.stated)
    for name, heads in (("native", 2), ("one head", 1)):
        register_native(registry, name, "learned-absolute", layers=heads, heads=heads)
    return registry


def capture(
    registry: CheckpointRegistry,
    path: Path,
    checkpoint: str,
    *,
    commits: int = 0,
    job: str = "",
    listings: Listings = LISTED,
    **changes,
):
    """Write a capture, up to so many commits where that is not 0."""
    spec = spec_of(checkpoint, **changes)
    info = registry.get(checkpoint)
    policy = load_policy(registry.folder(info.id), CPU)
    order = CaptureOrder(
        job or path.stem, "local", spec, resolve(spec, registry, listings), path, durable=False, listings=listings
    )
    seen = []

    def stop(_: object) -> None:
        seen.append(1)

    with mock.patch.multiple(lengths, CHUNK_BYTES=1024, LEAST_STEPS=1):
        try:
            run_capture(order, policy, info, CPU, on_commit=stop, stopped=lambda: 0 < commits <= len(seen))
        except Exception as error:
            if type(error).__name__ != "RolloutStoppedError":
                raise
    return path


def spec_of(checkpoint: str, **changes: object) -> CaptureSpec:
    """Return a small capture's specification."""
    asked = {"tasks": {"split": "all", "indices": [3, 40]}, "steps": STEPS, "maps": {"count": 2}} | changes
    return CaptureSpec.model_validate({"checkpoint": checkpoint, **asked})


def local(folder: Path) -> dict[str, str]:
    """Return the folders of every capture that needs no service, by producer."""
    torch.set_num_threads(1)
    registry = registry_of(folder / "checkpoints")
    found = {name: capture(registry, folder / f"{layout}.zarr", layout) for name, layout in FAMILIES.items()}
    found |= {name: capture(registry, folder / f"{layout}.zarr", layout) for name, layout in PACKED.items()}
    for name, layout in REMEMBERING.items():
        found[name] = capture(registry, folder / f"{layout}.zarr", layout, maps={"count": 0})
    found |= other_heads(registry, folder)
    one = {"split": "all", "indices": [3]}
    found["one step"] = capture(registry, folder / "step.zarr", "native", steps=1, maps={"steps": [0]})
    found["one head"] = capture(registry, folder / "head.zarr", "one head")
    found["one environment"] = capture(registry, folder / "env.zarr", "native", tasks=one)
    forms = {"bytes": {"form": "u8"}, "age bins": {"form": "bins"}, "a curve alone": {"form": "none", "curve": True}}
    for name, rows in forms.items():
        found[name] = capture(registry, folder / f"{name.replace(' ', '-')}.zarr", "native", rows=rows)
    found |= imported(folder)
    golden = Path(__file__).parents[2] / "golden"
    found |= {"golden store": golden / "capture-v1", "newest golden store": golden / "capture-v2"}
    return {name: str(path) for name, path in found.items()}


def other_heads(registry: CheckpointRegistry, folder: Path) -> dict[str, Path]:
    """Return captures of policies of an installed package, in environments that an operator lists."""
    tasks, listings, found = {"split": "all", "indices": [0, 1]}, Listings(ENTRIES), {}
    with installed(folder / "installed"), reading_here():
        for name, kind in HEADS.items():
            registry.add(save(folder.parent / f"{kind}-head.pt", kind), name=kind)
            found[name] = capture(registry, folder / f"{kind}-head.zarr", kind, listings=listings, tasks=tasks)
    return found


def imported(folder: Path) -> dict[str, Path]:
    """Return captures of other programs: of the reference, with and without returns, and arrays."""
    rng, found = np.random.default_rng(1), {}
    history = []
    for step in range(STEPS):
        n = min(step + 1, 12)
        weights = np.tril(np.exp(rng.normal(size=(2, 1, 2, n, n))))
        history.append(list((weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)))
    for name in ("imported with returns", "imported without"):
        place = folder / name.replace(" ", "-")
        place.mkdir()
        (place / "attention_history.pkl").write_bytes(pickle.dumps(history, protocol=4))
        if name == "imported with returns":
            np.savez(place / "attention_data.npz", rewards=np.arange(4.0)[None])
        found[name] = import_file(place / "attention_history.pkl", folder / f"{place.name}.zarr", maps=2)
    rows = np.full((STEPS, 2, 2, 12), np.nan)
    for step, layers in enumerate(history):
        n = layers[0].shape[-1]
        rows[step, ..., :n] = np.stack([layer[0, :, -1] for layer in layers])
    attnscope.import_arrays(rows, out=folder / "arrays.zarr")
    return found | {"imported arrays": folder / "arrays.zarr"}


def enter_jobs(where: Settings, *, running: bool = False) -> dict[str, str]:
    """Enter jobs with their captures into a data root that no service holds, and return their ids by producer."""
    prepare(where)
    registry = registry_of(where.checkpoints_folder)
    database = Database.open(where.database_path, durable=False)
    jobs, found = JobStore(database), {}
    for name, state in ({"running": JobState.RUNNING} if running else JOBS).items():
        spec = spec_of("native", maps=EARLY)
        stored, _ = jobs.submit(
            uuid5(SPACE, name), "local", spec, lambda asked, _: resolve(asked, registry), queue_limit=10
        )
        jobs.claim()
        path = Captures(where.data_root).path(stored.id)
        commits = 0 if state is JobState.SUCCEEDED else 1
        capture(registry, path, "native", commits=commits, job=str(stored.name), maps=EARLY)
        if state is JobState.CANCELLED:
            jobs.move(stored.id, JobState.CANCELLING)
        if state is not JobState.RUNNING:
            jobs.move(stored.id, state)
        found[name] = str(stored.name)
    database.close()
    return found
