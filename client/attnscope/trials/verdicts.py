"""The verdict on a condition: it loses more than the margin, it does not, or more rollouts are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float

from attnscope.measures.intervals import LEVEL, Estimate
from attnscope.trials.bootstrap import NORMAL, PairedBootstrap, student
from attnscope.trials.phases import Phase, gain
from attnscope.trials.results import TrialResults

Word = Literal["non-inferior", "inferior", "inconclusive"]

POWER: Final = 0.8
"""The probability with which the named number of rollouts decides, if the loss is the measured one."""

NORMAL_POWER: Final = 0.8416212335729143
"""The normal distribution's quantile at `POWER`."""

END: Final = 1.2815515655446004
"""Standard errors from the middle of an 80 % interval to one of its ends."""

NO_RANDOM: Final = "the return of uniform actions is not known for these tasks, so the margin has no size"
NO_GAIN: Final = (
    "the policy that it is compared with is not shown to gain anything over uniform actions: there is nothing to retain"
)
ONE_ROLLOUT: Final = "one rollout has no interval"


@dataclass(frozen=True)
class Verdict:
    """The share of the baseline's gain over uniform actions that a condition keeps, and the verdict on it.

    The margin is a share of the gain (baseline − random), so "loses less than the margin" is "keeps more than 1 −
    margin": the interval is that of the ratio, whose lower term is resampled with the upper one.
    """

    word: Word
    kept: Estimate
    """(compressed − random) ÷ (uncompressed − random)."""
    bound: float
    """1 − margin."""
    jointly: bool = False
    """True where the word still holds where every condition of the trial is judged at once."""
    decides: int | None = None
    """Seeds (or tasks, for claims beyond these) that would decide in four cases of five, if the truth is the end of the
    80 % interval that lies farther from the bound; None: decided."""
    decides_far: int | None = None
    """The same at the other end; None where that end lies at the bound or beyond it, so that no number can be given."""
    reason: str | None = None
    """Why nothing can be told, where that is not the width of the interval."""

    @property
    def unit(self) -> str:
        """The unit in which `decides` counts."""
        return "seeds" if self.kept.scope == "these tasks" else "tasks"

    @property
    def needs(self) -> str:
        """The rollouts that would decide, at both ends of the 80 % interval, in words; empty where it is decided."""
        if self.decides is None:
            return ""
        if self.decides >= NEVER:
            return f"over {NEVER} {self.unit} would decide"
        far = "no number" if self.decides_far is None else f"over {NEVER}"
        if self.decides_far is not None and self.decides_far < NEVER:
            far = str(self.decides_far)
        return f"{self.decides} {self.unit} would decide at best, {far} at worst"

    @property
    def words(self) -> str:
        """The verdict as every output prints it: terminal, text, table and page."""
        if self.reason is not None:
            return "not judged"
        if self.word == "inconclusive":
            return f"inconclusive ({self.needs})" if self.needs else "inconclusive"
        return f"{self.word}, {'jointly' if self.jointly else 'by itself'}"

    def __str__(self) -> str:
        """Return the words, with the reason where nothing can be told."""
        return self.words if self.reason is None else f"{self.words}: {self.reason}"


def judge(
    results: TrialResults, condition: int, bootstrap: PairedBootstrap, phase: Phase = "all", first: int = 0
) -> Verdict:
    """Return the verdict on one condition by itself.

    Parameters
    ----------
    first
        Earlier episodes do not count, of both arms.
    """
    places = condition, results.against(condition)
    compressed, uncompressed = (gain(results, place, phase, first) for place in places)
    bound = 1 - results.spec.margin
    kept = bootstrap.ratio(compressed, uncompressed)
    if not np.isfinite(uncompressed).all():
        return Verdict("inconclusive", kept, bound, reason=NO_RANDOM)
    if not bootstrap.informative:
        return Verdict("inconclusive", kept, bound, reason=ONE_ROLLOUT)
    if not bootstrap.mean(uncompressed).low > 0:
        return Verdict("inconclusive", kept, bound, reason=NO_GAIN)
    word = word_of(kept.low, kept.high, bound)
    if word != "inconclusive":
        return Verdict(word, kept, bound)
    have = bootstrap.seeds if bootstrap.scope == "these tasks" else bootstrap.tasks
    error = _error(compressed, uncompressed, bootstrap)
    near, far = deciding(kept.value, bound, have, error)
    return Verdict(word, kept, bound, decides=near, decides_far=far)


