"""Captures on the wire: a policy rolled out, and what its decisions attend to."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from attnscope_storage.wire.compressors import InstalledCompressor, InstalledName
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.specifications.choices import (
    ActingSpecification,
    MapsChoice,
    RowsChoice,
    refuse_doubles,
)


class CaptureSpec(ActingSpecification):
    """Roll a policy out and store what its decisions attend to.

    The environment axis is task × seed × replica, in that nesting. Random numbers are keyed by
    (seed, task, replica) and counted by step, so an environment's rollout does not depend on its neighbours.
    """

    kind: Literal["capture"] = "capture"
    replicas: int = Field(default=1, ge=1, le=100_000, description="Rollouts of each task and seed.")
    episodes: int | None = Field(default=None, ge=1, le=10_000_000, description="Length in episodes.")
    steps: int | None = Field(default=None, ge=1, le=1_000_000_000, description="Length in steps.")
    rows: RowsChoice = RowsChoice()
    maps: MapsChoice = MapsChoice()
    sliding: bool = Field(
        default=False,
        description="Let a policy that packs its history act over a sliding window instead: the same weights, "
        "without latents.",
    )
    compressor: InstalledName | None = Field(
        default=None,
        description="Let an installed compressor pack the older history, as the rule latents:by=NAME does in a trial.",
    )
    dtype: Literal["float32", "tf32", "bfloat16"] = Field(
        default="float32", description="Of matrix products in the policy's forward; less than float32 needs a GPU."
    )

    @property
    def slides(self) -> bool:
        """True where the policy is asked to act over a sliding window."""
        return self.sliding

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.episodes is not None and self.steps is not None:
            raise ValueError("name the length by episodes or by steps, not both")
        refuse_doubles(self.seeds, "seeds")
        if self.sliding and self.compressor is not None:
            raise ValueError("a sliding window packs nothing: name sliding or a compressor, not both")
        return self


class ResolvedCapture(ResolvedJob):
    """The meaning of a capture's specification on this service; echoed at submission, stored with the job."""

    envs: int = Field(description="Length of the env axis: tasks × seeds × replicas.")
    steps: int = Field(description="Length of the step axis.")
    map_steps: tuple[int, ...]
    row_envs: tuple[int, ...]
    row_layers: tuple[int, ...]
    row_heads: tuple[int, ...]
    row_form: Literal["f16", "u8", "none"] = Field(default="f16", description="Form of the rows of `row_envs`.")
    bin_envs: tuple[int, ...] = Field(default=(), description="Environments whose rows are stored as age bins.")
    compressor_envs: tuple[int, ...] | None = Field(
        default=None,
        description="Environments whose compressor's attention is stored, where the policy packs its history; None: no "
        "compression is stored, as in captures of earlier versions.",
    )
    packed_by: InstalledCompressor | None = Field(
        default=None, description="The installed compressor, as it packs for this policy; None: none was named."
    )
    curve: bool = Field(default=False, description="A retained-mass curve of every decision is stored.")

    @property
    def steps_total(self) -> int:
        """Steps of the whole job."""
        return self.steps

    def acting(self, policy: PolicyDescription, *, sliding: bool = False) -> PolicyDescription:
        """Return the description of a policy as it acts here: by itself, sliding, or packed by a compressor."""
        return super().acting(policy, sliding=sliding) if self.packed_by is None else policy.packed(self.packed_by)

    @property
    def size(self) -> str:
        """The size of the job in a few words for people."""
        return f"{self.envs} environments × {self.steps} steps"
