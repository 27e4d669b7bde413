"""The finding that heatmaps look uniform, and its likely cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnscope.figures.trials.learning import bounds
from attnscope.study import Study

FLAT = 0.15
"""Total variation from uniform up to which attention counts as flat: that much mass would have to move."""

SHORT = 10
"""Tokens of a mean context below which nothing is called flat: over so few, no attention is far from uniform."""

LAST = 3
"""Share of the episodes, as a divisor, whose return says how well the policy acts."""


@dataclass(frozen=True)
class Uniformity:
    """The findings about flat attention and about acting no better than chance."""

    flattest: float | None
    """Total variation from uniform of the head that is furthest from it; None without rows."""
    mean: float | None
    """The same, mean over layers and heads."""
    late_return: float | None
    random_return: float | None
    better_than_random: bool | None
    """True where the late return is above uniform actions, with its whole interval; None where it is unknown."""
    tokens: float = SHORT
    """Mean context length behind these numbers."""
    worse_or_equal: bool = False
    """True where the whole interval lies at or below uniform actions, so that it is known not to be better."""

    @property
    def flat(self) -> bool:
        """True where even the most selective head is near uniform."""
        return self.flattest is not None and self.flattest < FLAT and self.tokens >= SHORT

    def sentences(self) -> list[str]:
        """Return warnings; none where attention has structure and the policy acts better than chance."""
        found = []
        if self.flat:
            found.append(
                f"The heatmaps look uniform: even the most selective head is {self.flattest:.2f} from uniform "
                f"attention (total variation; 0 is uniform, below {FLAT} counts as flat)."
            )
        if self.better_than_random is False:
            how = "acts no better" if self.worse_or_equal else "is not shown to act better"
            found.append(
                f"The policy {how} than uniform actions: late return {self.late_return:.2f}, uniform actions "
                f"{self.random_return:.2f}."
            )
        if self.flat and self.better_than_random is False:
            found.append(
                "Likely cause: the policy is not the trained one, or is not fed as in training. Check the mask that "
                "was stated, the environment's preset (action numbering, start), and that training had learned by then."
            )
        elif self.flat:
            found.append(
                "Likely cause: this policy averages over its history, so attention gives nothing to choose by."
            )
        elif self.better_than_random is False and self.flattest is not None and self.tokens >= SHORT:
            found.append(
                "Attention has structure all the same; it may be that of a policy that does not solve these tasks."
            )
        return found


def uniformity(study: Study) -> Uniformity:
    """Return how far a study's attention is from uniform, and how its policy acts."""
    heads = None if study.tally is None else study.tally.mean(study.tally.distance)
    late = random = None
    better: bool | None = None
    beaten = False
    if study.returns is not None and study.returns.shape[1]:
        last = study.returns[:, -max(1, study.returns.shape[1] // LAST) :].mean(axis=1)
        interval = study.interval(last)
        late, random = float(interval.value), bounds(study)[1]
        lower = float(interval.low) if np.isfinite(interval.low) else late
        better = None if random is None else lower > random
        beaten = random is not None and bool(np.isfinite(interval.high)) and float(interval.high) <= random
    flattest = None if heads is None else float(np.nanmax(heads))
    flatness = study.quantity("flatness")
    mean = None if flatness is None else flatness.estimate.value
    return Uniformity(flattest, mean, late, random, better, study.tokens, beaten)
