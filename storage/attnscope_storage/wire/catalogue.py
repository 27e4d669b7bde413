"""The offers of a service: checkpoints, environments, capabilities, and who is asking."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.policies import PolicyDescription
from attnscope_storage.wire.strategies import TrainedUnder
from attnscope_storage.wire.tasks import TaskCell


class CheckpointInfo(Received):
    """A registered checkpoint."""

    id: str = Field(description="sha256 of the registered weights and configuration, hex.")
    name: str = Field(description="For people, e.g. AD-darkroom-seed0@60000.")
    former_names: tuple[str, ...] = Field(
        default=(), description="What it was called before, oldest first; each goes on finding it."
    )
    policy: PolicyDescription
    preset: str = Field(description="Environment preset bound to the checkpoint.")
    causal_stated_by: Literal["user", "file", "family"]
    sampling: Literal["sample", "greedy"] = Field(
        default="sample", description="How it acts where a capture does not choose: its family's own way, or stated."
    )
    stated: dict[str, bool | int | str] = Field(
        default_factory=dict, description="What its user stated because the file does not say it."
    )
    train_tasks: tuple[int, ...] | None = Field(description="Task indices; None where unknown.")
    validation_tasks: tuple[int, ...] | None = Field(
        default=None, description="Kept from training, to choose between runs by; None where unknown."
    )
    held_out_tasks: tuple[int, ...] | None = Field(
        default=None, description="Neither trained on nor chosen by; None where unknown."
    )
    train_step: int | None = None
    trained_under: TrainedUnder | None = Field(
        default=None, description="The compression that its contexts were trained under; None: none, or nobody says."
    )
    trained_from: str | None = Field(
        default=None, description="The id of the checkpoint that its training began from; None: from drawn weights."
    )
    recipe: str | None = Field(
        default=None,
        description="Hash of the plan that it was trained by, but for the training seed: equal of training seeds of "
        "one recipe. None: nobody says.",
    )
    training_seed: int | None = Field(default=None, description="The seed of that plan; None: nobody says.")
    source_sha256: str = Field(description="Of the file it was converted from.")
    source_name: str
    added_at: datetime
    notes: tuple[str, ...] = ()


class PresetInfo(Received):
    """An environment preset: numbering, start, episode end and split rule of one checkpoint family."""

    name: str
    environment_id: str
    environment_kwargs: dict[str, Any]
    horizon: int
    actions: tuple[str, ...]
    branches: tuple[int, ...] = Field(
        default=(), description="Sizes of the independent choices that make one action; empty: one choice."
    )
    continuous: bool = Field(default=False, description="An action is a vector; `actions` names its numbers.")
    most_rewards: int | None = Field(
        default=None, description="Rewards other than 0 that an episode can give, where it is declared."
    )
    description: str = ""
    task_counts: dict[str, int] = Field(default_factory=dict, description="Tasks of each split, and of 'all'.")
    splits: dict[str, tuple[TaskCell, ...]] = Field(
        description="Tasks of the splits that are short enough to list; ask for the others page by page."
    )


class TaskPage(Received):
    """A page of a preset's tasks."""

    tasks: tuple[TaskCell, ...]
    total: int = Field(description="Tasks of the split.")
    next_offset: int | None = Field(default=None, description="Where the next page begins; None after the last.")


class EnvironmentInfo(Received):
    """A listed environment."""

    id: str
    description: str
    kwargs_schema: dict[str, Any]
    presets: tuple[PresetInfo, ...]


class DeviceInfo(Received):
    """A device that runs jobs, one worker each."""

    name: str
    description: str
    busy_with: str | None = None


class PlacementSlot(Received):
    """A place where one job at a time can run."""

    runner: str
    name: str = Field(description="Unique among the slots of its runner.")
    device: str = Field(description="As the settings or the worker name it.")
    hardware: str | None = Field(default=None, description="Name that torch gives the device, once it is known.")
    kind: str = Field(description="device, or side: one thread beside busy devices.")
    free: bool
    busy_with: str | None = None


class Quota(Received):
    """A cap of one owner, and how much of it is used."""

    used: float
    limit: float | None = Field(default=None, description="None: no cap.")


class Capabilities(Received):
    """The abilities of this service, and its caps."""

    version: str
    job_kinds: tuple[str, ...]
    schema_version: int
    devices: tuple[DeviceInfo, ...]
    placement_slots: tuple[PlacementSlot, ...] = Field(default=(), description="None by older services.")
    limits: dict[str, float]
    slice_formats: tuple[str, ...]
    slice_reductions: tuple[str, ...]
    map_kinds: tuple[str, ...] = Field(default=(), description="What is replayed of any step; none by older services.")
    map_positions: tuple[str, ...] = ()
    map_formats: tuple[str, ...] = ()


class WhoAmI(Received):
    """The key that was sent, as the service sees it."""

    owner: str
    key_id: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    quotas: dict[str, Quota] = Field(
        default_factory=dict, description="By the names of the limits: stored_bytes, running_per_owner, queued_jobs."
    )


class Health(Received):
    """An answer of the health and readiness routes."""

    status: Literal["ok", "starting", "stopping", "unavailable"]
    detail: str | None = None
