"""The verdict of one look, and its repeated interval."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Int8

from attnscope_server.deciding.statistics.estimates import Estimate, PairedReturns, difference, gain
from attnscope_server.deciding.statistics.kept import Kept, kept
from attnscope_server.deciding.statistics.look_plans import Look, Reach


class Verdict(Enum):
    """The verdict of a look on one arm."""

    SAFE = "non-inferior"
    """The repeated interval lies above 1 − margin."""

    HARM = "inferior"
    """The repeated interval lies below 1 − margin."""

    OPEN = "undecided"
    """The interval reaches over 1 − margin, or this look may not call an arm safe."""


@dataclass(frozen=True)
class LookResult:
    """One arm at one look."""

    look: Look
    verdict: Verdict
    kept: Kept
    """Kept share with the repeated interval: the bounds of this look."""

    tested: Estimate
    """The tested difference, in returns an episode."""

    gain: Estimate
    """Uncompressed return above random, an episode."""


def signs(tested: Estimate, whole: Estimate, look: Look) -> Int8[np.ndarray, "*sample"]:
    """Verdicts as signs: 1 non-inferior, −1 inferior, 0 undecided.

    A verdict also asks that the gain is positive at the same bound; else the kept ratio has no finite limit.
    """
    above = (tested.score > look.safe) & (whole.score > look.safe) & look.may_be_safe
    below = (tested.score < -look.harm) & (whole.score > look.harm)
    return np.asarray(np.asarray(above).astype(np.int8) - np.asarray(below).astype(np.int8))


def judge(returns: PairedReturns, margin: float, reach: Reach, look: Look) -> LookResult:
    """Judge one arm at one look.

    Parameters
    ----------
    returns
        Returns of the look's tasks and seeds, those of earlier looks among them.
    margin
        Share of the gain that may be lost, 0.05 for 5 %.

    Raises
    ------
    ValueError
        If the returns have other numbers of tasks or seeds than the look.
    """
    if (returns.tasks, returns.seeds) != (look.tasks, look.seeds):
        raise ValueError(
            f"look {look.number} has {look.tasks} tasks × {look.seeds} seeds, got {returns.tasks} × {returns.seeds}"
        )
    tested, whole = difference(returns, margin, reach), gain(returns, reach)
    sign = int(signs(tested, whole, look))
    verdict = {1: Verdict.SAFE, -1: Verdict.HARM, 0: Verdict.OPEN}[sign]
    return LookResult(look, verdict, kept(returns, margin, reach, look.safe, look.harm), tested, whole)
