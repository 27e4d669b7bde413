"""Older tokens pooled more coarsely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int

from attnscope_model.strategies.arrays import Array, namespace
from attnscope_model.strategies.base import Form, Strategy
from attnscope_model.strategies.errors import ParameterError
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.plan import Plan, pooled
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Hierarchical(Strategy):
    """Keep the newest 5 tokens, pool ages 6 to 20 by twos and older ones by fours (guide, strategy 3).

    Means are plain. Where the tokens exceed the budget the oldest are dropped.
    """

    name: ClassVar[str] = "hierarchical"
    order: ClassVar[int] = 140
    forms: ClassVar[tuple[Form, ...]] = (Form(guide=True),)
    simplicity: ClassVar[int] = 3
    pools: ClassVar[bool] = True
    by_place: ClassVar[bool] = True

    fine: int = parameter(5, "Newest tokens kept as they are.", low=1)
    middle: int = parameter(20, "Age up to which `middle_ratio` tokens are pooled into one; `fine` at least.", low=1)
    middle_ratio: int = parameter(2, "Tokens of the middle part that are pooled into one.", low=1)
    old_ratio: int = parameter(4, "Tokens of the oldest part that are pooled into one.", low=1)

    def __post_init__(self) -> None:
        """Check the parameters, also against each other."""
        super().__post_init__()
        if self.middle < self.fine:
            raise ParameterError(f"middle of hierarchical is fine ({self.fine}) at least, got {self.middle}")

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return the entries in groups counted from the newest."""
        xp = namespace(view.held)
        age = view.age
        between = -(-(self.middle - self.fine) // self.middle_ratio)
        second = self.fine + (age - self.fine - 1) // self.middle_ratio
        third = self.fine + between + (age - self.middle - 1) // self.old_ratio
        number = xp.where(age <= self.fine, age - 1, xp.where(age <= self.middle, second, third))
        label = xp.where(number < limit[..., None], number, xp.full_like(number, -1))
        return pooled(label, view.held)
