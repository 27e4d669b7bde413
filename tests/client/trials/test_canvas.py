"""Figures of trials as figures: nothing leaves the canvas, no two ticks are equal, and a cell shows them."""

from __future__ import annotations

import pytest

from attnscope.figures.trials.curves import trial_curves
from attnscope.figures.trials.kept_timeline import kept_timeline
from attnscope.figures.trials.pareto import pareto
from attnscope.figures.trials.predicted import SHORT, predicted
from attnscope.figures.trials.table import trial_table
from attnscope.recommendations.attention.predictions import Prediction
from attnscope.recommendations.attention.scoring import score
from attnscope.trials.board import board
from canvas import faults, in_a_cell

CLOSE = (("none", None, 0.0), ("recency", 0.7, 0.301), ("recency", 0.69, 0.302), ("recency", 0.68, 0.303))


@pytest.mark.parametrize("losses", [None, CLOSE])
def test_figures_of_trials_are_whole(plant, losses):
    """Also where the budgets lie within two percent of each other, so that whole percents would repeat."""
    made = board(plant(losses) if losses else plant(), samples=100)
    figures = {"pareto": pareto(made), "table": trial_table(made), "curves": trial_curves(made, "reindex")}
    figures["kept"] = kept_timeline(made, list(made.rows))
    assert {name: found for name, figure in figures.items() if (found := faults(figure))} == {}
    assert all(in_a_cell(figure).startswith(b"\x89PNG") for figure in figures.values())


def test_predictions_beside_measurements_are_whole(plant):
    """Also where a strategy has no prediction, and its reason is long."""
    names = ("recency", "tova", "h2o", "snapkv")
    losses = [("none", None, 0.0), *((name, budget, 0.2) for name in names for budget in (0.1, 0.5))]
    results = plant(losses, noise=0.2)
    costs = [dict.fromkeys(SHORT, 0.1 * one.index) for one in results.conditions]
    found = [Prediction(one.index, costs[one.index]) for one in results.conditions[1:]]
    made, told = board(results, samples=100), score(results, found, {"dedup": "the capture holds no attention of it"})
    figure = predicted(made, found, told)
    assert faults(figure) == []
    assert in_a_cell(figure).startswith(b"\x89PNG")
