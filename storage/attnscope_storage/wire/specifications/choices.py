"""The choices that specifications of several kinds share, and the specification of any job that acts."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from attnscope_storage.wire.base import MAX_NAMED, Sent, Specification

Index = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
MAX_ENTRIES = 10_000
"""Entries of a list that a specification names: tasks, seeds, environments, layers, heads, steps."""

DEFAULT_EPISODES = 10
"""Episodes of a capture that names neither episodes nor steps."""

DEFAULT_MAX_STEPS = 500
"""Steps that a capture naming neither episodes nor steps is cut to."""


def refuse_doubles(values: tuple[Any, ...] | None, name: str) -> None:
    """Raise ValueError where an entry is named twice."""
    if values is None or len(set(values)) == len(values):
        return
    twice = next(value for value, times in Counter(values).items() if times > 1)
    raise ValueError(f"{name} names an entry twice: {twice}")


class EnvironmentChoice(Sent):
    """An environment other than the checkpoint's own preset as it stands."""

    id: str | None = Field(
        default=None,
        max_length=200,
        pattern=r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)?$",
        description="A listed environment's id, e.g. attnscope/Darkroom-v0; by default the checkpoint's. No module.",
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        max_length=MAX_NAMED,
        description="Arguments of the environment, checked against its schema.",
    )


class TaskChoice(Sent):
    """The tasks: entries of a split in the reference's order, or the numbers that name them."""

    split: Literal["train", "validation", "test", "all"] | None = Field(
        default=None, description="The split that `indices` counts in; 'test' where nothing is said."
    )
    indices: tuple[Index, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ENTRIES,
        description="Entries of the split's list; all where nothing is said.",
    )
    goals: tuple[Annotated[tuple[int, ...], Field(min_length=1, max_length=16)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ENTRIES,
        description="Instead of split and indices: goal cells (row, column); (key row, key column, door row, door "
        "column) for key-to-door; permutations by the move that each action stands for.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.goals is not None and (self.split is not None or self.indices is not None):
            raise ValueError("name tasks by goals or by split and indices, not both")
        refuse_doubles(self.goals, "goals")
        refuse_doubles(self.indices, "indices")
        return self


class SamplingChoice(Sent):
    """The choice of an action from the logits."""

    mode: Literal["sample", "greedy"] | None = Field(
        default=None, description="Draw the action, or take the likeliest; by default as the checkpoint's entry says."
    )
    temperature: float = Field(default=1.0, gt=0.0, le=100.0, description="Divides the logits when sampling.")


class RowsChoice(Sent):
    """The decision rows that are stored, and their form. Statistics are kept for every environment in any case."""

    enabled: bool = Field(default=True, description="Store decision rows.")
    form: Literal["f16", "u8", "bins", "none"] | None = Field(
        default=None,
        description="f16: weights as float16; u8: a byte each, error 0.004 at most; bins: the mass of about 100 age "
        "bins; none. By default f16 where a step's rows are small, else bins, a curve, and float16 rows of a few "
        "environments.",
    )
    exact: tuple[Index, ...] | None = Field(
        default=None,
        max_length=MAX_ENTRIES,
        description="With bins: env axis entries whose float16 rows are stored too; where no form is named, a few.",
    )
    curve: bool | None = Field(
        default=None,
        description="Store the mass that each head's own best tokens hold at 21 budgets; by default beside bins that "
        "were not asked for.",
    )
    envs: tuple[Index, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ENTRIES,
        description="Env axis entries whose rows and maps are stored; all by default.",
    )
    every: int = Field(default=1, ge=1, le=100_000, description="Store the rows of every n-th step.")
    layers: tuple[Index, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ENTRIES,
        description="Layers whose rows and maps are stored; all by default.",
    )
    heads: tuple[Index, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ENTRIES,
        description="Heads whose rows and maps are stored; all by default.",
    )

    @model_validator(mode="after")
    def _no_doubles(self) -> Self:
        for name in ("envs", "layers", "heads", "exact"):
            refuse_doubles(getattr(self, name), name)
        if not self.enabled and self.form not in {None, "none"}:
            raise ValueError(f"rows are not enabled, yet form is {self.form}; leave out one of them")
        if self.exact is not None and self.form not in {None, "bins"}:
            raise ValueError(f"exact names rows beside bins, and the form is {self.form}; name them by envs")
        return self


class MapsChoice(Sent):
    """At which steps whole attention maps are stored; they share the rows' envs, layers and heads."""

    count: int | None = Field(
        default=None, ge=0, le=10_000, description="Evenly spaced steps with whole maps; 5 where neither is said."
    )
    steps: tuple[Index, ...] | None = Field(
        default=None, max_length=MAX_ENTRIES, description="Named steps with whole maps."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.count is not None and self.steps is not None:
            raise ValueError("name the maps by count or by steps, not both")
        refuse_doubles(self.steps, "steps")
        return self


class ActingSpecification(Specification):
    """The fields that every specification has whose job acts in an environment."""

    environment: EnvironmentChoice | None = Field(default=None, description="None: the checkpoint's preset.")
    tasks: TaskChoice = TaskChoice()
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1, max_length=MAX_ENTRIES, description="Evaluation seeds.")
    sampling: SamplingChoice = SamplingChoice()
