"""Decisions on the wire: how much of its history a policy may drop, decided by rollouts, and the card of the answer."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.looks import CardLook
from attnscope_storage.wire.resolved import ResolvedJob
from attnscope_storage.wire.specs import ActingSpecification, Seed, TaskChoice, refuse_doubles
from attnscope_storage.wire.tasks import TaskCell
from attnscope_storage.wire.trials import Memory, PositionPolicy, Tokens

CARD_SCHEMA: Final = 1
"""Version of the card's fields."""


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
    budgets: tuple[Tokens, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description="Transitions kept, none more than is worth having; by default 1/2, 1/4 and 1/8 where worth is 2.",
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("budgets", "positions"):
            refuse_doubles(getattr(self, name), name)
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
    budgets: tuple[int, ...] = Field(description="Transitions kept, most first.")
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
        return (
            f"{self.first_rollouts} to {self.most_rollouts} rollouts of {self.steps} steps, judged on "
            f"{self.scope_words}, keeping {', '.join(map(str, self.budgets))} transitions"
        )


class CardArm(BaseModel):
    """An arm as a card shows it: all that says what the compressed policy sees."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    strategy: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    budget: int = Field(description="Transitions kept.")
    tokens: int = Field(description="Tokens kept, the query apart.")
    positions: PositionPolicy
    interval: int | Literal["full"] = 1
    memory: Memory = "stateless"
    departure: float | None = Field(default=None, description="Mean departure over live screened decisions.")
    departures_per_episode: float | None = None
    signed_loss: float | None = Field(default=None, description="Mean over decisions after which a reward followed.")
    retained: float | None = Field(default=None, description="Attention kept, over all screened decisions.")
    voted_by: tuple[str, ...] = Field(default=(), description="Votes that put it among their first three.")
    raced_return: float | None = Field(default=None, description="Mean return an episode in the race.")


class CardRung(BaseModel):
    """A judged rung."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    arm: str
    tokens: int
    verdict: str
    kept: float = Field(description="Share of the gain that is kept, median-unbiased.")
    low: float
    high: float
    tasks: int
    seeds: int
    words: str


class DecisionCard(BaseModel):
    """The answer as it is cited: sentence, arms, rungs, scope, costs, and what is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    card_schema: int = CARD_SCHEMA
    job: str
    checkpoint_id: str
    checkpoint_name: str
    environment_id: str
    environment_kwargs: dict[str, Any] = Field(default_factory=dict)
    answer: str | None = Field(description="Kind of the answer; None while none is there, and of a quick decision.")
    sentence: str | None = Field(description="The answer in one sentence.")
    gate: str | None = None
    margin: float
    worth: float
    scope: str
    chosen: CardArm | None = None
    rungs: tuple[CardRung, ...] = ()
    looks: tuple[CardLook, ...] = Field(default=(), description="Every look at every rung, in order.")
    ladder: str = Field(default="", description="Digest of all that was fixed before rung 1.")
    arms: tuple[CardArm, ...] = Field(default=(), description="Arms that the screen sent into the race.")
    first_episode: int = Field(default=0, description="First judged episode: the largest budget binds from it on.")
    rollouts: int = Field(description="Rollouts spent, baseline, gate and capture counted.")
    random_rollouts: int = Field(default=0, description="Rollouts of uniform actions, where no return is known.")
    lines: tuple[str, ...] = Field(default=(), description="Progress in plain words, oldest first.")
    paste: str | None = Field(default=None, description="Python lines for one's own loop.")
    command: str = Field(description="Command that asks for the same decision.")
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = Field(default=(), description="Of the procedure, what this decision did not do.")


class DecisionDocument(Received):
    """All that one committed request of a decision leaves behind, beside its rollouts."""

    state: dict[str, Any] = Field(description="State of the driver.")
    card: DecisionCard


__all__ = ["CARD_SCHEMA", "CardArm", "CardRung", "DecisionCard", "DecisionDocument", "DecisionSpec", "ResolvedDecision"]
