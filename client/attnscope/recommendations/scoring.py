"""Scores of predictions: the rank correlation of predicted with measured cost, within a budget and pooled.

Fewer tokens cost more, whichever are kept, and the correlation over all conditions mostly shows this effect. The
value of a choice shows among conditions of one budget. Intervals resample strategies, each with all its budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64

from attnscope.measures.intervals import LEVEL, Estimate
from attnscope.measures.ranks import spearman
from attnscope.measures.refusals import NotMeasurableError
from attnscope.recommendations.predictions import BUDGET_ONLY, Prediction
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.phases import gain
from attnscope.trials.results import TrialResults
from attnscope.trials.selection import Parts, parts

FEWEST: Final = 3
"""Fewest conditions of one budget and position policy that are ranked."""

SAMPLES: Final = 2000
"""Bootstrap samples of strategies."""

NEGLIGIBLE: Final = 1e-9
"""Spread of costs below which conditions count as equal."""

Group = Int64[np.ndarray, "_"]
"""Places, among the predictions, of conditions with one budget and position policy."""


@dataclass(frozen=True)
class Correlation:
    """How a predictor ranks conditions, by Spearman's correlation."""

    within: Estimate
    """Correlation within budgets, pooled; its baseline is the correlation of the number of kept tokens."""
    excess: Estimate
    """Correlation within budgets, less that baseline."""
    overall: Estimate
    """Correlation over all conditions; its baseline ranks by budget alone."""


@dataclass(frozen=True)
class Regret:
    """The regret of following the predictions, in shares of the baseline's gain, mean over budgets.

    The best was chosen on some rollouts, and both are measured on others.
    """

    to_best: Estimate
    """Best − first choice."""
    over_uniform: Estimate | None
    """First choice − uniform; None where uniform was not tried."""
    choices: Mapping[str, str]
    """First choice by budget and positions."""


