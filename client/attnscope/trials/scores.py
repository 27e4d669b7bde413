"""Returns on a common scale over tasks, the tasks that are lost, and what choosing by more than age was worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64

from attnscope.measures.intervals import Estimate
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.phases import gain, mean_return
from attnscope.trials.results import TrialResults

TRIMMED: Final = 0.25
"""Share of the scores that the interquartile mean leaves out at either end."""

SUCCEEDS: Final = 0.5
"""Share of (optimal − random) from which on the baseline counts as succeeding in a task."""

LOSES: Final = 0.5
"""Share of the baseline's gain in a task below which the task is lost."""


CLOSE: Final = 1e-5
"""Effective budgets that differ by less are the same one, averaged in float32."""


@dataclass(frozen=True)
class TaskLosses:
    """Tasks apart: a mean over tasks hides one that is lost."""

    kept: tuple[float, ...]
    """Of each task, the share of the baseline's gain that is kept; NaN where the baseline gains nothing."""
    worst: int
    """Task that keeps least; -1 where none is known."""
    succeeded: tuple[int, ...]
    """Tasks in which the baseline succeeds."""
    lost: tuple[int, ...]
    """Those of them of which less than half of the gain is kept."""


def interquartile_mean(values: Float[np.ndarray, "*batch score"]) -> Float64[np.ndarray, "*batch"]:
    """Return the mean without the lowest and the highest quarter (Agarwal et al., 2021)."""
    count = values.shape[-1]
    cut = int(TRIMMED * count)
    return np.asarray(np.sort(np.asarray(values, np.float64), axis=-1)[..., cut : count - cut].mean(axis=-1))


def scaled(results: TrialResults, condition: int) -> Float64[np.ndarray, "seed task"]:
    """Return (return − random) ÷ (optimal − random) of every rollout; NaN where the task's range is not known."""
    span = results.optimal_return - results.random_return
    return np.asarray(gain(results, condition) / np.where(span > 0, span, np.nan))


def iqm(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Estimate | None:
    """Return the interquartile mean of the scaled returns over rollouts and tasks, beside the uncompressed one."""
    own, plain = scaled(results, condition).reshape(-1), scaled(results, results.against(condition)).reshape(-1)
    if not (np.isfinite(own).all() and np.isfinite(plain).all()):
        return None
    value, beside = (float(interquartile_mean(values)) for values in (own, plain))
    drawn = interquartile_mean(own[bootstrap.picks])
    return bootstrap.estimate(value, drawn, own.reshape(results.seeds, -1), beside)


def difference(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Estimate:
    """Return compressed − uncompressed return of an episode; safe where the uncompressed one is near 0."""
    own, plain = mean_return(results, condition), mean_return(results, results.against(condition))
    return bootstrap.mean(np.asarray(own - plain), 0.0)


def retained(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Estimate:
    """Return compressed ÷ uncompressed return; NaN where the uncompressed one is not above 0."""
    return bootstrap.ratio(mean_return(results, condition), mean_return(results, results.against(condition)))


def task_losses(results: TrialResults, condition: int) -> TaskLosses:
    """Return what each task keeps, and which are lost."""
    own, plain = (gain(results, place).mean(axis=0) for place in (condition, results.against(condition)))
    kept = np.divide(own, plain, out=np.full(len(plain), np.nan), where=plain > 0)
    span = results.optimal_return - results.random_return
    succeeds = plain >= np.where(np.isfinite(span), SUCCEEDS * span, 0)
    succeeds &= plain > 0
    return TaskLosses(
        tuple(float(one) for one in kept),
        int(np.nanargmin(kept)) if np.isfinite(kept).any() else -1,
        tuple(int(task) for task in np.flatnonzero(succeeds)),
        tuple(int(task) for task in np.flatnonzero(succeeds & (kept < LOSES))),
    )


def over_blind(
    results: TrialResults, condition: int, bootstrap: PairedBootstrap, strategy: str = "uniform"
) -> Estimate | None:
    """Return how much more of the baseline's gain is kept than a blind rule keeps with as many tokens, paired.

    A rule may keep fewer tokens than its budget allows, so the blind rule's return is interpolated to the same
    effective budget between the trial's budgets, with the uncompressed rollout as the last of them. Below the blind
    rule's smallest budget it is compared with that, which keeps more. None where the blind rule was not tried, and in
    a trial with arms, whose conditions are no grid of budgets.
    """
    if results.has_arms:
        return None
    of = results.conditions[condition]
    blind = [
        one.index
        for one in results.conditions
        if one.strategy == strategy
        and (one.positions, one.interval, one.memory, one.path) == (of.positions, of.interval, of.memory, of.path)
    ]
    if condition == 0 or not blind or not np.isfinite(gain(results, 0)).all():
        return None
    known = sorted((_share(results, index), index) for index in [*blind, 0])
    share = float(np.clip(_share(results, condition), known[0][0], known[-1][0]))
    below = max(index for index, (at, _) in enumerate(known) if at <= share + CLOSE)
    (low, first), (high, last) = known[below], known[min(below + 1, len(known) - 1)]
    part = (share - low) / (high - low) if high > low else 0.0
    beside = (1 - part) * gain(results, first) + part * gain(results, last)
    return bootstrap.ratio(np.asarray(gain(results, condition) - beside), gain(results, 0), 0.0)


def _share(results: TrialResults, condition: int) -> float:
    return float(results.kept[condition].sum() / results.held[condition].sum())
