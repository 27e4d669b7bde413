"""What a capture's or trial's store says of itself: its specification, its policy, and where it comes from."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import torch

from attnscope_storage.wire import ActingSpecification, CheckpointInfo, PolicyDescription, Resolved


def attributes_of(
    job: tuple[str, str],
    spec: ActingSpecification,
    resolved: Resolved,
    checkpoint: CheckpointInfo,
    device: torch.device,
    attention: str,
    growing: str,
    dtype: str = "float32",
) -> dict[str, object]:
    """Return the root attributes of a job's store.

    Parameters
    ----------
    job
        The job's name and owner.
    attention
        How attention is computed.
    growing
        How decisions are computed while the window grows.
    dtype
        Of matrix products in the policy's forward.
    """
    policy = checkpoint.policy
    return {
        "job": job[0],
        "owner": job[1],
        "spec": spec.model_dump(mode="json"),
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
            "seeds": sorted(spec.seeds),
            "dtype": dtype,
            "attention_implementation": attention,
            "window": policy.window,
            "growing_window": growing,
        }
        | machine(device),
    }


def growing_window(policy: PolicyDescription) -> str:
    """Return how a capture's decisions are computed while the window grows."""
    return "key-value cache, exact" if policy.causal and policy.query_slot == "last" else "recompute"


def stated(checkpoint: CheckpointInfo) -> dict[str, Any]:
    """Return what is known of a checkpoint, and who said so."""
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
    """Return where a job runs, and in which versions."""
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("attnscope", "torch", "numpy", "zarr", "gymnasium")},
        },
    }
