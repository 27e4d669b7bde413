"""Decisions on the wire: how much of its history a policy may drop, decided by rollouts, and the card of the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.specifications.arms import Budget, Memory, PositionPolicy, Recompute
from attnscope_storage.wire.specifications.cards import CARD_SCHEMA, CardArm, CardRung, DecisionCard
from attnscope_storage.wire.specifications.choices import ActingSpecification, Seed, TaskChoice, refuse_doubles
from attnscope_storage.wire.tasks import TaskCell


class DecisionSpec(ActingSpecification):
    """Gate, screen, race and ladder of one checkpoint, to one answer.

    `tasks` are those that may judge, by default what is held out; `screening` are those that propose.
    """

    kind: Literal["decision"] = "decision"
    seeds: tuple[Seed, ...] = Field(
        default=(0,), min_length=1, max_length=1, description="First seed; every phase has a block of seeds from it."
    )
    screening: TaskChoice | None = Field(
        default=None,
        description="Tasks that are captured, screened and raced on; by default 4 of validation or training.",
    )
    episodes: Annotated[int, Field(ge=2, le=1_000_000)] | None = Field(
        default=None,
        description="Episodes of a rollout; by default so many that the context is full once, 4 at least.",
    )
    margin: float = Field(default=0.05, gt=0.0, lt=1.0, description="Share of the gain over random that may be lost.")
    worth: float = Field(
        default=2.0, gt=1.0, le=1_000.0, description="Smallest saving worth having: 2 keeps half of a full context."
    )
    capture: UUID | None = Field(
        default=None, description="Job of a capture whose histories are screened; None captures anew."
    )
    budgets: tuple[Budget, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description="Transitions kept, or shares of the history, none more than is worth having; by default 1/2, 1/4 "
        "and 1/8 of a full context where worth is 2.",
    )
    memories: tuple[Memory, ...] = Field(
        default=("stateless",),
        min_length=1,
        max_length=2,
        description="stateless selects from the stored window; stateful has lost what it dropped.",
    )
    path: Recompute = Field(
        default="recompute", description="How stateful arms compute: cached keeps keys and values of kept tokens."
    )
    positions: tuple[PositionPolicy, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=3,
        description="Where kept tokens stand; by default the screen chooses between keep and reindex where both fit.",
    )
    extendable: bool = Field(default=False, description="Leave room for further seeds after the last look.")
    beyond: bool = Field(default=False, description="Ask for a claim beyond the judging tasks; needs 16 unused ones.")
    quick: bool = Field(default=False, description="Gate and screen only: nothing is called safe.")
    most_rollouts: int = Field(default=2_000, ge=8, le=100_000, description="Rollouts in all phases, at most.")
    screened: int = Field(default=512, ge=8, le=100_000, description="Stored decisions that are screened.")

    @property
    def refers_to(self) -> UUID | None:
        """Name of the capture that is linked."""
        return self.capture

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("budgets", "positions", "memories"):
            refuse_doubles(getattr(self, name), name)
        if self.path == "cached" and "stateful" not in self.memories:
            raise ValueError("path: kept keys and values are a stateful context: ask for the memory stateful too")
        if self.positions is not None and "mask" in self.positions:
            raise ValueError("positions: mask sees the whole context and saves nothing, so no decision tries it")
        return self


class ResolvedDecision(ResolvedJob):
    """The meaning of a decision's specification on this service; `tasks` are the judging tasks, by look."""

    screening_tasks: tuple[TaskCell, ...] = Field(description="Tasks that are captured, screened and raced on.")
    capture_seeds: int = Field(description="Seeds of a screening task in the capture.")
    screening_split: str
    scope: dict[str, Any] = Field(description="Reach of the claim, name of the judging split, and notes.")
    scope_words: str = Field(description="The scope as the answer prints it, if every judging task is used.")
    episodes: int
    steps: int = Field(description="Steps of a rollout: episodes × horizon.")
    budgets: tuple[int | float, ...] = Field(description="Transitions kept, or shares of the history, most first.")
    capture_store: str | None = Field(default=None, description="Store of the linked capture; None captures anew.")
    capture_base: int | None = Field(default=None, description="First seed of the linked capture.")
    children: tuple[str, ...] = Field(
        default=(), description="Names of the child stores that the longest decision has; see `child_id`."
    )
    positions: tuple[PositionPolicy, ...] = Field(description="Those that the screen chooses between, default first.")
    most_tokens: int = Field(description="Tokens of the smallest saving worth having.")
    first_rollouts: int = Field(description="Rollouts of an answer at the first look, about.")
    most_rollouts: int = Field(description="Rollouts of the longest decision.")
    parts: int = Field(description="Requests of the longest decision; each is one commit.")
    largest_part: int = Field(description="Rollouts of one request, at most.")

    @property
    def steps_total(self) -> int:
        """Steps of the longest decision, a request counted as the steps of a rollout; most decisions end earlier."""
        return self.parts * self.steps

    @property
    def steps_each(self) -> int:
        """Steps that a request counts for."""
        return self.steps

    @property
    def size(self) -> str:
        """The size of the job in a few words for people."""
        kept = ", ".join(f"{one:.0%}" if isinstance(one, float) else str(one) for one in self.budgets)
        return (
            f"{self.first_rollouts} to {self.most_rollouts} rollouts of {self.steps} steps, judged on "
            f"{self.scope_words}, keeping {kept} transitions"
        )


class LoopSample(Received):
    """Decisions of the answered arm on a captured history, which somebody's own loop is compared with."""

    arm: str
    capture: str = Field(description="Store of the capture that holds the history.")
    env: int = Field(description="Entry of the capture's env axis.")
    steps: tuple[int, ...] = Field(description="Compared steps, in order.")
    probabilities: tuple[tuple[float, ...], ...] = Field(description="Of the arm's actions, temperature applied.")
    uncompressed: tuple[tuple[float, ...], ...] = Field(description="Of the uncompressed policy's actions there.")


class DecisionDocument(Received):
    """All that one committed request of a decision leaves behind, beside its rollouts."""

    state: dict[str, Any] = Field(description="State of the driver.")
    card: DecisionCard
    loop: LoopSample | None = Field(default=None, description="None where no arm is chosen.")


__all__ = [
    "CARD_SCHEMA",
    "CardArm",
    "CardRung",
    "DecisionCard",
    "DecisionDocument",
    "DecisionSpec",
    "LoopSample",
    "ResolvedDecision",
]
