"""The rules that advice proposes to try by rollouts: the first deployable rules of each vote, as a trial names them.

Without a screen there is one vote, by retained attention, and it is named as such. Nothing is proposed for a policy
that is not shown to gain anything, and an oracle is never proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from attnscope.recommendations.gate import Gate
from attnscope.recommendations.results import Recommendation
from attnscope.recommendations.screened import Best, agreement, votes
from attnscope.screens.results import ScreenResults

RETAINED: Final = "retained attention"
"""The one vote where there is no screen."""

WITHOUT_SCREEN: Final = (
    "Without a screen these are the deployable rules that keep most attention, which predicts no cost: "
    "attnscope screen would choose rules, counts and positions."
)

NOT_EARNING: Final = "Too few screened rollouts earn for any order of rules: name strategies{}."
OR_DECIDE: Final = ", or use attnscope decide"
"""Said for policies about which a decision can be made."""


@dataclass(frozen=True)
class Proposed:
    """The votes of advice; each names arms, its first choice first."""

    basis: str | None
    """``departures``, ``retained attention``, or None where nothing is proposed."""
    votes: dict[str, tuple[dict[str, Any], ...]]
    words: tuple[str, ...]
    """The notes for a reader of the proposal."""

    def to_json(self) -> dict[str, Any]:
        """Return the proposal as JSON."""
        return {"basis": self.basis, "votes": {name: list(of) for name, of in self.votes.items()}, "words": self.words}


def proposed(
    gate: Gate,
    screen: ScreenResults | None,
    best: Sequence[Best],
    ranked: Sequence[Recommendation],
    whole: str | None = None,
) -> Proposed:
    """Return what to try first.

    Parameters
    ----------
    whole
        Why this policy's context cannot be shortened; None where it can.
    """
    if whole is not None:
        return Proposed(None, {}, (f"{whole[0].upper()}{whole[1:]}.",))
    if not gate.ranks:
        return Proposed(None, {}, tuple(one.sentence for one in gate.claims()))
    if screen is None:
        real = [one for one in ranked if not one.oracle and one.key != "none"]
        order = sorted(real, key=lambda one: -np.nan_to_num(one.retained.value))
        return Proposed(RETAINED, {RETAINED: tuple(map(_of_attention, order))}, (WITHOUT_SCREEN,))
    if not screen.orders:
        return Proposed(
            None, {}, (NOT_EARNING.format(OR_DECIDE if screen.policy.output.why_undecided is None else ""),)
        )
    found = {name: tuple(map(_of_screen, of)) for name, of in votes(screen, best, len(best)).items()}
    return Proposed("departures", found, (agreement(votes(screen, best)),))


def _of_screen(one: Best) -> dict[str, Any]:
    arm = one.arm
    return {
        "name": one.name,
        "strategy": {"name": arm.strategy, **arm.parameters},
        "budget": arm.budget,
        "positions": arm.positions,
        "interval": arm.interval,
        "memory": arm.memory,
    }


def _of_attention(one: Recommendation) -> dict[str, Any]:
    return {
        "name": one.key,
        "strategy": one.strategy,
        "budget": one.budget,
        "positions": one.positions,
        "interval": 1,
        "memory": "stateless",
    }
