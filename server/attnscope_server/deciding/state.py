"""The state of a decision as one JSON document, the rollouts that it asks for, and what comes back."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from attnscope_server.deciding.answer import Answer, RungSummary
from attnscope_server.deciding.statistics.look_plans import LookPlan, Reach
from attnscope_server.deciding.statistics.scopes import Scope

UNCOMPRESSED = "uncompressed"
"""Name of the arm that every other is paired with."""

LOOK_SEEDS = 10_000
"""Distance of the first judging seed from the seed base."""

UNIFORM = "uniform actions"
"""Name of the rollouts of uniform actions on the judging seeds, where no random return is known."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Phase(Enum):
    """The phases of a decision, in order."""

    CAPTURE = "capture"
    """Uncompressed rollouts on screening tasks; the gate is read from them."""

    SCREEN = "screen"
    """Measures on the captured histories propose arms; no environment is stepped."""

    RACE = "race"
    """Arms of one budget after the other race on screening tasks."""

    LADDER = "ladder"
    """Rungs are judged by looks."""

    DONE = "done"


class Arm(_Frozen):
    """One rule with its count and positions."""

    name: str
    tokens: int = Field(ge=1)
    budget: str
    """Budget that the arm races within."""


class DecisionPlan(_Frozen):
    """All options of a decision, fixed at its start."""

    scope: Scope
    screening_tasks: tuple[int, ...] = Field(min_length=1)
    capture_seeds: int = Field(default=4, ge=2)
    """Seeds a screening task in the capture."""

    capture_base: int | None = None
    """First seed of a capture that another job made; the seed base where the decision captures itself."""

    margin: float = Field(default=0.05, gt=0, lt=1)
    extendable: bool = False
    most_tokens: int = Field(ge=1)
    """Tokens of the smallest saving worth having; arms that keep more are not judged."""

    seed_base: int = 0
    """First seed of the capture and of the race; looks follow in a block of their own."""

    most_rollouts: int = Field(default=2000, ge=1)
    """Cap on rollouts in all phases together."""

    attempt: int = Field(default=1, ge=1)
    """Number of this decision on its checkpoint and environment; the answer says so from the second one on."""

    @property
    def first_seed(self) -> int:
        """First seed of the capture, and of the race on the same rollouts."""
        return self.seed_base if self.capture_base is None else self.capture_base

    @property
    def judging_seed(self) -> int:
        """First seed of the looks."""
        return self.seed_base + LOOK_SEEDS

    @property
    def looks(self) -> LookPlan:
        """Looks of every rung."""
        return self.scope.plan(extendable=self.extendable)

    @property
    def unit(self) -> str:
        """Unit that looks add."""
        return "tasks" if self.scope.reach is Reach.BEYOND else "seeds"


class Piece(_Frozen):
    """Rollouts of one arm on every given task with the seeds from `first` to before `last`."""

    arm: str
    tasks: tuple[int, ...]
    first: int
    last: int

    @property
    def rollouts(self) -> int:
        """Rollouts of this piece."""
        return len(self.tasks) * (self.last - self.first)


class Request(_Frozen):
    """The next work of a decision."""

    phase: Phase
    pieces: tuple[Piece, ...] = ()
    """Rollouts to run; empty for the screen."""

    @property
    def rollouts(self) -> int:
        """Rollouts in all."""
        return sum(piece.rollouts for piece in self.pieces)


class Captured(_Frozen):
    """The capture's part of the answer to a request."""

    late: tuple[tuple[float, ...], ...]
    """Late return an episode, [task, seed]."""

    random: tuple[float, ...]
    random_error: tuple[float, ...] | None = None
    earned: tuple[tuple[bool, ...], ...]
    optimal: tuple[float, ...] | None = None
    """Best return an episode of every screening task, where it is known."""

    judged: tuple[tuple[float, ...], ...] | None = None
    """Mean return an episode over binding episodes, [task, seed], which raced arms are compared with."""


class Rolled(_Frozen):
    """Rollouts of one piece."""

    returns: tuple[tuple[float, ...], ...]
    """Mean return an episode over binding episodes, [task, seed]."""

    differing: tuple[tuple[int, ...], ...] | None = None
    """Decisions that differ from the uncompressed twin's, [task, seed]; absent where they were not counted."""


class LookSummary(_Frozen):
    """One look at one rung, as a picture of the sequential test shows it."""

    arm: str
    number: int
    tasks: int
    seeds: int
    verdict: str
    point: float
    """Kept share as measured at this look."""

    low: float
    high: float
    """Repeated interval."""

    score: float
    """Tested difference in standard errors, as a z value; NaN where nothing varies."""

    safe: float
    harm: float
    """Bounds of the look as z values, both positive."""

    may_be_safe: bool


class DecisionState(_Frozen):
    """A decision between two requests; its JSON is all that a resumed decision needs."""

    plan: DecisionPlan
    phase: Phase = Phase.CAPTURE
    rollouts: int = 0
    """Rollouts spent."""

    lines: tuple[str, ...] = ()
    """Progress in plain words, oldest first."""

    random: dict[int, tuple[float, float]] = Field(default_factory=dict)
    """Random return of every judging task and its standard error."""

    screen_ranks: bool | None = None
    """False where the gate says that a screen ranks nothing: its arms are then the list of rules."""

    arms: tuple[Arm, ...] = ()
    """Arms that the screen proposed."""

    twins: tuple[float, ...] = ()
    """Returns of the captured rollouts, pair by pair; none where they were not told."""

    chance: tuple[float, ...] = ()
    """Random return of every screening task."""

    hopeless: bool = False
    """True once every arm of a budget clearly lost more than the margin in its race: further budgets do not race."""

    racing: tuple[str, ...] = ()
    """Arms of the round that is asked for."""

    raced_from: int = 0
    raced_to: int = 0
    """Pairs of that round: (task, seed) sets by index."""

    raced: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Returns of raced arms by pair."""

    winners: dict[str, str] = Field(default_factory=dict)
    """Best arm of every budget whose race has ended."""

    rungs: tuple[Arm, ...] = ()
    contrast: Arm | None = None
    """Best arm at a second budget where the ladder has one rung only; it can only confirm harm."""

    ladder: str = ""
    """Digest of the ladder."""

    look: int = 1
    """Number of the look that is asked for."""

    judged: dict[str, dict[int, tuple[float, ...]]] = Field(default_factory=dict)
    """Returns of every judged arm by task and seed, the uncompressed one among them."""

    differing: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """Differing decisions of every counted rollout of a judged arm."""

    summaries: tuple[RungSummary, ...] = ()
    """Rungs whose verdict is final."""

    looks: tuple[LookSummary, ...] = ()
    """Every look so far, at every rung, in order."""

    answer: Answer | None = None
