"""The answer for an arm that hardly ever acts differently: a bound on how often, in place of a ratio."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betaincinv

ALMOST_NOTHING = 0.05
"""Share of differing episodes below which an arm changes almost nothing."""

ENOUGH_DECISIONS = 200
"""Differing decisions without which no kept ratio becomes a verdict."""


@dataclass(frozen=True)
class Sameness:
    """The rate at which an arm acts differently from the uncompressed policy under common random numbers."""

    compared: int
    """Episodes, rollouts or tasks, compared."""

    differing: int
    """Those with at least one different action."""

    upper: float
    """Upper limit of the share that differs (Clopper and Pearson, 1934), one-sided."""

    @property
    def almost_nothing(self) -> bool:
        """True where under 5 % of the compared episodes or rollouts differ; the bound says how sure that is."""
        return self.differing < ALMOST_NOTHING * self.compared

    def holds(self, margin: float) -> bool:
        """Tell that the arm changes almost nothing, and so seldom that the bound lies below the margin."""
        return self.almost_nothing and self.upper < margin


def sameness(compared: int, differing: int, error: float = 0.025) -> Sameness:
    """Bound the share of episodes or rollouts that differ.

    Episodes of one rollout hang together, so a verdict counts rollouts.

    Raises
    ------
    ValueError
        If the counts contradict each other.
    """
    if not 0 <= differing <= compared or compared < 1:
        raise ValueError(f"of {compared} compared {differing} cannot differ")
    upper = 1.0 if differing == compared else float(betaincinv(differing + 1, compared - differing, 1 - error))
    return Sameness(compared, differing, upper)
