"""Root attributes of a job's store that are known before anything runs: the job, its policy, and where it acts.

Unlike the rest of this room it is also read by the service, and imports no torch.
"""

from __future__ import annotations

from typing import Any

from attnscope_storage.wire import CheckpointInfo, ResolvedJob, Specification


def subject_of(
    job: str, owner: str, spec: Specification, resolved: ResolvedJob, checkpoint: CheckpointInfo
) -> dict[str, object]:
    """Return the root attributes that say whose store it is, what was asked for, and of which policy.

    Parameters
    ----------
    job
        Name of the job, as its owner calls it.
    """
    policy = checkpoint.policy
    return {
        "job": job,
        "owner": owner,
        "spec": spec.model_dump(mode="json"),
        "resolved": resolved.model_dump(mode="json"),
        "policy": policy.model_dump(mode="json"),
        "query_slot": policy.query_slot,
        "tokens_per_transition": policy.tokens_per_transition,
    }


def as_it_acts(checkpoint: CheckpointInfo, spec: Specification, resolved: ResolvedJob) -> CheckpointInfo:
    """Return a checkpoint whose policy is described as it acts in a job: captures let it slide, or be packed."""
    return checkpoint.model_copy(update={"policy": resolved.acting(checkpoint.policy, sliding=spec.slides)})


def acting_in(checkpoint: CheckpointInfo, resolved: ResolvedJob) -> dict[str, Any]:
    """Return the provenance that follows from the checkpoint and from where it acts."""
    policy = checkpoint.policy
    return stated(checkpoint) | {
        "sampling": resolved.sampling,
        "environment": resolved.environment_id,
        "environment_kwargs": dict(resolved.environment_kwargs),
        "preset": resolved.preset,
        "window": policy.window,
        "cleared": policy.cleared,
        **({"latents": policy.latents} if policy.latents else {}),
        **({} if policy.packed_by is None else {"compressor": f"{policy.packed_by.name} ({policy.packed_by.package})"}),
    }


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
