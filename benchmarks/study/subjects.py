"""The subjects of the study: policies, tasks, and the trials of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from attnscope_storage.wire import POSITION_POLICIES, Budget, PositionPolicy, SpeedChoice, StrategyChoice, TrialSpec

SEEDS: Final = tuple(range(5))
"""Evaluation seeds that report."""

FRESH_SEEDS: Final = tuple(range(5, 15))
"""Evaluation seeds of the recommender's first choices: nothing was chosen on them."""

CAPTURE_SEEDS: Final = tuple(range(100, 110))
"""Seeds of the captures that the recommender reads, on validation tasks."""

SHARES: Final = (0.1, 0.25, 0.4, 0.6, 0.9)
FEW_SHARES: Final = (0.1, 0.25, 0.4)

BLIND: Final = tuple(
    StrategyChoice(name=name, parameters=parameters)
    for name, parameters in (
        ("recency", {}),
        ("sinks", {}),
        ("uniform", {}),
        ("random", {}),
        ("decay", {}),
        ("episodes", {}),
        ("anchored", {}),
        ("hierarchical", {}),
        ("pooled-window", {}),
        ("merging", {}),
        ("rewards", {}),
        ("dedup", {}),
        ("relevant", {}),
    )
)
"""Rules that look at no attention."""

GUIDED: Final = tuple(
    StrategyChoice(name=name, parameters=parameters)
    for name, parameters in (
        ("tova", {}),
        ("h2o", {}),
        ("snapkv", {}),
        ("nucleus", {}),
        ("threshold", {}),
        ("redundancy", {}),
        ("anchored", {"inner": {"name": "h2o", "recent": 0.25}}),
    )
)
"""Rules that look at attention: oracles where they look at every step."""

RULES: Final = frozenset(one.name for one in (*BLIND, *GUIDED))
"""The rules of the published study; one that is added later joins lists, advice and trials, and not the study."""

PLACED: Final = (BLIND[0], BLIND[1], BLIND[2])
REMEMBERING: Final = (*BLIND[:3], *GUIDED[:3])
UNTIMED: Final = SpeedChoice(enabled=False)


@dataclass(frozen=True)
class Subject:
    """One shipped policy and how it is tried."""

    key: str
    checkpoint: str
    title: str
    episodes: int
    tasks: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"split": "test"}))
    """Held-out tasks."""
    rotary: bool = False
    tokens: tuple[int, ...] = (16, 40, 64, 96)
    """Budgets in transitions."""
    positions: PositionPolicy = "reindex"
    """Positions of kept tokens, in every trial that does not compare positions."""
    shares: tuple[float, ...] = SHARES
    """Budgets of the whole board."""
    few: tuple[float, ...] = FEW_SHARES
    """Budgets of the other trials."""
    left_out: bool = False
    """True where the leave-one-out oracle is tried too; it costs a forward for every transition of a context."""


SUBJECTS: Final = (
    Subject(
        "darkroom-absolute",
        "AD-absolute-darkroom-reference-seed0@6000",
        "Darkroom 9×9, learned positions",
        20,
        left_out=True,
    ),
    Subject(
        "darkroom-rotary", "AD-rotary-darkroom-reference-seed0@6000", "Darkroom 9×9, rotary positions", 20, rotary=True
    ),
    Subject(
        "key-to-door",
        "AD-absolute-sweeper-key-to-door-seed0@3000",
        "Dark key-to-door 9×9",
        7,
        MappingProxyType({"split": "test", "indices": tuple(range(8))}),
        tokens=(87, 210),
        shares=(0.1, 0.4, 0.9),
        few=(0.1, 0.4),
        positions="keep",  # it was trained on windows that begin with the history: its slots tell episode and step
    ),
)


def trials(subject: Subject) -> dict[str, TrialSpec]:
    """Return the trials of a policy by name; all share its tasks, episodes and seeds."""

    def spec(strategies: tuple[StrategyChoice, ...], budgets: tuple[Budget, ...], **changes: Any) -> TrialSpec:  # noqa: ANN401
        said = {
            "checkpoint": subject.checkpoint,
            "tasks": dict(subject.tasks),
            "seeds": SEEDS,
            "episodes": subject.episodes,
            "strategies": strategies,
            "budgets": budgets,
            "positions": (subject.positions,),
            "kept_steps": 8,
            "speed": UNTIMED,
            **changes,
        }
        return TrialSpec.model_validate(said)

    elsewhere = tuple(one for one in POSITION_POLICIES if one != subject.positions)
    unweighted = StrategyChoice(name="pooled-window", parameters={"weighted": False})
    found = {
        "board": spec((*BLIND, *GUIDED), subject.shares),
        "positions": spec(PLACED, subject.few[-2:], positions=elsewhere, controls=False),
        "guided-every-10": spec(GUIDED, subject.few, interval=10),
        "stateful": spec(REMEMBERING, subject.few, memory="stateful", interval=10, positions=("reindex",)),
        "tokens": spec((*PLACED, *BLIND[6:8], BLIND[10], unweighted), subject.tokens),
    }
    if subject.left_out:
        rules = (StrategyChoice(name="leave-one-out"), BLIND[0], GUIDED[0])
        found["leave-one-out"] = spec(rules, (0.1, 0.4), interval=10)
    if subject.rotary:
        found["cached"] = spec(PLACED, subject.few, path="cached", memory="stateful", interval=10)
    return found
