"""Figures of trials as figures: nothing leaves the canvas, no two ticks are equal, and a cell shows them."""

from __future__ import annotations

import pytest

from attnscope.figures.trials.curves import trial_curves
from attnscope.figures.trials.pareto import pareto
from attnscope.figures.trials.table import trial_table
from attnscope.trials.board import board
from canvas import faults, in_a_cell

CLOSE = (("none", None, 0.0), ("recency", 0.7, 0.301), ("recency", 0.69, 0.302), ("recency", 0.68, 0.303))


@pytest.mark.parametrize("losses", [None, CLOSE])
def test_figures_of_trials_are_whole(plant, losses):
    """Also where the budgets lie within two percent of each other, so that whole percents would repeat."""
    made = board(plant(losses) if losses else plant(), samples=100)
    figures = {"pareto": pareto(made), "table": trial_table(made), "curves": trial_curves(made, "reindex")}
    assert {name: found for name, figure in figures.items() if (found := faults(figure))} == {}
    assert all(in_a_cell(figure).startswith(b"\x89PNG") for figure in figures.values())
