"""Paired returns of two arms, and the mean difference that is tested, with its standard error and degrees of freedom.

Every array may have leading axes, the repetitions of a simulation, so that the simulations run this very code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from attnscope_server.deciding.statistics.look_plans import Reach

SMALLEST_TAIL = 1e-300
"""Tail probability below which a z value no longer grows."""


@dataclass(frozen=True)
class PairedReturns:
    """Mean return an episode of every rollout of a compressed arm and of its uncompressed twin.

    Both arms have the same tasks, the same seeds and the same episodes: those from the first binding one on.
    """

    compressed: Float[np.ndarray, "*sample task seed"]
    uncompressed: Float[np.ndarray, "*sample task seed"]
    random: Float[np.ndarray, "*sample task"]
    """Return an episode of uniform actions, exact or the mean of many rollouts."""

    random_error: Float[np.ndarray, "*sample task"] | None = None
    """Standard error of `random`; absent where it is exact."""

    random_each: Float[np.ndarray, "*sample task seed"] | None = None
    """Return an episode of uniform actions on the same tasks and seeds, which stands in for `random`."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together, and values that are not finite."""
        if self.compressed.shape != self.uncompressed.shape:
            raise ValueError(
                f"paired arms need equal shapes, got {self.compressed.shape} and {self.uncompressed.shape}"
            )
        if self.random.shape != self.compressed.shape[:-1]:
            raise ValueError(f"one random return a task is needed, got {self.random.shape}")
        if self.random_each is not None and self.random_each.shape != self.compressed.shape:
            raise ValueError(f"uniform actions need the rollouts of the arms, got {self.random_each.shape}")
        if not (np.isfinite(self.compressed).all() and np.isfinite(self.uncompressed).all()):
            raise ValueError("every rollout needs a finite return: a missing rollout is not a return of zero")

    @property
    def chance(self) -> Float[np.ndarray, "*sample task #seed"]:
        """Return of uniform actions to set beside every rollout."""
        return self.random[..., None] if self.random_each is None else self.random_each

    @property
    def tasks(self) -> int:
        """Tasks judged."""
        return int(self.compressed.shape[-2])

    @property
    def seeds(self) -> int:
        """Seeds a task."""
        return int(self.compressed.shape[-1])


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, degrees of freedom and skewness."""

    mean: Float[np.ndarray, "*sample"]
    error: Float[np.ndarray, "*sample"]
    freedom: Float[np.ndarray, "*sample"]
    """Degrees of freedom; NaN where nothing varies."""

    skewness: Float[np.ndarray, "*sample"]
    """Skewness of the mean, estimated from the third cumulants of what varies."""

    @property
    def ratio(self) -> Float[np.ndarray, "*sample"]:
        """Mean in standard errors, moved towards zero where skewness would flatter it.

        Student's ratio of skewed values is skewed the other way: a few large losses that the sample missed make both
        the mean and the error too good. Hall's cubic (1992) takes that away to the first order. It is used only
        against a verdict, never for one, so that symmetric values keep their error.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            plain = np.where(self.error > 0, self.mean / self.error, np.nan)
        hall = plain + self.skewness * plain**2 / 3 + self.skewness**2 * plain**3 / 27 + self.skewness / 6
        return np.asarray(np.where(plain > 0, np.clip(hall, 0, plain), np.clip(hall, plain, 0)))

    @property
    def score(self) -> Float[np.ndarray, "*sample"]:
        """The ratio as the z value with the same tail as Student's t, so that one bound serves every sample size.

        NaN where nothing varies: a Student test has nothing to say there.
        """
        tail = np.maximum(stdtr(self.freedom, -np.abs(self.ratio)), SMALLEST_TAIL)
        return np.asarray(-np.sign(self.ratio) * ndtri(tail))


def student_quantile(z: float, freedom: Float[np.ndarray, "*sample"]) -> Float[np.ndarray, "*sample"]:
    """Student quantile whose tail is the normal tail beyond `z`: 2.79 is 3.99 with 7 degrees of freedom."""
    return np.asarray(-stdtrit(freedom, ndtr(-z)))


