"""The rule that packs older transitions by a network: it chooses no entries, so it stands beside the other rules.

It fits policies that hold such a network, and is tried by rollouts alone: no laptop can predict latents from places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Form, Strategy
from attnscope_model.strategies.errors import StrategyError
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.view import ContextView
from attnscope_storage.wire.catalogue import RecordedPolicy


def packing_ages(policy: RecordedPolicy, steps: int, newest: int = 0) -> list[int | None]:
    """Return for each step of a rollout how many transitions have joined since the newest compression.

    0 is the decision right after one. None is before the first.

    Parameters
    ----------
    policy
        One that packs its history.
    steps
        Steps of the rollout.
    newest
        Transitions that a compression leaves as they are.
    """
    per, buffered, age = policy.tokens_per_transition, 0, None
    found: list[int | None] = []
    for _ in range(steps):
        found.append(age)
        buffered += per
        if buffered >= policy.packed_at - (0 if age is None else policy.latents):
            buffered, age = newest * per, 0
        elif age is not None:
            age += 1
    return found


@dataclass(frozen=True)
class Latents(Strategy):
    """Pack older transitions into latents by the network that the checkpoint was trained with."""

    name: ClassVar[str] = "latents"
    forms: ClassVar[tuple[Form, ...]] = ()
    simplicity: ClassVar[int] = 5
    bounded: ClassVar[bool] = False

    newest: int = parameter(
        0, "newest transitions that a compression leaves as they are; 0 leaves the next query alone", low=0
    )

    once: bool = parameter(
        default=False, meaning="pack everything older at once, anew at every decision, as CAD was trained"
    )

    by: str = parameter("", "installed compressor that packs; the checkpoint's own where it is empty")

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Refuse: latents are no entries of a context.

        Raises
        ------
        StrategyError
            Always.
        """
        del view, limit
        raise StrategyError("latents are made by the policy's own network, not chosen among entries: try it in a trial")
