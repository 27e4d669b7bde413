"""Random tokens: the floor that every rule must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array, dice
from attnscope_model.strategies.base import Scored
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Random(Scored):
    """Keep random tokens; a transition keeps its number for life, so that what is dropped stays dropped."""

    name: ClassVar[str] = "random"
    order: ClassVar[int] = 40

    seed: int = parameter(0, "Another seed draws other tokens.", low=0)

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return a number of the transition and its rollout."""
        return lifelong(view, self.seed)


def lifelong(view: ContextView, seed: int) -> Float[Array, "*batch entry"]:
    """Return a uniform number for every transition of every rollout."""
    lane = 0 if view.lane is None else view.lane[..., None] * 1_000_003
    return dice(view.transition + lane, seed)
