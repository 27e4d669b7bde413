"""One number a rollout for each measure that captures are compared by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from attnscope.study import Study
from attnscope.study.tally import RECENT

Values = Float64[np.ndarray, " env"]


@dataclass(frozen=True)
class Measure:
    """A measure that is comparable between context lengths, or stands beside its uniform value."""

    name: str
    of: Callable[[Study], Values]
    uniform: Callable[[Study], float]
    """What uniform attention over the same contexts has; NaN where there is no such thing."""


def recent_mass(study: Study) -> Values:
    """Return the mass on the newest tokens, the query's own slot left out, at contexts that count."""
    return _masses(study)[:, 0]


def own_mass(study: Study) -> Values:
    """Return the mass on the query's own slot."""
    return _masses(study)[:, 2]


def share_for(share: float) -> Callable[[Study], Values]:
    """Return the measure: positions, chosen at every step, that hold this share of the mean row, of the context."""

    def measured(study: Study) -> Values:
        if study.tally is None:
            return _absent(study)
        curve = study.tally.pooled.mean
        reached = curve >= share - 1e-9
        count = np.where(np.isfinite(curve[:, 0]), reached.argmax(axis=1) + 1, np.nan)
        return np.asarray(count / study.tokens, np.float64)

    return measured


def sink(study: Study) -> Values:
    """Return the mass on the oldest slot."""
    return _statistic(study, "sink")


def spread(study: Study) -> Values:
    """Return the normalised entropy."""
    return _statistic(study, "entropy")


def distance(study: Study) -> Values:
    """Return the total variation from uniform."""
    return _absent(study) if study.tally is None else study.tally.distance.mean.mean(axis=(1, 2))


def late_return(study: Study) -> Values:
    """Return the mean return of the last third of the episodes."""
    if study.returns is None or study.returns.shape[1] == 0:
        return _absent(study)
    return np.asarray(study.returns[:, -max(1, study.returns.shape[1] // 3) :].mean(axis=1), np.float64)


def _statistic(study: Study, name: str) -> Values:
    values = study.statistics.get(name)
    return _absent(study) if values is None else np.asarray(values.mean(axis=(1, 2)), np.float64)


def _masses(study: Study) -> Float64[np.ndarray, "env 3"]:
    if study.tally is None:
        return np.full((len(study.envs), 3), np.nan)
    masses = np.concatenate(study.tally.masses)
    counts = (study.length[study.row_steps] >= study.least)[..., None]
    total, seen = np.where(counts, masses, 0).sum(axis=0), counts.sum(axis=0)
    mean: Float64[np.ndarray, "env 3"] = np.divide(total, seen, out=np.full(total.shape, np.nan), where=seen > 0)
    return mean


def _absent(study: Study) -> Values:
    return np.full(len(study.envs), np.nan)


MEASURES: Final = (
    Measure(f"newest {RECENT} tokens' share", recent_mass, lambda s: min(RECENT, s.tokens - 1) / s.tokens),
    Measure("query's own share", own_mass, lambda s: 1 / s.tokens),
    Measure("oldest slot's share", sink, lambda s: 1 / s.tokens),
    Measure("normalised entropy", spread, lambda _: 1.0),
    Measure("distance from uniform", distance, lambda _: 0.0),
    Measure("context for 80 % of attention", share_for(0.8), lambda _: 0.8),
    Measure("context for 90 % of attention", share_for(0.9), lambda _: 0.9),
    Measure("late return", late_return, lambda _: float("nan")),
)
"""What a comparison compares."""
