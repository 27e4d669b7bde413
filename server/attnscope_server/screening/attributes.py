"""What a screen's store says of itself."""

from __future__ import annotations

import torch

from attnscope_server.capturing.attributes import machine, stated
from attnscope_server.kinds import Order
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.screens import ResolvedScreen, ScreenSpec


def screen_attributes(
    order: Order[ScreenSpec, ResolvedScreen], checkpoint: CheckpointInfo, device: torch.device, attention: str
) -> dict[str, object]:
    """Return the root attributes of a screen's store.

    Parameters
    ----------
    attention
        How attention is computed.
    """
    resolved, policy = order.resolved, checkpoint.policy
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
            "capture_job": str(order.spec.capture),
            "sampling": resolved.sampling,
            "environment": resolved.environment_id,
            "environment_kwargs": dict(resolved.environment_kwargs),
            "preset": resolved.preset,
            "dtype": "float32",
            "attention_implementation": attention,
            "window": policy.window,
        }
        | machine(device),
    }
