"""Writing a checkpoint of the AD layouts: ``ckpt-<step>.pt`` with step, config, model and the tasks of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def write_layout_file(
    folder: Path,
    step: int,
    config: Mapping[str, Any],
    model: Mapping[str, Tensor],
    tasks: Mapping[str, Sequence[int]],
) -> Path:
    """Write the file, whole or not at all, and return its path.

    Parameters
    ----------
    config
        The layout's configuration; plain values.
    model
        Weights by the layout's names.
    tasks
        Indices of train, validation and held-out tasks, stored beside the layout's own keys for those who look; its
        readers, ours among them, pass over them.
    """
    path = folder / f"ckpt-{step}.pt"
    fresh = folder / f".{path.name}"
    weights = {name: tensor.detach().clone() for name, tensor in model.items()}
    lists = {name: list(indices) for name, indices in tasks.items()}
    torch.save({"step": step, "config": dict(config), "model": weights, "tasks": lists}, fresh)
    fresh.replace(path)
    return path
