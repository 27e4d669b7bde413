"""The policies of the further checkpoints that act in a trial."""

from __future__ import annotations

from typing import Any

import torch

from attnscope_model.forward.fused import implementation
from attnscope_model.forward.policy import Policy
from attnscope_server.attempts.opening import attend_as
from attnscope_server.attempts.order import Order
from attnscope_server.attempts.subject import stated
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CheckpointInfo, ResolvedTrial, TrialSpec

Facts = dict[str, Any]
"""Provenance of one checkpoint."""


def other_policies(
    order: Order[TrialSpec, ResolvedTrial], device: torch.device, reader: CaptureReader | None
) -> tuple[dict[str, Policy], list[Facts]]:
    """Return the policies by their ids, and the provenance of each; nothing where one checkpoint acts.

    Parameters
    ----------
    reader
        Earlier commits: a trial that goes on attends as it began.

    Raises
    ------
    NotReproducibleError
        One of them began with an attention that this machine does not have.
    """
    found: dict[str, Policy] = {}
    facts: list[Facts] = []
    began = () if reader is None else reader.attributes["provenance"].get("checkpoints", ())
    for place, identity in enumerate(order.resolved.checkpoint_ids[1:], start=1):
        if order.load is None:
            raise RuntimeError(f"nothing loads checkpoint {identity[:12]}, which acts in this trial")
        policy, info = order.load(identity)
        earlier = None if reader is None else str(began[place]["attention_implementation"])
        attend_as(policy, device, earlier, allowed=order.fused)
        found[identity] = policy
        facts.append(facts_of(info, policy))
    return found, facts


def facts_of(info: CheckpointInfo, policy: Policy) -> Facts:
    """Return what is known of a checkpoint, and the attention that it computes with."""
    return stated(info) | {"attention_implementation": implementation(policy)}
