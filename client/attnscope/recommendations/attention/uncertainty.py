"""Intervals of what strategies keep: rollouts are resampled, and the error of having sampled decisions is added.

All rollouts are judged at the same steps, so resampling rollouts cannot show it (`attnscope.measures.sampling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from attnscope.measures.intervals import Estimate, Resampling
from attnscope.measures.sampling import StepError, step_error
from attnscope.reading.judging import JudgedRows
from attnscope.recommendations.attention.evaluation import ROUNDING, Outcome


@dataclass(frozen=True, eq=False)
class Intervals:
    """The rollouts and decisions that strategies are judged on; differences between strategies are paired."""

    resampling: Resampling
    judged: JudgedRows

    def of(self, outcome: Outcome) -> tuple[Estimate, Estimate, Estimate, Estimate]:
        """Return the mass that is kept, its lift and its excess over evenly spaced tokens, and the skill."""
        kept, evenly = self.judged.residuals(outcome.kept), self.judged.residuals(outcome.evenly)
        shares = self.resampling.shares
        top, bottom = float(shares @ outcome.exact), float(shares @ outcome.uniform)
        lifted = (kept - evenly * top / bottom) / bottom if bottom > 0 else np.full(kept.shape, np.nan)
        return (
            self.resampling.estimate(outcome.exact, outcome.uniform, self._error(kept, (0.0, 1.0))),
            self.resampling.ratio(outcome.exact, outcome.uniform, self._error(lifted)),
            self.resampling.estimate(outcome.excess, steps=self._error(kept - evenly)),
            self.resampling.estimate(outcome.skill, steps=self._error(_skill_residuals(outcome))),
        )

    def difference_in_skill(self, one: Outcome, other: Outcome) -> Estimate:
        """Return the skill of one strategy less that of another."""
        moved = _skill_residuals(one) - _skill_residuals(other)
        return self.resampling.estimate(one.skill - other.skill, steps=self._error(moved))

    def _error(
        self, residuals: Float64[np.ndarray, "decision env"], within: tuple[float, float] = (-np.inf, np.inf)
    ) -> StepError | None:
        """Return the error of a mean over rollouts that lies `within` two values; those without a value are left out.

        None: all was judged.
        """
        if self.judged.share >= 1:
            return None
        held = np.isfinite(residuals).all(axis=0)
        shares = np.where(held, self.resampling.shares, 0.0)
        if not held.any():
            return None
        moved = np.where(held, residuals, 0.0) @ (shares / shares.sum())
        return step_error(moved, self.judged.stratum, self.judged.share, within)


def _skill_residuals(outcome: Outcome) -> Float64[np.ndarray, "decision env"]:
    """Return how far each decision moves each rollout's skill, to first order: it is a ratio of two means."""
    judged, room = outcome.judged, outcome.possible - outcome.uniform
    moved = judged.residuals(outcome.kept - outcome.evenly) - outcome.skill * judged.residuals(
        outcome.most - outcome.evenly
    )
    return np.asarray(np.divide(moved, room, out=np.full(moved.shape, np.nan), where=room > ROUNDING))
