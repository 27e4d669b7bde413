"""Scores of predictions on planted costs and predictions."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.calibration.ranking import told
from scipy import stats

from attnscope.measures import NotMeasurableError
from attnscope.measures.ranks import ranks, spearman
from attnscope.recommendations.attention.agreement import ceiling, correlation, pooled
from attnscope.recommendations.attention.predictions import Prediction
from attnscope.recommendations.attention.scoring import merged, score
from attnscope.recommendations.measured import score_claims

NAMES = ("recency", "tova", "h2o", "snapkv", "sinks", "decay", "uniform", "random", "dedup", "relevant")
BUDGETS = (0.1, 0.3, 0.5)
WORTH = np.linspace(0, 0.3, len(NAMES))
"""The loss of each strategy beyond that of its budget."""


@pytest.fixture(scope="module")
def many(plant):
    """Return a trial of ten strategies at three budgets, whose order is the same at each."""
    losses = [("none", None, 0.0)]
    losses += [
        (name, budget, 0.5 * (1 - budget) + worth)
        for budget in BUDGETS
        for name, worth in zip(NAMES, WORTH, strict=True)
    ]
    return plant(losses, noise=0.2)


def predicted(trial, of):
    """Return predictions whose costs by attention are `of(worth, budget)`."""
    found = []
    for one in trial.conditions[1:]:
        worth = WORTH[NAMES.index(one.strategy)]
        cost = of(worth, one.budget)
        names = ("retained", "represented", "excess", "skill", "worst_head")
        found.append(
            Prediction(one.index, {**dict.fromkeys(names, cost), "tokens": 1 - one.budget, "kl": float("nan")})
        )
    return found


@pytest.mark.parametrize("count", [3, 10, 60])
def test_rank_correlation_is_scipys(count):
    """Ties share their mean rank."""
    rng = np.random.default_rng(count)
    one, other = rng.integers(0, 5, count).astype(float), rng.normal(size=count)
    assert ranks(one) == pytest.approx(stats.rankdata(one))
    assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)


def test_pooling_within_groups_ignores_what_groups_differ_by():
    """Two budgets: over all the sizes decide, within them the order is the other way round."""
    cost = np.array([1.0, 2.0, 3.0, 11.0, 12.0, 13.0])
    guess = np.array([3.0, 2.0, 1.0, 13.0, 12.0, 11.0])
    assert spearman(guess, cost) > 0.5
    assert pooled(guess, cost, [np.arange(3), np.arange(3, 6)]) == pytest.approx(-1)


def test_samples_rank_as_their_repeated_conditions_do():
    """Counting how often each is drawn gives the correlation of the drawn list, ties and all."""
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=8), rng.normal(size=8)
    times = rng.multinomial(8, np.full(8, 1 / 8), 20)
    listed = [spearman(np.repeat(one, often), np.repeat(other, often)) for often in times]
    assert pooled(one, other, [np.arange(8)], times) == pytest.approx(listed)


def test_true_predictions_are_told(many):
    """Within budgets nearly 1, and beyond the budget alone, which tells nothing there; regret is nothing."""
    found = score(many, predicted(many, lambda worth, budget: worth - budget), {})
    by = found.of_return["retained"]
    assert by.within.value > 0.9
    assert by.excess.low > 0.5
    assert by.within.baseline == 0
    assert found.tells
    assert found.ceiling > 0.9
    assert found.regret is not None
    assert abs(found.regret.to_best.value) < 0.02
    assert found.regret.over_uniform is not None
    assert found.regret.over_uniform.value == pytest.approx(0.2, abs=0.05)
    assert "tells which rule" in score_claims(found)[-1].sentence


def test_budget_alone_predicts_over_budgets_and_nothing_within(many):
    """Predictions that know the budget only correlate over all conditions, and say nothing of a choice."""
    rng = np.random.default_rng(3)
    found = score(many, predicted(many, lambda _worth, budget: rng.normal(0, 0.01) - budget), {})
    by = found.of_return["retained"]
    assert by.overall.value > 0.5
    assert by.overall.baseline == pytest.approx(by.overall.value, abs=0.1)
    assert abs(by.within.value) < 0.4
    assert by.within.low < 0 < by.within.high


def test_wrong_predictions_are_said_to_be_worth_nothing(many):
    """The advice says so, with the regret."""
    found = score(many, predicted(many, lambda worth, budget: -worth - budget), {})
    assert found.of_return["retained"].within.high < 0
    assert not found.tells
    assert found.regret is not None
    assert found.regret.to_best.low > 0.2
    said = score_claims(found)
    assert "no better than chance" in said[-1].sentence
    assert said[0].numbers["value"] == found.of_return["retained"].within.value


def test_equal_conditions_are_one_observation(plant):
    """A rule that kept and returned the same as another at one budget is merged there, and only there."""
    losses = [("none", None, 0.0), ("recency", 0.1, 0.3), ("episodes", 0.1, 0.3), ("episodes", 0.3, 0.2)]
    trial = plant(losses, noise=0.0)
    found = [Prediction(at, {"retained": 0.1}) for at in (1, 2, 3)]
    assert [one.condition for one in merged(trial, found)] == [1, 3]


def test_the_ceiling_is_spearman_and_browns():
    """Halves that agree wholly have a ceiling of 1; halves that do not agree have none."""
    cost, groups = np.arange(6.0), [np.arange(6)]
    assert ceiling([cost, cost], groups) == pytest.approx(1)
    swapped = np.array([1.0, 0, 3, 2, 5, 4])
    half = spearman(cost, swapped)
    assert ceiling([cost, swapped], groups) == pytest.approx(np.sqrt(2 * half / (1 + half)))
    assert np.isnan(ceiling([cost, -cost], groups))


@pytest.mark.parametrize("copies", [0, 6])
def test_a_measure_that_tells_nothing_seldom_tells(copies):
    """At a correlation of zero few intervals exclude it, with equal rules on the board too, once they are merged."""
    found = told(400, seed=2, copies=copies)
    assert found.above < 0.05
    assert found.below < 0.05


def test_equal_rules_that_are_not_merged_tell_too_often():
    """Copies left on the board make intervals too narrow: the simulation can see the fault."""
    assert told(400, seed=2, merge=False).above > told(400, seed=2).above
    strategies = correlation(np.arange(8.0), np.arange(8.0), [np.arange(8)], list("abcdefgh"))
    assert (strategies.value, strategies.rollouts) == (1, 8)


def test_too_few_conditions_are_not_ranked(trial):
    """Two strategies of a budget have no order worth a number."""
    few = [Prediction(at, dict.fromkeys(("retained", "skill", "tokens", "kl"), 0.1)) for at in (1, 3)]
    with pytest.raises(NotMeasurableError, match="3 conditions"):
        score(trial, few, {})
