"""Root attributes of a job's store: its specification, its policy, and the provenance of its numbers."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from attnscope_server.attempts.order import Order
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
    policy, resolved = checkpoint.policy, order.resolved
    return {
        "job": order.job,
        "owner": order.owner,
        "spec": order.spec.model_dump(mode="json"),
        "resolved": resolved.model_dump(mode="json"),
        "policy": policy.model_dump(mode="json"),
        "query_slot": policy.query_slot,
        "tokens_per_transition": policy.tokens_per_transition,
        "provenance": stated(checkpoint)
        | {
            "sampling": resolved.sampling,
            "environment": resolved.environment_id,
            "environment_kwargs": dict(resolved.environment_kwargs),
            "preset": resolved.preset,
            "dtype": "float32",
            "attention_implementation": attention,
            "window": policy.window,
            "cleared": policy.cleared,
            **({"latents": policy.latents} if policy.latents else {}),
        }
        | dict(own)
        | machine(device),
    } | order.belonging


def stated(checkpoint: CheckpointInfo) -> dict[str, Any]:
    """Return the facts that are known of a checkpoint, and who stated them."""
    return {
        "checkpoint": checkpoint.id,
        "checkpoint_name": checkpoint.name,
        "source_sha256": checkpoint.source_sha256,
        "family": checkpoint.policy.family,
        "causal": checkpoint.policy.causal,
        "causal_stated_by": checkpoint.causal_stated_by,
        "stated_by_user": dict(checkpoint.stated),
        "train_tasks": None if checkpoint.train_tasks is None else list(checkpoint.train_tasks),
    }


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
