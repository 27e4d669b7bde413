"""The gate: does the policy learn here at all, and may a screen of its histories rank rules.

The 95 % interval has two sides: above random the gate opens, below it the policy is worse than random, and an interval
that holds zero says neither. Student's interval of skewed returns errs too often on one side, so that a word also asks
for the corrected score (`Estimate.score`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float

from attnscope_server.deciding.statistics.estimates import estimate, student_quantile
from attnscope_server.deciding.statistics.look_plans import Reach

MOST_EARN = 0.80
"""Share of capture rollouts that must ever earn before a screen ranks rules."""

BOUND = 1.959963984540054
"""z value of a 95 % interval."""

LITTLE = 0.10
"""Share of what could be gained that counts as no gain."""

LITTLE_SPREAD = 0.5
"""Standard deviations of a rollout that count as no gain, where the best return is unknown."""


class Standing(Enum):
    """The comparison of a policy with uniform actions."""

    BETTER = "better"
    """Its whole interval lies above random."""

    WORSE = "worse"
    """Its whole interval lies below random."""

    ALIKE = "alike"
    """The interval holds random, and reaches no gain worth the name."""

    SKEWED = "skewed"
    """The interval lies above random, and no longer once skewness is corrected."""

    OPEN = "open"
    """The interval holds random and a real gain: too few rollouts to tell."""


@dataclass(frozen=True)
class Gate:
    """Late return above random of the uncompressed policy, and the share of its rollouts that ever earn."""

    gain: float
    low: float
    high: float
    """Limits of the 95 % interval of the gain, an episode."""

    earning: float
    """Share of rollouts with any reward."""

    score: float = math.inf
    """z value of the gain, corrected for skewness; NaN where nothing varies."""

    little: float = 0.0
    """Gain, an episode, up to which the policy counts as not better than random."""

    @property
    def standing(self) -> Standing:
        """Standing to uniform actions, by the interval on both sides and after skewness is corrected."""
        if self.low > 0 and not self.score <= BOUND:
            return Standing.BETTER
        # Rollouts that all return the same say nothing here: where rewards are rare, random actions earn none either.
        if self.high < 0 and self.score < -BOUND:
            return Standing.WORSE
        if self.low > 0:
            return Standing.SKEWED
        return Standing.ALIKE if self.high <= self.little else Standing.OPEN

    @property
    def learns(self) -> bool:
        """True where the late return is above random, with its whole interval and after skewness is corrected."""
        return self.standing is Standing.BETTER

    @property
    def worse(self) -> bool:
        """True where the late return is below random in the same way."""
        return self.standing is Standing.WORSE

    @property
    def screen_ranks(self) -> bool:
        """True where rules may be ranked by a screen; else the race alone decides."""
        return self.learns and self.earning >= MOST_EARN

    @property
    def sentence(self) -> str:
        """The gate in one sentence."""
        found = f"late return {self.gain:+.3g} above random [{self.low:.3g}, {self.high:.3g}]"
        refused = {
            Standing.WORSE: "The policy acts worse than random here ({}): nothing to compress.",
            Standing.ALIKE: "The policy does not act better than random here ({}): nothing to compress.",
            Standing.SKEWED: "The policy is not shown to act better than random here ({}): its returns are too skewed.",
            Standing.OPEN: "Too few rollouts to tell whether the policy acts better than random here ({}).",
        }
        if self.standing in refused:
            return refused[self.standing].format(found)
        share = f"{self.earning:.0%} of the rollouts earn"
        return f"The policy learns ({found}); {share}" + (
            "." if self.screen_ranks else ", under 80 %: the screen ranks nothing, the race decides."
        )


def gate(
    late: Float[np.ndarray, "task seed"],
    random: Float[np.ndarray, " task"],
    earned: Bool[np.ndarray, "task seed"],
    random_error: Float[np.ndarray, " task"] | None = None,
    optimal: Float[np.ndarray, " task"] | None = None,
) -> Gate:
    """Judge whether there is anything to compress.

    Parameters
    ----------
    late
        Mean return an episode of the last third of every capture rollout.
    random, random_error
        Return an episode of uniform actions, with its standard error where it was sampled.
    earned
        True where a rollout had any reward other than zero.
    optimal
        Best return an episode, where the environment knows it.
    """
    extra = 0.0 if random_error is None else float((random_error**2).sum()) / random.size**2
    found = estimate(late - random[:, None], Reach.THESE, extra)
    mean, error = float(found.mean), float(found.error)
    half = error * float(student_quantile(BOUND, found.freedom)) if error > 0 else 0.0
    little = LITTLE_SPREAD * float(np.sqrt(late.var(axis=1, ddof=1).mean()))
    if optimal is not None:
        little = LITTLE * float((optimal - random).mean())
    return Gate(mean, mean - half, mean + half, float(earned.mean()), float(found.score), little)
