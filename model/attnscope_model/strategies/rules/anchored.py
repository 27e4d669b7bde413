"""A wrapper: marked tokens are kept whatever the wrapped rule says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import (
    Array,
    as_float,
    in_order,
    namespace,
    newest,
    number_of,
    packed,
    put_back,
    running,
)
from attnscope_model.strategies.base import Form, Strategy
from attnscope_model.strategies.errors import ParameterError
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.rules.recency import Recency
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Anchored(Strategy):
    """Keep anchors (each episode's start, the oldest slot, the first rewarded) and give the rest to another strategy.

    Anchors take half the budget at most, the newest of them first.
    """

    name: ClassVar[str] = "anchored"
    order: ClassVar[int] = 200
    forms: ClassVar[tuple[Form, ...]] = (
        Form({}, {"oldest": True}, {"first_rewarded": True}, key="anchored-recency"),
        Form(
            {"inner": {"name": "h2o", "recent": 0.0}},
            {"inner": {"name": "h2o", "recent": 0.25}},
            {"inner": {"name": "h2o", "recent": 0.25}, "oldest": True},
            key="anchored-h2o",
            guide=True,
        ),
    )
    """The second is the guide's attention-weighted top-K with anchors: accumulated attention is cumulative."""
    simplicity: ClassVar[int] = 2

    inner: Strategy = parameter(Recency, "The strategy that fills the rest of the budget.")
    starts: bool = parameter(True, "Anchor the first transition of every episode in the context.")
    oldest: bool = parameter(False, "Anchor the oldest token of the context.")
    first_rewarded: bool = parameter(False, "Anchor the oldest rewarded transition in the context.")

    def __post_init__(self) -> None:
        """Check the parameters; what is wrapped must heed the budget that the anchors leave it.

        Raises
        ------
        ParameterError
            It does not, or a parameter is of another type.
        """
        super().__post_init__()
        if not self.inner.bounded:
            raise ParameterError(f"anchored: inner must heed a budget, which {self.inner.name} does not")

    @property
    def required(self) -> frozenset[str]:
        """The values that find the anchors, and those that the wrapped strategy looks at."""
        by = ({"episode"} if self.starts else set()) | ({"reward"} if self.first_rewarded else set())
        return self.inner.required | by

    @property
    def uses(self) -> frozenset[str]:
        """The values that find the anchors, and those that the wrapped strategy looks at where they are there."""
        return self.required | self.inner.uses

    @property
    def decision_rows(self) -> int:
        """Decision rows that the wrapped strategy looks at."""
        return self.inner.decision_rows

    @property
    def pooling(self) -> bool:
        """True where the wrapped strategy builds tokens out of several entries."""
        return self.inner.pooling

    @property
    def oracle_reason(self) -> str | None:
        """Why no compressed policy could apply the wrapped strategy; None where one could."""
        return self.inner.oracle_reason

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Return the anchors and the wrapped strategy's plan of the rest."""
        xp = namespace(view.held)
        anchors = newest(self.anchors(view), limit // 2)
        rest = self.inner.choose(view.only(~anchors), limit - number_of(anchors))
        index = xp.broadcast_to(view.index, anchors.shape)
        return Plan(
            xp.where(anchors, index, rest.leader), xp.where(anchors, as_float(anchors), rest.weight), pure=rest.pure
        )

    def anchors(self, view: ContextView) -> Bool[Array, "*batch entry"]:
        """Return the entries that are anchors."""
        xp = namespace(view.held)
        found = xp.zeros_like(view.held)
        if self.starts:
            assert view.episode is not None  # noqa: S101 - `plan` refused the view otherwise
            # The oldest entry of a window that has slid is a start only if its episode truly begins there.
            cut = (view.place == 0) & (view.transition > 0)
            found = found | (begins(view) & ~cut)
        if self.oldest:
            found = found | (view.held & (view.place == 0))
        if self.first_rewarded:
            assert view.reward is not None  # noqa: S101 - as above
            rewarded = view.held & (view.reward > 0)
            found = found | (rewarded & (running(rewarded) == 1))
        return found


def begins(view: ContextView) -> Bool[Array, "*batch entry"]:
    """Return the oldest held entry of every episode."""
    xp = namespace(view.held)
    order = packed(view.held)
    episode = in_order(view.episode, order)
    first = xp.ones_like(view.held[..., :1])
    return view.held & put_back(xp.concat([first, episode[..., 1:] != episode[..., :-1]], axis=-1), order)
