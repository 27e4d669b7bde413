"""The screen's map: how often an episode departs, by rule and budget."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.screens.words import subject
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.screens.panels import Grid, grids
from attnscope.screens.results import ScreenResults
from attnscope.screens.wording import DepartureWords, budget_words, departure_words

DARK: Final = 0.6
"""Share of the colour scale from which numbers are written in white."""

ROW_INCHES: Final = 0.21
COLUMN_INCHES: Final = 0.75


def draw_map(axes: Axes, grid: Grid, top: float) -> Axes:
    """Draw rules × budgets, coloured by departures of an episode.

    Parameters
    ----------
    top
        Departures at the dark end of the scale.
    """
    values = np.array([[np.nan if row is None else row.per_episode for row in line] for line in grid.cells])
    axes.imshow(np.ma.masked_invalid(values), cmap="viridis_r", vmin=0, vmax=top, aspect="auto")
    for (line, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > DARK * top else COLOURS["text"]
            axes.text(column, line, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=6.5)
    axes.set_xticks(range(len(grid.budgets)), [budget_words(budget) for budget in grid.budgets])
    axes.set_yticks(range(len(grid.names)), grid.names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def _title(results: ScreenResults) -> str:
    """Return the title: departures of an episode are counts, distances are sums."""
    unit = departure_words(results.policy.output).unit
    known = {DepartureWords().unit: "Departures of an episode, by rule and budget"}
    return known.get(unit, f"{unit[0].upper()}{unit[1:]}, by rule and budget")


def screen_map(results: ScreenResults) -> Figure:
    """Return the map of the rules that heed a budget: deployable ones, and below them oracles as bounds."""
    shown = grids(results)
    heights = [len(grid.names) for grid in shown]
    budgets = len({budget for grid in shown for budget in grid.budgets})
    with styled():
        size = (3.2 + COLUMN_INCHES * max(4, budgets), 1.7 + ROW_INCHES * sum(heights))
        figure = Picture(figsize=size, layout="constrained")
        if not shown:
            refuse(figure.subplots(), "no arm was judged")
            return finish(figure, "Departures by rule and budget", subject(results))
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
        top = max(grid.top for grid in shown) or 1.0
        for axes, grid in zip(panels, shown, strict=True):
            draw_map(axes, grid, top)
            axes.set_title(grid.title)
        panels[-1].set_xlabel("history kept")
        return finish(figure, _title(results), subject(results))
