"""The card of a decision: the answer as it is cited, with all that it rests on. Knows no store and no service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from attnscope_storage.wire.specifications.arms import Memory, PositionPolicy, Recompute

CARD_SCHEMA: Final = 3
"""Version of the card's fields. Cards of versions 1 and 2 are read too: what they lack has its default."""


class CardLook(BaseModel):
    """One look at one rung: the estimate with its repeated interval, and the score beside the bounds of that look."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    arm: str
    number: int = Field(description="1 at the first look.")
    tasks: int
    seeds: int
    verdict: str
    kept: float = Field(description="Share of the gain that is kept, as measured at this look.")
    low: float
    high: float
    score: float = Field(description="Tested difference in standard errors; above 0 more than 1 - margin is kept.")
    safe: float = Field(description="Score above which the arm is non-inferior at this look.")
    harm: float = Field(description="Score below whose negative the arm is inferior at this look.")
    may_be_safe: bool = Field(description="False where only inferior may be said.")


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


class CardArm(_Shown):
    """An arm as a card shows it: all that says what the compressed policy sees."""

    name: str
    strategy: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    budget: int | float | None = Field(description="Transitions kept, or a share; None: the rule heeds no budget.")
    tokens: int = Field(description="Tokens kept of a full context, the query apart; at most, or as screened.")
    group: str = Field(default="", description="Budget that it raced within.")
    positions: PositionPolicy
    interval: int | Literal["full"] = 1
    memory: Memory = "stateless"
    path: Recompute = "recompute"
    departure: float | None = Field(default=None, description="Mean departure over live screened decisions.")
    departures_per_episode: float | None = None
    signed_loss: float | None = Field(default=None, description="Mean over decisions after which a reward followed.")
    retained: float | None = Field(default=None, description="Attention kept, over all screened decisions.")
    voted_by: tuple[str, ...] = Field(default=(), description="Votes that put it among their first three.")
    raced_return: float | None = Field(default=None, description="Mean return an episode in the race.")


class CardRung(_Shown):
    """A judged rung."""

    arm: str
    tokens: int
    verdict: str
    kept: float = Field(description="Share of the gain that is kept, median-unbiased.")
    low: float
    high: float
    tasks: int
    seeds: int
    words: str


class CardRefused(_Shown):
    """An arm that was tried and is not the answer."""

    arm: str
    reason: str


class CardPhase(_Shown):
    """Timed decisions of one phase, all environments together."""

    phase: Literal["growing", "full"] = Field(description="While the uncompressed context grows, and once it is full.")
    seconds: float = Field(description="Of a decision of the chosen arm.")
    recomputed: float = Field(description="Of a decision of the uncompressed policy, computed anew.")
    cached: float | None = Field(description="Of one from kept keys and values, where that is exact; else None.")
    ratio: float = Field(description="Fastest exact uncompressed decision ÷ decision of the chosen arm, median round.")
    low: float | None = Field(
        default=None, description="Lower limit of the median ratio, 96 %; None in cards before version 3."
    )
    high: float | None = Field(default=None, description="Its upper limit.")


class CardSpeed(_Shown):
    """Speed of the chosen arm against the fastest exact way to serve the uncompressed policy."""

    envs: int
    device: str
    phases: tuple[CardPhase, ...]
    words: str = Field(description="No claim where the uncompressed policy may be as fast.")
    load: float | None = Field(default=None, description="Processes that ran or waited, over the minute before.")
    cores: int | None = Field(default=None, description="Cores that the timing process might use.")


class CardMemory(_Shown):
    """Memory of one environment's context, keys and values in float32 counted by arithmetic."""

    tokens: int = Field(description="Tokens that the chosen arm keeps, the query apart.")
    full_tokens: int
    bytes: int
    full_bytes: int
    words: str


class CardEarlier(_Shown):
    """An earlier decision of the same owner on the same checkpoint and environment."""

    job: str
    sentence: str | None
    margin: float
    first_seed: int
    same_tasks: bool = Field(description="It had the same judging tasks.")


def attempt_words(earlier: Sequence[CardEarlier], first_seed: int | None) -> str | None:
    """Return what several decisions on one checkpoint and environment mean for their errors; None of the first one.

    Parameters
    ----------
    earlier
        The decisions before this one.
    first_seed
        First seed of this one.
    """
    if not earlier:
        return None
    number = len(earlier) + 1
    said = (
        f"decision number {number} on this checkpoint and environment: nothing is pooled, and as each may falsely call "
        f"an arm non-inferior in {ERROR:.1%} of cases, at least one of {number} may in up to "
        f"{min(1.0, number * ERROR):.1%}"
    )
    same = sum(one.same_tasks and one.first_seed == first_seed for one in earlier)
    if same:
        of = "one of them" if same == 1 else f"{same} of them"
        said += f"; {of} had these judging tasks and seeds: equal rollouts are no further evidence"
    return said


ERROR: Final = 0.025
"""Largest probability that a decision falsely calls an arm non-inferior."""


class DecisionCard(_Shown):
    """The answer as it is cited: sentence, arms, rungs, scope, costs, and what is left out."""

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
    refused: tuple[CardRefused, ...] = Field(default=(), description="Arms that were tried and not chosen.")
    first_episode: int = Field(default=0, description="First judged episode: the largest budget binds from it on.")
    rollouts: int = Field(description="Rollouts spent, baseline, gate and capture counted.")
    random_rollouts: int = Field(default=0, description="Rollouts of uniform actions, where no return is known.")
    speed: CardSpeed | None = Field(default=None, description="Of the chosen arm; None where no arm is chosen.")
    memory: CardMemory | None = Field(default=None, description="Of the chosen arm; None where no arm is chosen.")
    first_seed: int | None = Field(default=None, description="First seed; None in cards before version 3.")
    attempt: int = Field(default=1, description="Number of this decision on the same checkpoint and environment.")
    earlier: tuple[CardEarlier, ...] = Field(default=(), description="Earlier ones still stored, oldest first.")
    capture: str | None = Field(default=None, description="Job of the capture, where another job's was linked.")
    children: dict[str, str] = Field(default_factory=dict, description="Stores that the decision owns: name → id.")
    lines: tuple[str, ...] = Field(default=(), description="Progress in plain words, oldest first.")
    paste: str | None = Field(default=None, description="Python lines for one's own loop.")
    command: str = Field(description="Command that asks for the same decision.")
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = Field(default=(), description="Of the procedure, what this decision did not do.")


def card_schema() -> str:
    """Return the JSON schema of the card, as it is published."""
    return json.dumps(DecisionCard.model_json_schema(mode="serialization"), indent=1, sort_keys=True)


__all__ = [
    "CARD_SCHEMA",
    "CardArm",
    "CardEarlier",
    "CardMemory",
    "CardPhase",
    "CardRefused",
    "CardRung",
    "CardSpeed",
    "DecisionCard",
    "attempt_words",
    "card_schema",
]
