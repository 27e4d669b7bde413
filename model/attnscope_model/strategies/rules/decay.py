"""Tokens drawn with a probability that falls with age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from attnscope_model.strategies.arrays import Array, as_float, namespace
from attnscope_model.strategies.base import Form, Scored
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.rules.random import lifelong
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class ExponentialDecay(Scored):
    """Keep tokens drawn without replacement, with weight exp(-rate × age)."""

    name: ClassVar[str] = "decay"
    order: ClassVar[int] = 50
    forms: ClassVar[tuple[Form, ...]] = (Form({"rate": 0.05}, {"rate": 0.02}, {"rate": 0.1}, {"rate": 0.5}),)
    simplicity: ClassVar[int] = 2

    rate: float = parameter(0.05, "Fall of the logarithm of the weight per token of age.", low=0.0, high=1000.0)
    seed: int = parameter(0, "Another seed draws other tokens.", low=0)

    def score(self, view: ContextView) -> Float[Array, "*batch entry"]:
        """Return Gumbel noise minus rate × age, whose largest are such a draw."""
        xp = namespace(view.held)
        noise = -xp.log(-xp.log(lifelong(view, self.seed)))
        return noise - self.rate * as_float(view.age)
