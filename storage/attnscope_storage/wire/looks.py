"""The looks of a decision's card: every look at every rung. Knows no store and no service."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