def judge_all(results: TrialResults, bootstrap: PairedBootstrap) -> list[Verdict]:
    """Return the verdict on every condition, and whether it holds with all of them judged at once.

    Jointly, the interval is as wide as the largest of all the conditions' standardised deviations needs (Westfall &
    Young, 1993): conditions that vary together cost less than Bonferroni would charge.
    """
    verdicts = [judge(results, index, bootstrap) for index in range(results.committed)]
    judged = [index for index, one in enumerate(verdicts) if one.reason is None and one.kept.has_interval]
    if not judged:
        return verdicts
    drawn = np.stack([_drawn(results, index, bootstrap) for index in judged])
    centre = np.array([verdicts[index].kept.value for index in judged])[:, None]
    error = np.nanstd(drawn, axis=1)
    apart = np.divide(
        np.abs(drawn - centre), error[:, None], out=np.zeros_like(drawn), where=(error[:, None] > 0)
    )  # fmt: skip
    widest = float(np.quantile(np.nan_to_num(apart).max(axis=0), LEVEL))
    for index, one_error in zip(judged, error, strict=True):
        one = verdicts[index]
        wider = student(bootstrap.freedom(_influence(results, index, one.kept.value))) / NORMAL
        reach = wider * widest * float(one_error)
        held = word_of(one.kept.value - reach, one.kept.value + reach, one.bound) == one.word != "inconclusive"
        verdicts[index] = Verdict(**{**vars(one), "jointly": held})
    return verdicts


def deciding(kept: float, bound: float, have: int, error: float) -> tuple[int, int | None]:
    """Return how many seeds (or tasks) would decide with `POWER`, at both ends of the 80 % interval of what is kept.

    If the truth is as measured, a size for the measured value has this power; but it is measured with the same error,
    and such a size has a power near 60 % in truth. So both ends are given.

    Parameters
    ----------
    kept
        Share of the gain, measured.
    have
        Seeds, or tasks, that there are.
    error
        Standard error of `kept`.

    Returns
    -------
    tuple
        The size at the end that is farther from the bound, and at the other one; None where that end lies at the bound
        or beyond it.
    """
    if not (math.isfinite(error) and math.isfinite(kept)):
        return NEVER, None
    apart = abs(kept - bound)

    def at(distance: float) -> int:
        wanted = have * ((NORMAL + NORMAL_POWER) * error / distance) ** 2
        return NEVER if wanted >= NEVER else max(have + 1, math.ceil(wanted))  # those that there are did not decide

    near, far = apart + END * error, apart - END * error
    return (at(near) if near > 0 else NEVER), (at(far) if far > 0 else None)


NEVER: Final = 10_000
"""As many as this, or more: what was measured lies too near the bound."""


def word_of(low: float, high: float, bound: float) -> Word:
    """Return the word of an interval of what is kept."""
    if low > bound:
        return "non-inferior"
    return "inferior" if high < bound else "inconclusive"


def _drawn(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Float[np.ndarray, " sample"]:
    above, below = (bootstrap.means(gain(results, place)) for place in (condition, results.against(condition)))
    return np.asarray(np.divide(above, below, out=np.full(bootstrap.samples, np.nan), where=below > 0))


def _error(
    compressed: Float[np.ndarray, "seed task"], uncompressed: Float[np.ndarray, "seed task"], bootstrap: PairedBootstrap
) -> float:
    """Return the standard error of what is kept."""
    above, below = bootstrap.means(compressed), bootstrap.means(uncompressed)
    return float(np.nanstd(np.divide(above, below, out=np.full(bootstrap.samples, np.nan), where=below > 0)))


def _influence(results: TrialResults, condition: int, kept: float) -> Float[np.ndarray, "seed task"]:
    return np.asarray(gain(results, condition) - kept * gain(results, results.against(condition)))
