"""A job of a service, run here in one piece: what its store must be equal to, without a second service."""

from __future__ import annotations

from pathlib import Path

import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.attempts.order import Order
from attnscope_server.kinds import kind_of
from attnscope_server.root.paths import capture_path
from attnscope_storage.wire import Job
from attnscope_storage.wire.contract import imported


def run_here(job: Job, checkpoints: Path, root: Path) -> Path:
    """Run a job below a folder, with a checkpoint of these, on one thread; return its store."""
    registry, path = CheckpointRegistry(checkpoints), capture_path(root, str(job.id))
    path.parent.mkdir(parents=True, exist_ok=True)
    info = registry.get(job.resolved.checkpoint_id)
    order = Order(str(job.id), job.owner, job.spec, job.resolved, path, durable=False)
    device = torch.device("cpu")
    torch.set_num_threads(1)
    callbacks = {"stopped": lambda: False, "on_progress": lambda *_: None, "on_commit": lambda _: None}
    policy = load_policy(registry.folder(info.id), device)
    imported(kind_of(job.kind).runner)(order, policy, info, device, **callbacks)
    return path
