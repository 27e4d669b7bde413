"""What the specification of any job was resolved to: who acts, where and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.tasks import TaskCell


class ResolvedSubject(Received):
    """Checkpoint, environment and tasks that a specification means on this service."""

    checkpoint_id: str
    checkpoint_name: str
    environment_id: str
    environment_kwargs: dict[str, object] = Field(default_factory=dict)
    preset: str
    horizon: int = Field(description="Steps of an episode.")
    sampling: Literal["sample", "greedy"] = Field(
        default="sample", description="How actions come from logits: as the specification says, or the checkpoint."
    )
    tasks: tuple[TaskCell, ...]
    held_out: bool | None = Field(
        description="Whether no task was trained on or chosen by; None where the checkpoint's train tasks are unknown."
    )
