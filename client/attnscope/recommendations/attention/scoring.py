"""Scores of predictions: the rank correlation of predicted with measured cost, within a budget and pooled.

Fewer tokens cost more, whichever are kept, and the correlation over all conditions mostly shows this effect. The
value of a choice shows among conditions of one budget. Intervals resample strategies, each with all its budgets, so
that equal conditions are merged before: two rules that kept the same are one observation, not two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from attnscope.measures.intervals import Estimate
from attnscope.measures.ranks import spearman
from attnscope.measures.refusals import NotMeasurableError
from attnscope.recommendations.attention.agreement import FEWEST, Group, ceiling, drawn_strategies, estimated, pooled
from attnscope.recommendations.attention.predictions import BUDGET_ONLY, Prediction
from attnscope.trials.bootstrap import PairedBootstrap
from attnscope.trials.phases import gain
from attnscope.trials.results import TrialResults
from attnscope.trials.selection import Parts, parts


@dataclass(frozen=True)
class Correlation:
    """The quality of a predictor's ranking of conditions, by Spearman's correlation."""

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
    """The fit of a capture's predictions to a trial."""

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
    found = merged(results, found)
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
        ceiling=float("nan") if parted is None else ceiling(_halves(parted, found), groups),
        regret=None if parted is None else _regret(parted, found, groups),
        refused=refused,
    )


def merged(results: TrialResults, found: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions without those of conditions that kept and returned the same as an earlier one everywhere.

    Only conditions of one budget and position policy are compared.
    """
    seen: set[tuple[object, ...]] = set()
    left = []
    for one in found:
        of = results.conditions[one.condition]
        parts = (results.returns[one.condition], results.kept[one.condition])
        key = (of.budget, of.positions, of.interval, of.memory, *(values.tobytes() for values in parts))
        if key not in seen:
            seen.add(key)
            left.append(one)
    return left


def _groups(results: TrialResults, found: list[Prediction]) -> list[Group]:
    members: dict[tuple[object, ...], list[int]] = {}
    for index, one in enumerate(found):
        of = results.conditions[one.condition]
        members.setdefault((of.budget, of.positions), []).append(index)
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
    times, whole, many = drawn_strategies(names), [np.arange(len(found))], len(set(names))
    budget = columns[BUDGET_ONLY]
    blind, blind_drawn = float(np.nan_to_num(pooled(budget, cost, groups)[0])), pooled(budget, cost, groups, times)
    for key, column in columns.items():
        if not np.isfinite(column).all() or np.array_equal(column, cost):
            continue
        within, drawn = float(pooled(column, cost, groups)[0]), pooled(column, cost, groups, times)
        made[key] = Correlation(
            estimated(within, drawn, blind, many),
            estimated(within - blind, drawn - np.nan_to_num(blind_drawn), 0.0, many),
            estimated(spearman(column, cost), pooled(column, cost, whole, times), spearman(budget, cost), many),
        )
    return made


def _halves(parted: Parts, found: list[Prediction]) -> list[Float64[np.ndarray, " condition"]]:
    return [_lost(part, found) for part in (parted.choosing, parted.reporting)]


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