@dataclass(frozen=True)
class PredictionScore:
    """How well a capture's predictions fit a trial."""

    job: str
    conditions: int
    strategies: int
    groups: int
    of_return: Mapping[str, Correlation]
    """By predictor, with the share of the gain that is lost."""
    of_kl: Mapping[str, Correlation]
    """By predictor, with the measured KL on the same histories; empty where it was not measured."""
    ceiling: float
    """Correlation of a perfect predictor within budgets, limited by the noise of measured costs; NaN where unknown."""
    regret: Regret | None
    refused: Mapping[str, str]
    """Strategies without a prediction, and why."""

    @property
    def tells(self) -> bool:
        """True where the interval for retained attention lies above chance."""
        return self.of_return["retained"].within.low > 0

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON."""
        plain = {
            name: getattr(self, name) for name in ("job", "conditions", "strategies", "groups", "ceiling", "tells")
        }
        regret = self.regret and {
            "to_best": dict(vars(self.regret.to_best)),
            "over_uniform": self.regret.over_uniform and dict(vars(self.regret.over_uniform)),
            "choices": dict(self.regret.choices),
        }
        return {
            **plain,
            "of_return": {name: _correlation_json(one) for name, one in self.of_return.items()},
            "of_kl": {name: _correlation_json(one) for name, one in self.of_kl.items()},
            "regret": regret,
            "refused": dict(self.refused),
        }


def _correlation_json(one: Correlation) -> dict[str, Any]:
    return {name: dict(vars(getattr(one, name))) for name in ("within", "excess", "overall")}


def score(results: TrialResults, found: list[Prediction], refused: Mapping[str, str]) -> PredictionScore:
    """Return how well predictions fit what was measured.

    Raises
    ------
    NotMeasurableError
        No budget has three predicted conditions, or the return of uniform actions is not known.
    """
    if not np.isfinite(gain(results, 0)).all() or not gain(results, 0).mean() > 0:
        raise NotMeasurableError("cost is a share of the baseline's gain over uniform actions, which is not known or 0")
    groups = _groups(results, found)
    if not groups:
        raise NotMeasurableError(f"no budget has {FEWEST} conditions with a prediction, so nothing can be ranked")
    names = [results.conditions[one.condition].text for one in found]
    lost = _lost(results, found)
    kl = np.array([one.costs["kl"] for one in found])
    parted = parts(results)
    return PredictionScore(
        job=results.job,
        conditions=len(found),
        strategies=len(set(names)),
        groups=len(groups),
        of_return=_correlations(found, lost, groups, names),
        of_kl=_correlations(found, kl, groups, names) if np.isfinite(kl).all() else {},
        ceiling=float("nan") if parted is None else _ceiling(parted, found, groups),
        regret=None if parted is None else _regret(parted, found, groups),
        refused=refused,
    )


def pooled(
    first: Float64[np.ndarray, " condition"],
    second: Float64[np.ndarray, " condition"],
    groups: list[Group],
    times: Int64[np.ndarray, "sample condition"] | None = None,
) -> Float64[np.ndarray, " sample"]:
    """Return the rank correlation within groups, pooled over them; NaN where nothing varies within any.

    Parameters
    ----------
    times
        How often each condition is drawn in each sample; None is one sample of each once.
    """
    drawn = np.ones((1, len(first)), np.int64) if times is None else times
    total = np.zeros((3, len(drawn)))
    for group in groups:
        often = drawn[:, group].astype(np.float64)
        one, other = (_centred_ranks(values[group], often) for values in (first, second))
        total += [(often * product).sum(axis=1) for product in (one * other, one**2, other**2)]
    scale = np.sqrt(total[1] * total[2])
    return np.asarray(np.divide(total[0], scale, out=np.full(len(drawn), np.nan), where=scale > NEGLIGIBLE))


def _centred_ranks(
    values: Float64[np.ndarray, " member"], often: Float64[np.ndarray, "sample member"]
) -> Float64[np.ndarray, "sample member"]:
    """Return the mean rank of each value among those drawn, less the mean of all ranks."""
    below = (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])
    return np.asarray(often @ below.T - often.sum(axis=1, keepdims=True) / 2)


def _groups(results: TrialResults, found: list[Prediction]) -> list[Group]:
    members: dict[tuple[object, ...], list[int]] = {}
    for place, one in enumerate(found):
        of = results.conditions[one.condition]
        members.setdefault((of.budget, of.positions), []).append(place)
    return [np.array(places) for places in members.values() if len(places) >= FEWEST]


def _lost(results: TrialResults, found: list[Prediction]) -> Float64[np.ndarray, " condition"]:
    plain = gain(results, 0).mean()
    return np.array([1 - gain(results, one.condition).mean() / plain for one in found])


def _correlations(
    found: list[Prediction], cost: Float64[np.ndarray, " condition"], groups: list[Group], names: list[str]
) -> dict[str, Correlation]:
    """Return the correlation of every predictor that is known, except of a cost with itself."""
    made: dict[str, Correlation] = {}
    columns = {key: np.array([one.costs[key] for one in found]) for key in found[0].costs}
    times, whole, many = _drawn(names), [np.arange(len(found))], len(set(names))
    budget = columns[BUDGET_ONLY]
    blind, blind_drawn = float(np.nan_to_num(pooled(budget, cost, groups)[0])), pooled(budget, cost, groups, times)
    for key, column in columns.items():
        if not np.isfinite(column).all() or np.array_equal(column, cost):
            continue
        within, drawn = float(pooled(column, cost, groups)[0]), pooled(column, cost, groups, times)
        made[key] = Correlation(
            _estimate(within, drawn, blind, many),
            _estimate(within - blind, drawn - np.nan_to_num(blind_drawn), 0.0, many),
            _estimate(spearman(column, cost), pooled(column, cost, whole, times), spearman(budget, cost), many),
        )
    return made


def _drawn(names: list[str]) -> Int64[np.ndarray, "sample condition"]:
    """Return how often each condition is in each sample: strategies are drawn, each with all its conditions."""
    strategies = {name: place for place, name in enumerate(dict.fromkeys(names))}
    share = np.full(len(strategies), 1 / len(strategies))
    times = np.random.default_rng(0).multinomial(len(strategies), share, SAMPLES)
    return np.asarray(times[:, [strategies[name] for name in names]], np.int64)


def _estimate(value: float, drawn: Float64[np.ndarray, " sample"], baseline: float, strategies: int) -> Estimate:
    known = drawn[np.isfinite(drawn)]
    low = high = float("nan")
    if len(known) and strategies > FEWEST:
        low, high = (float(end) for end in np.quantile(known, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    return Estimate(value, low, high, baseline, strategies, strategies >= 10, "these tasks")  # noqa: PLR2004 - as rollouts


def _ceiling(parted: Parts, found: list[Prediction], groups: list[Group]) -> float:
    """Return √(reliability) of the measured costs: their correlation between halves, for the whole (Spearman–Brown)."""
    halves = [_lost(part, found) for part in (parted.choosing, parted.reporting)]
    half = float(pooled(halves[0], halves[1], groups)[0])
    return float(np.sqrt(2 * half / (1 + half))) if half > 0 else float("nan")


def _regret(parted: Parts, found: list[Prediction], groups: list[Group]) -> Regret | None:
    """Return the regret of the first choice by skill; the choosing rollouts name the best of each budget."""
    report = parted.reporting
    chosen_on = _lost(parted.choosing, found)
    skill = np.array([one.costs["skill"] for one in found])
    if not np.isfinite(skill).any():
        return None
    first = [int(group[np.argmin(np.nan_to_num(skill[group], nan=np.inf))]) for group in groups]
    best = [int(group[np.argmin(chosen_on[group])]) for group in groups]
    even = [report.control(found[place].condition) for place in first]
    bootstrap, plain = PairedBootstrap(report.seeds, len(report.tasks)), gain(report, 0)

    def mean(places: list[int]) -> Float64[np.ndarray, "seed task"]:
        return np.asarray(np.mean([gain(report, found[place].condition) for place in places], axis=0))

    over = None
    if all(place is not None for place in even):
        beside = np.mean([gain(report, place) for place in even if place is not None], axis=0)
        over = bootstrap.ratio(np.asarray(mean(first) - beside), plain, 0.0)
    choices = {}
    for place in first:
        of = report.conditions[found[place].condition]
        choices[f"{of.budget}, {of.positions}"] = of.text
    return Regret(bootstrap.ratio(np.asarray(mean(best) - mean(first)), plain, 0.0), over, choices)
