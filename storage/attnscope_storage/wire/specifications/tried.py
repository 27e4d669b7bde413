"""The checkpoints of a trial that has several, resolved."""

from __future__ import annotations

from pydantic import Field

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.policies import PolicyDescription


class TriedCheckpoint(Received):
    """A checkpoint that acts in a trial beside others."""

    id: str
    name: str
    policy: PolicyDescription
    recipe: str | None = Field(
        default=None,
        description="Recipe that it is a training seed of, as the specification says; None: it stands alone.",
    )
    training_seed: int | None = Field(default=None, description="Its place among the recipe's checkpoints, from 0.")
