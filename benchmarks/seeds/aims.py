"""The aims: which policies are to return how much, in which episodes, over their training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attnscope_server.training.plan import TrainingPlan
from benchmarks.shipping.recipes import SHIPMENTS, TRIED


@dataclass(frozen=True)
class Size:
    """The rollouts on a split."""

    tasks: int
    """Spread evenly over the split."""
    rollouts: int
    """Of each task."""


@dataclass(frozen=True)
class Aim:
    """A return that the three training seeds of a recipe are to reach on held-out tasks."""

    key: str
    """Of the recipe, shipped or tried."""
    title: str
    first: int
    """Episode in context, from 1, with which the judged ones begin."""
    episodes: int
    """Episodes of a rollout; the last one is judged too."""
    least: float
    """Mean return of the judged episodes, or share of the optimum."""
    of_optimum: bool
    """True where it is a share of the optimum."""
    sizes: Mapping[str, Size]
    """By split, validation first."""
    window_episodes: int | None = None
    """Episodes of a window that moves by whole episodes, the present one among them; None: it slides by itself."""

    @property
    def plans(self) -> tuple[TrainingPlan, ...]:
        """One a training seed."""
        return (SHIPMENTS | TRIED)[self.key].plans

    @property
    def judged(self) -> slice:
        """Places of the judged episodes."""
        return slice(self.first - 1, self.episodes)


AIMS: Final = (
    Aim(
        "darkroom-13-discovery",
        "13×13, discoveries weighted, window of 600",
        first=6,
        episodes=15,
        least=0.90,
        of_optimum=True,
        sizes={"validation": Size(15, 10), "held-out": Size(17, 10)},
    ),
    Aim(
        "key-to-door",
        "key-to-door, window of 350 moved by whole episodes",
        first=6,
        episodes=20,
        least=1.6,
        of_optimum=False,
        sizes={"validation": Size(16, 4), "held-out": Size(24, 4)},
        window_episodes=7,
    ),
)
"""In the order of the page."""
