"""A linear probe: what can be read from some numbers about tasks that it was not fitted on, beside chance.

Ridge regression, cross-validated over tasks: every task is predicted by a probe that saw none of its rollouts. The
penalty is chosen on the training tasks alone. Chance is the same procedure on targets that are dealt to other tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

FOLDS: Final = 5
"""Parts that tasks are dealt into, at most."""

PENALTIES: Final = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties that are tried, in units of the mean squared length of a sample."""

DEALS: Final = 200
"""Times that targets are dealt to other tasks."""

FEWEST_TASKS: Final = 8
"""Tasks below which nothing is probed."""

NOTABLE: Final = 0.05
"""Share of deals up to which a probe is told from chance."""

MOST_SAMPLES: Final = 600
"""Samples that are probed, at most: the work grows with their cube."""


@dataclass(frozen=True, eq=False)
class Probe:
    """The result of a probe."""

    explained: float
    """1 − squared miss ÷ that of the training tasks' mean, over held-out tasks; 0 is as good as that mean."""
    miss: float
    """Mean distance from the target, in its units."""
    miss_of_mean: float
    """The same of the training tasks' mean."""
    chance: tuple[float, float]
    """Middle 95 % of `explained` where targets are dealt to other tasks."""
    p: float
    """Share of deals that explain as much, the true one counted among them."""
    samples: int
    tasks: int

    @property
    def words(self) -> str:
        """The result in one sentence."""
        low, high = self.chance
        told = (
            f"explains {self.explained:.0%} of the variance on tasks that it was not fitted on (dealt to other tasks: "
            f"{low:.0%} to {high:.0%}; p = {self.p:.3f}), missing by {self.miss:.2f} where the mean of the other tasks "
            f"misses by {self.miss_of_mean:.2f}; {self.samples} rollouts of {self.tasks} tasks"
        )
        if self.p <= NOTABLE:
            return told
        return f"{told}. That is not told from chance: it does not show that nothing is held"


def probe(
    features: Float[np.ndarray, "sample feature"],
    target: Float[np.ndarray, "sample number"],
    task: Int[np.ndarray, " sample"],
    *,
    seed: int = 0,
    deals: int = DEALS,
) -> Probe | None:
    """Return what a linear probe reads; None below 8 tasks, or where all have one target.

    Parameters
    ----------
    features
        Numbers of each sample.
    target
        The task's numbers, the same for every sample of a task.
    task
        Task of each sample; samples of one task are never on both sides.
    seed
        Of the parts and of the deals.
    """
    some = np.linspace(0, len(task) - 1, min(len(task), MOST_SAMPLES)).astype(int)
    x, y, group = (np.asarray(one)[some] for one in (features, target, task))
    tasks, of = np.unique(group, return_inverse=True)
    y = y.astype(np.float64)
    if len(tasks) < FEWEST_TASKS or np.ptp(y, axis=0).max() == 0:
        return None
    random = np.random.default_rng(seed)
    fold = random.permutation(len(tasks))[of] % FOLDS
    fitted = _Fitted(_kernel(x.astype(np.float64)), fold)
    found = fitted.explained(y)
    by_task = np.stack([y[of == one][0] for one in range(len(tasks))])
    dealt = np.array([fitted.explained(by_task[random.permutation(len(tasks))][of])[0] for _ in range(deals)])
    low, high = np.quantile(dealt, (0.025, 0.975))
    p = (1 + int((dealt >= found[0]).sum())) / (1 + deals)
    return Probe(*found, (float(low), float(high)), p, len(y), len(tasks))


def _kernel(x: Float64[np.ndarray, "sample feature"]) -> Float64[np.ndarray, "sample sample"]:
    """Return the inner products of standardised samples, of mean length 1."""
    away = x - x.mean(axis=0)
    spread = away.std(axis=0)
    scaled = away / np.where(spread > 0, spread, 1.0)
    products = scaled @ scaled.T
    return np.asarray(products / max(np.trace(products) / len(products), np.finfo(float).tiny))


class _Fitted:
    """The linear maps from targets to predictions, which any dealing of the targets shares."""

    def __init__(self, kernel: Float64[np.ndarray, "sample sample"], fold: Int64[np.ndarray, " sample"]) -> None:
        self._kernel, self._fold = kernel, fold
        self._folds = [int(one) for one in np.unique(fold)]
        self._outer = {(out, penalty): self._maps(fold != out, fold == out, penalty)
                       for out in self._folds for penalty in PENALTIES}  # fmt: skip
        pairs = [(out, inner) for out in self._folds for inner in self._folds if out != inner]
        self._inner = {
            (out, inner, penalty): self._maps((fold != out) & (fold != inner), fold == inner, penalty)
            for out, inner in pairs
            for penalty in PENALTIES
        }

    def explained(self, y: Float64[np.ndarray, "sample number"]) -> tuple[float, float, float]:
        """Return the explained share over held-out tasks, the mean distance, and that of the training tasks' mean."""
        predicted, mean = np.empty_like(y), np.empty_like(y)
        for out in self._folds:
            held, rest = self._fold == out, self._fold != out
            misses = [self._inner_miss(y, out, one) for one in PENALTIES]
            penalty = PENALTIES[int(np.argmin(misses))]
            predicted[held] = self._predict(self._outer[out, penalty], y[rest])
            mean[held] = y[rest].mean(axis=0)
        miss, of_mean = ((one - y) ** 2 for one in (predicted, mean))
        distances = [float(np.sqrt(one.sum(axis=1)).mean()) for one in (miss, of_mean)]
        return 1 - float(miss.sum() / of_mean.sum()), distances[0], distances[1]

    def _inner_miss(self, y: Float64[np.ndarray, "sample number"], out: int, penalty: float) -> float:
        total = 0.0
        for inner in (one for one in self._folds if one != out):
            rest = (self._fold != out) & (self._fold != inner)
            predicted = self._predict(self._inner[out, inner, penalty], y[rest])
            total += float(((predicted - y[self._fold == inner]) ** 2).sum())
        return total

    def _predict(
        self, maps: Float64[np.ndarray, "held rest"], known: Float64[np.ndarray, "rest number"]
    ) -> Float64[np.ndarray, "held number"]:
        mean = known.mean(axis=0)
        return np.asarray(mean + maps @ (known - mean))

    def _maps(
        self, rest: Bool[np.ndarray, " sample"], held: Bool[np.ndarray, " sample"], penalty: float
    ) -> Float64[np.ndarray, "held rest"]:
        """Return the predictions of some samples as a linear map of the others' targets, these centred."""
        own = self._kernel[np.ix_(rest, rest)]
        centre = own.mean(axis=0)
        across = self._kernel[np.ix_(held, rest)] - centre
        centred = own - centre - centre[:, None] + own.mean()
        across = across - across.mean(axis=1, keepdims=True)
        return np.asarray(np.linalg.solve(centred + penalty * np.eye(len(own)), across.T).T)
