"""Trials on the wire: strategies × budgets × position policies applied to one frozen checkpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from attnscope_storage.wire.base import MAX_NAMED, Received, Sent
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.specifications.choices import (
    ActingSpecification,
    Seed,
    refuse_doubles,
)

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
"""A share of what the history holds at each step."""

Tokens = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
"""Transitions of history that may be kept, at most."""

Budget = Tokens | Share
"""``40`` is a number of transitions, ``0.4`` a share; all of them is the strategy ``none``."""

PositionPolicy = Literal["reindex", "keep", "right_align", "mask"]
"""The positions of the kept tokens:

- ``reindex``: packed from slot 0, the query after them.
- ``keep``: in the slots that they had, with gaps; the query too.
- ``right_align``: packed just before the last slot of a full context, where the query stands.
- ``mask``: the whole context, the others unseen. An oracle: it saves nothing.
"""

Memory = Literal["stateless", "stateful"]
"""``stateless`` selects from the whole stored window again; ``stateful`` forgets what was dropped, and what it keeps
may outlive the window."""

Recompute = Literal["recompute", "cached"]
"""The computation of a decision: every kept token anew, or from kept keys and values (causal policies with
positions by distance), where what was dropped still lives on in what was computed while it was there."""

POSITION_POLICIES: tuple[str, ...] = get_args(PositionPolicy)
MAX_CONDITIONS = 2_000
"""Conditions of a trial, its controls among them."""


class StrategyChoice(Sent):
    """A strategy by name; a parameter that is itself a strategy is given the same way, ``{"name": …, …}``."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9\-]*$")
    parameters: dict[str, Any] = Field(
        default_factory=dict, max_length=MAX_NAMED, description="Those that are not left at their default."
    )


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
    """

    kind: Literal["trial"] = "trial"
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1, max_length=10_000, description="Evaluation seeds.")
    episodes: int = Field(default=20, ge=1, le=1_000_000, description="Length in episodes.")
    strategies: tuple[StrategyChoice, ...] = Field(min_length=1, max_length=64, description="Rules that are tried.")
    budgets: tuple[Budget, ...] = Field(
        min_length=1, max_length=64, description="Transitions kept, as a number 40 or a share 0.4."
    )
    positions: tuple[PositionPolicy, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description="Where kept tokens stand: reindex, keep, right_align or mask; by default keep for learned absolute "
        "positions of a stateless context, else reindex.",
    )
    interval: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["full"] = Field(
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
