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

    error: float
    """Probability that the true share lies above the limit."""

    @property
    def almost_nothing(self) -> bool:
        """True where under 5 % of the compared episodes or rollouts differ; the bound says how sure that is."""
        return self.differing < ALMOST_NOTHING * self.compared

    def holds(self, margin: float) -> bool:
        """Tell that the arm changes almost nothing, and so seldom that the bound lies below the margin."""
        return self.almost_nothing and self.upper < margin

    def enough(self, decisions: int, size: int, margin: float, most: int) -> int | None:
        """Return the size from which on an arm can get a verdict, if it goes on to differ as often as so far.

        Parameters
        ----------
        decisions
            Differing decisions so far.
        size
            Seeds a task, or tasks, so far.
        margin
            Share of the gain that may be lost.
        most
            Largest size that is looked at.

        Returns
        -------
        int | None
            The first larger size with `ENOUGH_DECISIONS` differing decisions, or whose bound holds; None where that is
            above the largest size.
        """
        for one in range(size + 1, most + 1):
            compared, differing = self.compared * one / size, self.differing * one / size
            bounded = self.almost_nothing and _upper(compared, differing, self.error) < margin
            if bounded or decisions * one >= ENOUGH_DECISIONS * size:
                return one
        return None


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
    return Sameness(compared, differing, _upper(compared, differing, error), error)


def _upper(compared: float, differing: float, error: float) -> float:
    """Return the upper limit of a share; counts need not be whole, as expected ones are not."""
    return 1.0 if differing == compared else float(betaincinv(differing + 1, compared - differing, 1 - error))
