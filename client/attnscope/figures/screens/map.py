"""The screen's map: how often an episode departs, by rule and budget."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.screens.words import subject
from attnscope.figures.style import COLOURS, finish, refuse
from attnscope.screens.board import Row, least, ordered, rows
from attnscope.screens.results import ScreenResults
from attnscope.screens.wording import budget_words

DARK: Final = 0.6
"""Share of the colour scale from which numbers are written in white."""

DEPLOYABLE: Final = "Rules that could be deployed"
BOUNDS: Final = "Oracles, as bounds: they save nothing"
"""Titles of the panels."""

ROW_INCHES: Final = 0.21
COLUMN_INCHES: Final = 0.75


def draw_map(axes: Axes, table: list[Row], top: float, *, ranks: bool = True) -> Axes:
    """Draw rules × budgets, coloured by departures of an episode; of several ways to stand the one that departs least.

    Parameters
    ----------
    table
        Rows of one budget and rule each.
    top
        Departures at the dark end of the scale.
    ranks
        False where departures order no rules: they stay in the order of the arms.
    """
    order = (lambda row: row.per_episode) if ranks else (lambda row: row.arm)
    names = list(dict.fromkeys(row.name for row in sorted(table, key=order)))
    budgets = list(dict.fromkeys(row.budget for row in table))
    grid = np.full((len(names), len(budgets)), np.nan)
    for row in table:
        grid[names.index(row.name), budgets.index(row.budget)] = row.per_episode
    axes.imshow(np.ma.masked_invalid(grid), cmap="viridis_r", vmin=0, vmax=top, aspect="auto")
    for (line, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            colour = "white" if value > DARK * top else COLOURS["text"]
            axes.text(column, line, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=6.5)
    axes.set_xticks(range(len(budgets)), [budget_words(budget) for budget in budgets])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def screen_map(results: ScreenResults) -> Figure:
    """Return the map of the rules that heed a budget: deployable ones, and below them oracles as bounds."""
    table = [row for row in rows(results) if row.budget is not None]
    parts = [least(ordered(table, oracles=oracles, ranks=results.orders)) for oracles in (False, True)]
    heights = [len({row.name for row in part}) for part in parts]
    budgets = len({row.budget for row in table})
    with styled():
        size = (3.2 + COLUMN_INCHES * max(4, budgets), 1.7 + ROW_INCHES * sum(heights))
        figure = Picture(figsize=size, layout="constrained")
        shown = [(part, height) for part, height in zip(parts, heights, strict=True) if height]
        if not shown:
            refuse(figure.subplots(), "no arm was judged")
            return finish(figure, "Departures by rule and budget", subject(results))
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[height for _, height in shown])[:, 0]
        top = float(max(row.per_episode for part, _ in shown for row in part)) or 1.0
        for axes, (part, _) in zip(panels, shown, strict=True):
            draw_map(axes, part, top, ranks=results.orders)
            axes.set_title(BOUNDS if part[0].oracle else DEPLOYABLE)
        panels[-1].set_xlabel("history kept")
        return finish(figure, "Departures of an episode, by rule and budget", subject(results))
