"""Trials on the wire: strategies × budgets × position policies applied to one frozen checkpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from attnscope_storage.wire.base import Received, Sent
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.specifications.arms import (
    MAX_ARMS,
    ArmChoice,
    Budget,
    Interval,
    Memory,
    PositionPolicy,
    RecipeChoice,
    Recompute,
    StrategyChoice,
    first_checkpoint,
    refuse_unused,
)
from attnscope_storage.wire.specifications.choices import (
    ActingSpecification,
    Seed,
    refuse_doubles,
)
from attnscope_storage.wire.specifications.tried import TriedCheckpoint

MAX_CONDITIONS = 2_000
"""Conditions of a trial, its controls among them."""


class SpeedChoice(Sent):
    """The timed work: decisions of every condition beside uncompressed ones, in the same process, in turns."""

    enabled: bool = Field(default=True, description="Time decisions beside uncompressed ones.")
    envs: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(1, 8, 64), min_length=1, max_length=8, description="Environments that are timed together."
    )
    decisions: int = Field(default=20, ge=2, le=10_000, description="Decisions of each round.")
    rounds: int = Field(default=3, ge=1, le=100, description="Rounds of timed decisions, in turns.")


class TrialSpec(ActingSpecification):
    """Act under every strategy × budget × position policy, beside the uncompressed rollout of the same random numbers.

    Condition 0 is the uncompressed rollout. `controls` adds uniform and random at every budget and position policy.
    Where `arms` are named instead, each is one condition (of a recipe, one a checkpoint), all are compared with the
    first one, and condition 0 is the uncompressed rollout of the first one's checkpoint.
    """

    kind: Literal["trial"] = "trial"
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1, max_length=10_000, description="Evaluation seeds.")
    episodes: int = Field(default=20, ge=1, le=1_000_000, description="Length in episodes.")
    strategies: tuple[StrategyChoice, ...] = Field(default=(), max_length=64, description="Rules that are tried.")
    budgets: tuple[Budget, ...] = Field(
        default=(),
        max_length=64,
        description="Transitions kept, as a number 40 or a share 0.4; needed by every strategy that heeds one.",
    )
    arms: tuple[ArmChoice, ...] = Field(
        default=(),
        max_length=MAX_ARMS,
        description="Instead of strategies and budgets: checkpoints with their rules; the first is the reference.",
    )
    recipes: tuple[RecipeChoice, ...] = Field(
        default=(), max_length=MAX_ARMS, description="Checkpoints that are training seeds of one recipe, by its name."
    )
    paired_recipes: bool = Field(
        default=False, description="The n-th checkpoints of all recipes grew from one training seed or checkpoint."
    )
    positions: tuple[PositionPolicy, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description="Where kept tokens stand: reindex, keep, right_align or mask; by default keep for learned absolute "
        "positions of a stateless context, else reindex.",
    )
    interval: Interval = Field(
        default=1,
        description="Select anew at every n-th step, or only where the context is full. Between two selections the "
        "transitions that are finished join the context.",
    )
    memory: Memory = Field(
        default="stateless", description="stateless selects from the stored window; stateful has lost what it dropped."
    )
    path: Recompute = Field(
        default="recompute", description="recompute computes every kept token anew; cached keeps keys and values."
    )
    controls: bool = Field(default=True, description="Add uniform and random at every budget.")
    divergence_steps: int = Field(
        default=16, ge=0, le=10_000, description="Evenly spaced steps of the uncompressed histories where KL is taken."
    )
    kept_steps: int = Field(
        default=32, ge=0, le=10_000, description="Evenly spaced steps whose kept transitions are stored."
    )
    speed: SpeedChoice = SpeedChoice()
    margin: float = Field(
        default=0.05, gt=0.0, le=1.0, description="Of baseline − random: a loss below it is non-inferior. Fixed here."
    )

    @model_validator(mode="before")
    @classmethod
    def _first_arm_names_the_checkpoint(cls, given: Any) -> Any:  # noqa: ANN401 - not yet validated
        """Fill in the checkpoint of condition 0 where arms are named and it is not."""
        if not isinstance(given, dict) or given.get("checkpoint") is not None or not given.get("arms"):
            return given
        return given | {"checkpoint": first_checkpoint(given["arms"], given.get("recipes") or ())}

    @model_validator(mode="after")
    def _arms_or_a_grid(self) -> Self:
        if not self.arms:
            if not self.strategies:
                raise ValueError("strategies: needed, unless arms are named")
            if self.recipes or self.paired_recipes:
                raise ValueError("recipes: they group the checkpoints of arms, and no arm is named")
            return self
        if self.strategies or self.budgets:
            raise ValueError("arms: each names its rule and budget; leave strategies and budgets out")
        if self.checkpoint != first_checkpoint(self.arms, self.recipes):
            raise ValueError("checkpoint: the first arm names it; leave it out")
        if self.positions is not None and len(self.positions) > 1:
            raise ValueError("positions: of arms one, or each arm its own")
        refuse_unused([recipe.name for recipe in self.recipes], {arm.checkpoint for arm in self.arms})
        return self

    @model_validator(mode="after")
    def _no_doubles(self) -> Self:
        for name in ("seeds", "budgets", "positions"):
            refuse_doubles(getattr(self, name), name)
        positions = set(self.positions or ())
        if self.path == "recompute" and self.memory == "stateful" and {"keep", "mask"} & positions:
            raise ValueError("positions: keep and mask need the stored window, which a stateful context has not")
        if self.path == "cached" and self.memory == "stateless":
            raise ValueError("path: kept keys and values are a stateful context, what is dropped is gone: say so")
        if self.path == "cached" and positions - {"reindex", "keep"}:
            raise ValueError("positions: kept keys and values stand where they stood (keep) or close up (reindex)")
        return self


class Condition(Received):
    """One way to act, resolved: an entry of a trial's condition axis."""

    index: int
    strategy: str = Field(description="Name; 'none' of the uncompressed rollout.")
    parameters: dict[str, Any] = Field(description="All of them, defaults too, as `strategy` takes them.")
    text: str = Field(description="For people, e.g. 'sinks(sinks=4)'.")
    budget: int | float | None = Field(description="As the specification has it; None: no budget (none).")
    positions: PositionPolicy
    interval: int | Literal["full"]
    memory: Memory
    path: Recompute
    control: bool = Field(description="Added by the service: uniform or random at an equal budget, or the baseline.")
    oracle: bool = Field(description="Sees more than a compressed policy could (full attention at every step, a mask).")
    oracle_reason: str | None = None
    checkpoint: int = Field(default=0, description="Place of its checkpoint in `ResolvedTrial.checkpoints`.")
    checkpoint_name: str | None = Field(default=None, description="Where a trial has arms: whose checkpoint it is.")
    arm: int | None = Field(default=None, description="Place of the arm that asked for it; None: no arm did.")
    against: int = Field(default=0, description="Condition that it is compared with; itself where it is a reference.")


