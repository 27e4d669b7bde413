"""The knowledge of a decision between two requests."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field

from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.deciding.state import DecisionState, Phase
from attnscope_storage.wire.decisions import CardArm, DecisionDocument


class Record(BaseModel):
    """All that a resumed decision needs beside its stored rollouts."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    driver: DecisionState
    arms: tuple[CardArm, ...] = ()
    """Arms that were sent into the race; their places number the stored rollouts."""
    first_episode: int = 0
    """First judged episode."""
    random: dict[int, tuple[float, float]] = Field(default_factory=dict)
    """Random return an episode of a task and its standard error, where uniform actions were rolled out."""
    random_rollouts: int = 0
    notes: tuple[str, ...] = ()
    quick: bool = False

    @property
    def over(self) -> bool:
        """True once nothing is left to do."""
        return self.driver.phase is Phase.DONE or (self.quick and bool(self.arms))


def setup_of(arm: CardArm) -> Compression:
    """Return the compression that an arm of a card stands for."""
    return Compression(strategy(arm.strategy, **arm.parameters), arm.budget, arm.positions, arm.interval, arm.memory)


def record_of(document: DecisionDocument) -> Record:
    """Return the record that a document holds."""
    return Record.model_validate_json(json.dumps(document.state))
