"""Screens on the wire: arms judged at decisions of a capture's stored histories, without a step of any environment."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from attnscope_storage.wire.base import Specification
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.specifications.arms import (
    POSITION_POLICIES,
    Budget,
    Memory,
    PositionPolicy,
    StrategyChoice,
)
from attnscope_storage.wire.specifications.choices import refuse_doubles
from attnscope_storage.wire.specifications.trials import Condition

SHARES: tuple[Budget, ...] = (0.1, 0.25, 0.4, 0.6)
"""Budgets of a screen that names none."""

DECISIONS = 512
"""Decisions that a screen judges, where nothing else is asked for."""

Interval = Annotated[int, Field(ge=1, le=10_000)] | Literal["full"]


class ScreenSpec(Specification):
    """Judge every strategy × budget × position policy at decisions of a capture's stored histories."""

    kind: Literal["screen"] = "screen"
    checkpoint: str = Field(
        default="", max_length=200, description="The capture's where empty; named, it must be the capture's."
    )
    capture: UUID = Field(description="Job of the capture whose histories are read.")
    strategies: tuple[StrategyChoice, ...] | None = Field(
        default=None, min_length=1, max_length=64, description="Rules that are judged. None: every rule's own choice."
    )
    budgets: tuple[Budget, ...] = Field(
        default=SHARES, min_length=1, max_length=64, description="Transitions of history that may be kept, or shares."
    )
    positions: tuple[PositionPolicy, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=len(POSITION_POLICIES),
        description="Where kept tokens stand. None: reindex, and keep where both are known.",
    )
    intervals: tuple[Interval, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description="Steps between two selections of rules that look at attention. None: what each rule declares.",
    )
    memories: tuple[Memory, ...] = Field(
        default=("stateless",), min_length=1, max_length=2, description="What contexts may forget."
    )
    oracles: bool = Field(default=False, description="Judge rules at full attention too, apart, as bounds.")
    ages: bool = Field(
        default=False,
        description="Leave out bands of ages, single transitions and episodes, one at a time.",
    )
    decisions: int = Field(default=DECISIONS, ge=1, le=1_000_000, description="Decisions that are judged, at least.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of the draw of decisions.")

    @property
    def refers_to(self) -> UUID:
        """The capture that is read."""
        return self.capture

    @model_validator(mode="after")
    def _no_doubles(self) -> Self:
        for name in ("budgets", "positions", "intervals", "memories"):
            refuse_doubles(getattr(self, name) or (), name)
        return self


class ResolvedScreen(ResolvedJob):
    """The meaning of a screen's specification on this service."""

    capture_store: str = Field(description="Store of the capture that is read.")
    steps: int = Field(description="Steps of the histories that were committed when the screen was submitted.")
    envs: tuple[int, ...] = Field(description="Rollouts that are judged, as entries of the capture's env axis.")
    decisions_each: int = Field(description="Decisions of a rollout that are judged.")
    block: int = Field(description="Rollouts that are judged together and committed at once.")
    rows: bool = Field(description="Whether the capture holds the attention of every decision.")
    most_rewards: int | None = Field(
        default=None, description="Rewards other than 0 that an episode can give, as the environment declares it."
    )
    temperature: float | None = Field(description="Of the captured actions; None is greedy.")
    arms: tuple[Condition, ...] = Field(description="What is judged, deployable arms first.")
    bands: tuple[tuple[int, int], ...] = Field(
        default=(), description="Youngest and oldest age of the bands that are left out, 1 the newest transition."
    )
    episodes_back: int = Field(default=0, description="Episodes left out one by one, the decision's own first.")
    age_positions: PositionPolicy | None = Field(
        default=None, description="Where the other transitions stand while a part is left out."
    )
    notes: tuple[str, ...] = Field(default=(), description="What is left out, and why.")

    @property
    def steps_total(self) -> int:
        """Rollouts that are judged, in which progress counts."""
        return len(self.envs)

    @property
    def size(self) -> str:
        """Arms, rollouts and decisions."""
        judged = len(self.envs) * self.decisions_each
        parts = f" and {2 * len(self.bands) + self.episodes_back} parts by age" if self.bands else ""
        return f"{len(self.arms)} arms{parts} × {judged} decisions of {len(self.envs)} rollouts"
