"""The resolved form of any job's specification: the policy, the environment, the tasks, and the choice of actions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from pydantic import Field

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.policies import PolicyDescription
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


class ResolvedJob(ResolvedSubject):
    """A subject, and the length of the job; every kind of job has a model of its own."""

    @property
    @abstractmethod
    def steps_total(self) -> int:
        """Steps of the whole job, in which its progress counts."""

    @property
    def checkpoint_ids(self) -> tuple[str, ...]:
        """Every checkpoint that the job needs, that of the subject first."""
        return (self.checkpoint_id,)

    @property
    def steps_each(self) -> int:
        """Steps of the job that one committed entry of its store stands for."""
        return 1

    @property
    @abstractmethod
    def size(self) -> str:
        """The size of the job in a few words for people, e.g. ``3 environments × 50 steps``."""

    def acting(self, policy: PolicyDescription, *, sliding: bool = False) -> PolicyDescription:
        """Return the description of a policy as it acts in this job: by itself, or over a sliding window."""
        return policy.unpacked() if sliding else policy

    def counted(self, steps_committed: int) -> dict[str, int]:
        """Return the fields of `Progress` that only this kind of job has, once so many steps are committed."""
        del steps_committed
        return {}
