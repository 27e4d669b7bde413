"""The oldest few and the newest tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array, namespace
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class SinksAndRecency(Selection):
    """Keep the oldest `sinks` and the newest tokens that fit the budget (StreamingLLM: Xiao et al., 2023).

    Once the window slides, the oldest slot holds another transition at every step: with absolute positions the sink is
    the place, not the event.
    """

    name: ClassVar[str] = "sinks"
    order: ClassVar[int] = 20
    forms: ClassVar[tuple[Form, ...]] = (Form({"sinks": 4}, {"sinks": 1}, {"sinks": 8}),)
    simplicity: ClassVar[int] = 2
    by_place: ClassVar[bool] = True

    sinks: int = parameter(
        4, "Tokens kept at the start of the context; fewer where the budget would leave no newest token.", low=0
    )

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return both ends of the history."""
        room = limit - 1
        oldest = namespace(limit).clip(room, 0, self.sinks)[..., None]
        return view.held & ((view.place < oldest) | (view.age <= limit[..., None] - oldest))
