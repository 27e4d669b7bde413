"""Arms over several training seeds: the claim on these checkpoints, and the claim on the recipe that gave them.

Training seeds are the outermost level. For *these seeds* the mean over the checkpoints is judged with rollouts
resampled alone. For *the recipe* the spread between training seeds counts too: Student with one degree of freedom
fewer than there are seeds, at a quantile that holds where a few trainings lose more than the others. All checkpoints
act on the same random numbers, so luck that they share would not show between them; it is measured apart and added.
Five training seeds are the fewest from which a recipe is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64

from attnscope.trials.bootstrap import student

FEWEST: Final = 5
"""Training seeds from which on a recipe is judged; with three, Student's interval is 2.5 deviations wide a side."""

TAIL: Final = 1 - 0.0075
"""Upper tail of Student's quantile for a recipe.

Between training seeds that differ evenly, 1 − .025 would be enough. Where losses have an exponential tail, a few seeds
often hold no large one: then the nominal 2.5 % became 6 %, and this quantile keeps it (`benchmarks.calibration`).
"""

Gains = Float[np.ndarray, "train seed task"]
"""Gain over uniform actions of every training seed, evaluation seed and task."""

ReferenceGains = Float[np.ndarray, "reference seed task"]
"""The same of the reference, which may have another number of training seeds."""


@dataclass(frozen=True)
class Spread:
    """The variance of a mean over training seeds, and its degrees of freedom."""

    variance: float
    freedom: float

    @property
    def reach(self) -> float:
        """Half of the interval, which holds at least 95 % also where training seeds are skewed."""
        return student(self.freedom, TAIL) * float(np.sqrt(self.variance))


@dataclass(frozen=True)
class Share:
    """A share of the reference's gain with its interval over training seeds."""

    value: float
    low: float
    high: float
    freedom: float
    """Degrees of freedom of the interval."""


def spread(arm: Gains, reference: ReferenceGains, ratio: float, *, paired: bool) -> Spread:
    """Return the variance of mean(arm) − ratio × mean(reference) as an estimate for the recipes.

    Parameters
    ----------
    arm, reference
        Gains, of the same evaluation seeds and tasks.
    ratio
        Weight of the reference.
    paired
        The n-th checkpoints of both belong together.
    """
    parts = [arm - ratio * reference] if paired else [arm, ratio * reference]
    found = _shared(arm.mean(axis=0) - ratio * reference.mean(axis=0), sum(map(_own, parts)))
    for part in parts:
        found = _sum(found, _between(part))
    return found


def kept_of_recipe(arm: Gains, reference: ReferenceGains, *, paired: bool) -> Share:
    """Return mean(arm) ÷ mean(reference) with Fieller's interval; NaN where the reference's gain is not shown."""
    above, below = float(arm.mean()), float(reference.mean())
    nothing = spread(reference, np.zeros_like(reference), 0.0, paired=True)
    if not below - nothing.reach > 0:
        return Share(float("nan"), float("nan"), float("nan"), nothing.freedom)
    value = above / below

    def outside(ratio: float) -> bool:
        return abs(above - ratio * below) > spread(arm, reference, ratio, paired=paired).reach

    freedom = spread(arm, reference, value, paired=paired).freedom
    return Share(value, _end(outside, value, -1.0), _end(outside, value, 1.0), freedom)


def _end(outside: Callable[[float], bool], value: float, sign: float) -> float:
    """Return the ratio at which the interval ends on one side; infinite where it does not."""
    step = STEP
    while not outside(value + sign * step):
        step *= 2
        if step > FAR:
            return sign * float("inf")
    near, far = (step / 2 if step > STEP else 0.0), step
    for _ in range(40):
        middle = (near + far) / 2
        near, far = (near, middle) if outside(value + sign * middle) else (middle, far)
    return value + sign * (near + far) / 2


STEP: Final = 1e-3
"""Ratio by which an end is first sought."""

FAR: Final = 1e4
"""Ratio beyond which an interval is called unbounded."""


def _between(gains: Gains) -> Spread:
    """Return the variance of the mean that differences between training seeds make."""
    each = gains.mean(axis=(1, 2))
    if len(each) < 2:  # noqa: PLR2004 - one seed has no spread
        return Spread(0.0, np.inf)
    return Spread(float(np.var(each, ddof=1)) / len(each), len(each) - 1)


def _shared(contrast: Float[np.ndarray, "seed task"], own: float) -> Spread:
    """Return the variance of the mean that luck makes which all checkpoints share: the same evaluation seeds.

    It is the variance over evaluation seeds of the mean over checkpoints, less the part that each checkpoint's own luck
    has in it, which the spread between training seeds holds already.
    """
    seeds, tasks = contrast.shape
    if seeds < 2:  # noqa: PLR2004 - one evaluation seed has no spread
        return Spread(0.0, np.inf)
    each = np.var(contrast, axis=0, ddof=1) / seeds
    total = float(each.sum()) / tasks**2
    freedom = (seeds - 1) * float(each.sum()) ** 2 / float((each**2).sum()) if total > 0 else np.inf
    return Spread(max(0.0, total - own), freedom)


def _own(gains: Gains) -> float:
    """Return the variance of the mean that luck makes which each checkpoint has by itself."""
    many, seeds, tasks = gains.shape
    if min(many, seeds) < 2:  # noqa: PLR2004 - as above
        return 0.0
    rest: Float64[np.ndarray, "train seed task"] = gains - gains.mean(axis=0)
    squares = float(((rest - rest.mean(axis=1, keepdims=True)) ** 2).sum())
    each = squares / float((many - 1) * (seeds - 1) * tasks)
    return each / float(many * seeds * tasks)


def _sum(one: Spread, other: Spread) -> Spread:
    """Return the variance of a sum, with Satterthwaite's degrees of freedom."""
    variance = one.variance + other.variance
    parts = sum(part.variance**2 / part.freedom for part in (one, other) if np.isfinite(part.freedom))
    return Spread(variance, variance**2 / parts if parts > 0 else max(one.freedom, other.freedom))
