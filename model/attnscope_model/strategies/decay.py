"""Tokens drawn with a probability that falls with age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array, as_float, namespace
from attnscope_model.strategies.base import Scored
from attnscope_model.strategies.random import lifelong
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class ExponentialDecay(Scored):
    """Keep tokens drawn without replacement, with weight exp(-rate × age)."""

    name: ClassVar[str] = "decay"
    simplicity: ClassVar[int] = 2

    rate: float = 0.05
    """Per token of age."""
    seed: int = 0

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return Gumbel noise minus rate × age, whose largest are such a draw."""
        xp = namespace(view.held)
        noise = -xp.log(-xp.log(lifelong(view, self.seed)))
        return noise - self.rate * as_float(view.age)