class ResolvedTrial(ResolvedJob):
    """The meaning of a trial's specification on this service."""

    envs: int = Field(description="Rollouts of a condition: tasks × seeds.")
    steps: int = Field(description="Steps of a rollout: episodes × horizon.")
    conditions: tuple[Condition, ...]
    divergence_steps: tuple[int, ...]
    kept_steps: tuple[int, ...]
    whole_split: str | None = Field(
        default=None, description="Name of the split that its tasks are all of; None where they are a part of one."
    )
    checkpoints: tuple[TriedCheckpoint, ...] = Field(
        default=(), description="Checkpoints of its arms, that of condition 0 first; empty where no arms are named."
    )

    @property
    def checkpoint_ids(self) -> tuple[str, ...]:
        """Every checkpoint that the job needs."""
        return tuple(dict.fromkeys((self.checkpoint_id, *(one.id for one in self.checkpoints))))

    @property
    def steps_total(self) -> int:
        """Steps of the whole job: those of every condition."""
        return self.steps * len(self.conditions)

    @property
    def steps_each(self) -> int:
        """Steps of a condition, which is one committed entry."""
        return self.steps

    @property
    def size(self) -> str:
        """The size of the job in a few words for people."""
        return f"{len(self.conditions)} conditions × {self.envs} environments × {self.steps} steps"

    def counted(self, steps_committed: int) -> dict[str, int]:
        """Return how many conditions are committed, and of how many."""
        return {"conditions_committed": steps_committed // self.steps, "conditions_total": len(self.conditions)}
