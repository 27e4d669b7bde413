"""The knowledge of a decision between two requests."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field

from attnscope_model.compression import Compression
from attnscope_model.strategies import strategy
from attnscope_server.deciding.state import DecisionState, Phase
from attnscope_storage.wire.specifications.cards import CardArm, CardEarlier, CardSpeed, attempt_words
from attnscope_storage.wire.specifications.decisions import DecisionDocument, LoopSample


class Record(BaseModel):
    """All that a resumed decision needs beside its stored rollouts."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    driver: DecisionState
    arms: tuple[CardArm, ...] = ()
    """Arms of the race; the stored rollouts are numbered by their order."""
    first_episode: int = 0
    """First judged episode."""
    first_step: int = 0
    """First step at which that episode began in any captured rollout."""
    random: dict[int, tuple[float, float]] = Field(default_factory=dict)
    """Return of uniform actions in an episode of a screening task, with its standard error, where known."""
    uniform: dict[int, tuple[float, ...]] = Field(default_factory=dict)
    """Returns of uniform actions on the judging seeds, by task, where no random return is known."""
    random_rollouts: int = 0
    notes: tuple[str, ...] = ()
    quick: bool = False
    earlier: tuple[CardEarlier, ...] = ()
    """Earlier decisions on the same checkpoint and environment."""
    loop: LoopSample | None = None
    """Decisions of the chosen arm, for a comparison with a loop of one's own."""
    speed: CardSpeed | None = None
    """Speed of the chosen arm; measured, so that a second run gives another."""

    def after(self, earlier: tuple[CardEarlier, ...]) -> Record:
        """Return the record of a decision that begins after others on its checkpoint and environment."""
        driver, said = self.driver, attempt_words(earlier, self.driver.plan.seed_base)
        plan = driver.plan.model_copy(update={"attempt": 1 + len(earlier)})
        lines = driver.lines if said is None else (*driver.lines, said)
        return self.model_copy(
            update={"earlier": earlier, "driver": driver.model_copy(update={"plan": plan, "lines": lines})}
        )

    @property
    def over(self) -> bool:
        """True once nothing is left to do."""
        return self.driver.phase is Phase.DONE or (self.quick and bool(self.arms))


def setup_of(arm: CardArm) -> Compression:
    """Return the compression that an arm of a card stands for."""
    made = strategy(arm.strategy, **arm.parameters)
    return Compression(made, arm.budget, arm.positions, arm.interval, arm.memory, arm.path)


def record_of(document: DecisionDocument) -> Record:
    """Return the record that a document holds."""
    return Record.model_validate_json(json.dumps(document.state))
