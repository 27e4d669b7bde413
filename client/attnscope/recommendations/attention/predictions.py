"""The predictions of a capture for the conditions of a trial, made before any result of the trial is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from attnscope.recommendations.attention.decisions import Decisions
from attnscope.recommendations.attention.evaluation import Outcome, evaluate
from attnscope.trials.naming import name_of
from attnscope.trials.results import TrialResults
from attnscope.trials.sameness import same_as
from attnscope_model.strategies import StrategyError, ViewIncompleteError, strategy
from attnscope_storage.wire import Condition

PREDICTORS: Final[Mapping[str, str]] = {
    "retained": "attention retained",
    "represented": "attention retained, pooled tokens counted whole",
    "excess": "attention retained beyond evenly spaced tokens",
    "skill": "share of the possible gain over evenly spaced tokens",
    "worst_head": "attention retained by the head that loses most",
    "tokens": "tokens kept (budget only)",
    "kl": "KL on the uncompressed histories",
}
"""Quantities that may predict a strategy's cost; more of each is better, KL excepted, which needs the policy to act."""

BUDGET_ONLY: Final = "tokens"
"""The predictor that every other must beat."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for one condition; every score is a cost, so that more of it predicts a lower return."""

    condition: int
    costs: dict[str, float]
    """By the keys of `PREDICTORS`."""


def predictions(results: TrialResults, decisions: Decisions) -> tuple[list[Prediction], dict[str, str]]:
    """Return what is predicted of a trial's conditions, and why each other one has no prediction.

    The uncompressed rollout and `none` are left out: that nothing is lost by dropping nothing is no prediction.
    Position policies change no retained attention; conditions are compared within theirs. Conditions that kept and did
    the same everywhere are one: counting each would make a correlation of few conditions look like one of many.
    """
    kl, same = results.measured("divergence/kl"), same_as(results)
    found: list[Prediction] = []
    refused: dict[str, str] = {}
    known: dict[tuple[str, int | float | None], Outcome] = {}
    for condition in results.conditions[1:]:
        if condition.strategy == "none" or condition.budget is None:
            continue
        if condition.index in same:
            first = results.conditions[same[condition.index]]
            refused[name_of(condition)] = f"kept and did the same as {name_of(first)}"
            continue
        try:
            key = (condition.text, condition.budget)
            if key not in known:
                known[key] = _outcome(condition, decisions)
            outcome = known[key]
        except (StrategyError, ViewIncompleteError) as error:
            refused[condition.text] = str(error)
            continue
        costs = _costs(outcome)
        costs["kl"] = float("nan") if kl is None else float(kl[condition.index].mean())
        found.append(Prediction(condition.index, costs))
    return found, refused


def _outcome(condition: Condition, decisions: Decisions) -> Outcome:
    rule, budget = strategy(condition.strategy, **condition.parameters), condition.budget
    if isinstance(budget, float):
        return evaluate(rule, budget, decisions)
    return evaluate(rule, np.full(decisions.view.held.shape[:2], budget, np.int64), decisions)


def _costs(outcome: Outcome) -> dict[str, float]:
    """Return the costs that attention predicts, the mean over rollouts."""
    skill = outcome.skill[np.isfinite(outcome.skill)]
    return {
        "retained": 1 - float(np.nanmean(outcome.exact)),
        "represented": 1 - float(np.nanmean(outcome.represented)),
        "excess": -float(np.nanmean(outcome.excess)),
        "skill": -float(skill.mean()) if len(skill) else float("nan"),
        "worst_head": 1 - float(np.nanmean(outcome.worst_head)),
        "tokens": 1 - float(np.nanmean(outcome.share)),
    }
