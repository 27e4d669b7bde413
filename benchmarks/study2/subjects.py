"""Policies, rules, budgets, tasks and seeds of the second study; `docs/study/registration-2.md` names the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_model.strategies import looks_at_attention, strategy
from attnscope_model.strategies.candidates import BETWEEN_SELECTIONS
from attnscope_storage.wire import CheckpointInfo
from attnscope_storage.wire.specifications.arms import PositionPolicy

RULES: Final = ("recency", "uniform", "random", "sinks", "anchored", "rewards", "tova", "h2o")
"""Rules of the board; those that look at attention select at every tenth decision."""

POSITIONS: Final[tuple[PositionPolicy, ...]] = ("keep", "reindex")

CAPTURE_TASKS: Final = 8
CAPTURE_SEEDS: Final = 4
"""Seeds a task of the capture."""

RACE_TASKS: Final = 4
CONFIRM_SEEDS: Final = 10
"""Seeds a judging task of the confirmation."""

DIP_COUNTS: Final = (18, 19, 20, 21, 38, 39, 40, 41, 78, 79, 80, 81)
"""Counts around which a policy of the reference's layout might have been trained."""

DECISIONS: Final = 512
"""Decisions that a screen judges."""


@dataclass(frozen=True)
class Blocks:
    """First seeds of a study's parts; no rollout belongs to two parts or to two studies."""

    capture: int
    race: int
    board: int
    confirm: int


SECOND: Final = Blocks(100, 1_000, 10_000, 20_000)
"""Seeds of the second study."""


@dataclass(frozen=True)
class Subject:
    """One policy and how it is tried."""

    key: str
    checkpoint: str
    title: str
    role: str
    """`confirmation`: nothing of it set the procedure; `replication`: some of its rollouts did."""

    episodes: int
    counts: tuple[int, ...] = (64, 32, 16)
    """Transitions that arms keep, most first."""

    judges: int = 8
    """Held-out tasks that judge, the first ones of the list."""

    seeds: int = 2
    """Seeds a judging task on the board."""

    rules: tuple[str, ...] = RULES
    rotary: bool = False
    """True where the default positions are `reindex`, as positions are rotary."""

    dips: bool = False
    """True for the reference's layout, whose departures are screened around `DIP_COUNTS` too."""

    @property
    def arms(self) -> tuple[Compression, ...]:
        """Every arm of the board: counts, then positions, then rules."""
        return tuple(
            compression(rule, count, place) for count in self.counts for place in POSITIONS for rule in self.rules
        )

    @property
    def dip_arms(self) -> tuple[Compression, ...]:
        """Arms of the screen around trained lengths: the newest transitions only."""
        return tuple(compression("recency", count, place) for place in POSITIONS for count in DIP_COUNTS)


SUBJECTS: Final = (
    Subject("ckpt-causal", "AD-darkroom-seed42@1782", "Reference layout, early example", "confirmation", 12, dips=True),
    Subject(
        "reference-layout",
        "AD-reference-sweeper-darkroom-reference-seed0@2400",
        "Reference layout, sweeper",
        "confirmation",
        10,
        dips=True,
    ),
    Subject("annealed", "AD-absolute-annealed-darkroom-reference-seed0@2400", "Annealed expert", "confirmation", 16),
    Subject(
        "darkroom-13",
        "AD-rotary-sweeper-darkroom-13-seed0@2400",
        "Darkroom 13×13, rotary",
        "confirmation",
        8,
        counts=(150, 75),
        judges=6,
        rules=("recency", "uniform", "random", "anchored", "tova"),
        rotary=True,
    ),
    Subject(
        "key-to-door",
        "AD-absolute-sweeper-key-to-door-seed0@3000",
        "Dark key-to-door",
        "replication",
        7,
        counts=(174, 87),
        judges=6,
    ),
    Subject("q-learning", "AD-absolute-q-learning-darkroom-reference-seed0@1600", "Q-learning", "replication", 12),
    Subject(
        "darkroom-rotary",
        "AD-rotary-darkroom-reference-seed0@6000",
        "Darkroom 9×9, rotary",
        "replication",
        10,
        rotary=True,
    ),
    Subject(
        "darkroom-absolute", "AD-absolute-darkroom-reference-seed0@6000", "Darkroom 9×9, learned", "replication", 10
    ),
)
"""In the order of their runs."""


def compression(rule: str, count: int, positions: PositionPolicy) -> Compression:
    """Return an arm of the board."""
    made = strategy(rule)
    return Compression(made, count, positions, BETWEEN_SELECTIONS if looks_at_attention(made) else 1)


def named(arm: Compression) -> str:
    """Return the name of an arm: `tova 32, keep, every 10`."""
    every = "" if arm.interval == 1 else f", every {arm.interval}"
    return f"{arm.rule.name} {arm.budget}, {arm.positions}{every}"


def checkpoint_of(subject: Subject, registry: CheckpointRegistry) -> CheckpointInfo:
    """Return what the registry says of a subject's policy."""
    return registry.get(subject.checkpoint)
