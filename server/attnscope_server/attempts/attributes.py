"""Root attributes of a job's store: its specification, its policy, and the provenance of its numbers."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from attnscope_server.attempts.order import Order
from attnscope_server.attempts.subject import acting_in, subject_of
from attnscope_server.kinds import ResolvedT
from attnscope_storage.wire import CheckpointInfo


def attributes_of(
    order: Order[Any, ResolvedT],
    checkpoint: CheckpointInfo,
    device: torch.device,
    attention: str,
    own: Mapping[str, object],
) -> dict[str, object]:
    """Return the root attributes of a job's store.

    Parameters
    ----------
    attention
        Name of the implementation of attention.
    own
        Provenance that only this kind of job has.
    """
    resolved = order.resolved
    return {
        **subject_of(order.job, order.owner, order.spec, resolved, checkpoint),
        "provenance": acting_in(checkpoint, resolved)
        | {"dtype": "float32", "attention_implementation": attention}
        | dict(own)
        | machine(device),
    } | order.belonging


def machine(device: torch.device) -> dict[str, Any]:
    """Return the machine that a job runs on, and the versions of its packages."""
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("attnscope", "torch", "numpy", "zarr", "gymnasium")},
        },
    }
