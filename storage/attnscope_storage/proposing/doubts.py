"""Doubts: the numbers of a screen by which its own order of counts and positions is not believed.

Both thresholds were found on the policies of the second study and on a few decisions; they rest on no theory. What
became of them on other rollouts is told in docs/compression-study-3.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from attnscope_storage.proposing.votes import Votes

AGREES: Final = 0.7
"""Rank correlation of departure and signed loss within rules, below which departure is not believed there."""

SMALL: Final = 0.01
"""Departure of a live decision that counts as hardly any: one action in a hundred."""

MOSTLY: Final = 0.5
"""Share of arms that hardly depart, from which on there is too little to order."""

FEWEST: Final = 3
"""Arms of a rule without which its order says nothing."""


@dataclass(frozen=True)
class Doubts:
    """Two numbers of a screen's deployable arms."""

    agreement: float
    """Spearman correlation of departure with signed loss over the counts and positions of a rule, pooled over rules.

    NaN where no rule has three arms, or no reward follows any decision.
    """

    still: float
    """Share of arms that depart at fewer than one live decision in a hundred; NaN without arms."""

    @property
    def disagree(self) -> bool:
        """True where departing is not the same as leaving what the policy prefers: departing may help there."""
        return bool(self.agreement < AGREES)

    @property
    def too_still(self) -> bool:
        """True where most arms hardly depart, so that a few decisions make their order."""
        return bool(self.still >= MOSTLY)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The doubts in words, as screens and decisions say them; none where there is no doubt."""
        turned = (
            "departure and signed loss order the counts and positions of a rule differently (rank correlation "
            f"{self.agreement:.2f}; {AGREES:g} or more was seen where departures ordered costs): this policy may gain "
            "by departing, and the positions that depart least may be the worse ones"
        )
        small = (
            f"{self.still:.0%} of the arms depart at fewer than one live decision in 100: a few decisions make their "
            "order, which says little about costs"
        )
        return (*((turned,) if self.disagree else ()), *((small,) if self.too_still else ()))


def doubts_of(votes: Votes, rules: Sequence[Hashable], members: Sequence[int]) -> Doubts:
    """Return the doubts about a screen.

    Parameters
    ----------
    rules
        Rule of every arm of the votes.
    members
        The arms that are looked at: deployable ones with a budget.
    """
    mine = np.asarray(members, np.int64)
    still = float((votes.departure[mine] < SMALL).mean()) if len(mine) else float("nan")
    return Doubts(_agreement(votes.departure[mine], votes.signed[mine], [rules[arm] for arm in mine]), still)


def _agreement(
    one: Float64[np.ndarray, " arm"], other: Float64[np.ndarray, " arm"], rules: Sequence[Hashable]
) -> float:
    """Return the correlation of ranks within rules, pooled; rules of fewer than three arms are left out."""
    groups = [[at for at, rule in enumerate(rules) if rule == name] for name in dict.fromkeys(rules)]
    groups = [group for group in groups if len(group) >= FEWEST]
    if not groups or not np.isfinite(other[np.concatenate(groups)]).all():
        return float("nan")
    left, right = (np.concatenate([_centred(values[group]) for group in groups]) for values in (one, other))
    scale = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / scale if scale else float("nan")


def _centred(values: Float64[np.ndarray, " arm"]) -> Float64[np.ndarray, " arm"]:
    """Return mid-ranks, less their mean."""
    less = (values[:, None] > values[None]).sum(axis=1)
    equal = (values[:, None] == values[None]).sum(axis=1)
    ranks = less + (equal - 1) / 2
    return np.asarray(ranks - ranks.mean(), np.float64)