def estimate(
    values: Float[np.ndarray, "*sample task seed"],
    reach: Reach,
    known_variance: Float[np.ndarray, "*sample"] | float = 0.0,
) -> Estimate:
    """Mean over tasks of one value a rollout, with the error that the claim's reach asks for.

    Parameters
    ----------
    values
        One value for every task and seed.
    reach
        Named tasks: seeds vary within each task, degrees of freedom by Welch and Satterthwaite, so that a task that
        varies more than the others counts for fewer of them. Beyond: the means of tasks vary.
    known_variance
        Variance that another, larger sample adds to the mean, without loss of degrees of freedom.

    Raises
    ------
    ValueError
        If there are too few seeds or tasks for a variance.
    """
    tasks, seeds = values.shape[-2:]
    if reach is Reach.BEYOND:
        if tasks < 2:  # noqa: PLR2004 - a variance needs two
            raise ValueError("a claim beyond the judged tasks needs at least two tasks")
        each = values.mean(-1)
        variance = each.var(-1, ddof=1) / tasks
        third = np.asarray(_third_cumulant(each) / tasks**2)
        freedom = np.where(variance > 0, tasks - 1.0, np.nan)
        return _made(np.asarray(each.mean(-1)), np.asarray(variance + known_variance), freedom, third)
    if seeds < 2:  # noqa: PLR2004 - a variance needs two
        raise ValueError("a claim about named tasks needs at least two seeds a task")
    parts = values.var(-1, ddof=1) / seeds / tasks**2
    total = parts.sum(-1) + known_variance
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(parts.sum(-1) > 0, total**2 / (parts**2 / (seeds - 1)).sum(-1), np.nan)
    third = np.asarray(_third_cumulant(values).sum(-1) / seeds**2 / tasks**3)
    return _made(np.asarray(values.mean((-2, -1))), np.asarray(total), freedom, third)


def _made(
    mean: Float[np.ndarray, "*sample"],
    variance: Float[np.ndarray, "*sample"],
    freedom: Float[np.ndarray, "*sample"],
    third: Float[np.ndarray, "*sample"],
) -> Estimate:
    error = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.where(variance > 0, third / error**3, 0.0)
    return Estimate(mean, np.asarray(error), np.asarray(freedom), np.asarray(skewness))


def _third_cumulant(values: Float[np.ndarray, "*sample draw"]) -> Float[np.ndarray, "*sample"]:
    """Unbiased third cumulant of one draw; zero where two draws cannot show one."""
    n = values.shape[-1]
    if n < 3:  # noqa: PLR2004 - the estimator divides by n - 2
        return np.zeros(values.shape[:-1])
    centred = values - values.mean(-1, keepdims=True)
    return np.asarray((centred**3).sum(-1) * n / ((n - 1) * (n - 2)))


def _random_variance(returns: PairedReturns, reach: Reach) -> Float[np.ndarray, "*sample"] | float:
    """Variance of the mean random return; zero where its rollouts, or each task's own error, vary with the rest."""
    if returns.random_error is None or returns.random_each is not None or reach is Reach.BEYOND:
        return 0.0
    return np.asarray((returns.random_error**2).sum(-1) / returns.tasks**2)


def difference(returns: PairedReturns, margin: float, reach: Reach) -> Estimate:
    """Estimate d = C − (1 − δ)U − δR: positive where the arm keeps more than 1 − δ of the gain over random actions."""
    paired = returns.compressed - (1 - margin) * returns.uncompressed - margin * returns.chance
    return estimate(paired, reach, margin**2 * _random_variance(returns, reach))


def gain(returns: PairedReturns, reach: Reach) -> Estimate:
    """Gain of the uncompressed policy over random actions, an episode."""
    return estimate(returns.uncompressed - returns.chance, reach, _random_variance(returns, reach))
