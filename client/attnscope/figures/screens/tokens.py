"""Departure against tokens kept, a line for each way to stand; sudden dips are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnscope.figures.look import Picture, styled
from attnscope.figures.screens.words import subject
from attnscope.figures.style import BAND, COLOURS, SERIES, finish, refuse
from attnscope.screens.board import Row
from attnscope.screens.dips import Dip
from attnscope.screens.panels import curves
from attnscope.screens.results import ScreenResults
from attnscope.screens.wording import departure_words

PANELS: Final = 6
"""Rules that are drawn, at most: those with most budgets, then those that depart least."""

COLUMNS: Final = 3


def draw_tokens(axes: Axes, table: Sequence[Row], positions: tuple[str, ...], named: dict[int, Dip]) -> Axes:
    """Draw one rule's departures against the tokens that it keeps, by position policy, with 95 % bands.

    Parameters
    ----------
    named
        Dips, by their arms.
    """
    for colour, place in zip(SERIES, positions, strict=False):
        mine = [row for row in table if row.positions == place]
        if not mine:
            continue
        tokens = np.array([row.tokens for row in mine])
        value, low, high = (
            np.array([getattr(row, name) for row in mine]) for name in ("tv_live", "tv_live_low", "tv_live_high")
        )
        axes.fill_between(tokens, low, high, color=colour, alpha=BAND, linewidth=0)
        axes.plot(tokens, value, ".-", color=colour, label=place, markersize=3)
        for dip in (row for row in mine if row.arm in named):
            axes.annotate(
                f"dip at {dip.budget}",
                (dip.tokens, dip.tv_live),
                xytext=(0, -9),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
                color=COLOURS["text"],
            )
    return axes


def departure_by_tokens(results: ScreenResults) -> Figure:
    """Return a panel a rule on shared axes, of the rules with most budgets."""
    found = curves(results)
    chosen = list(found.rules)[:PANELS]
    title = "Departure of a live decision against tokens kept"
    with styled():
        if not chosen:
            figure = Picture(figsize=(5, 3), layout="constrained")
            refuse(figure.subplots(), "no rule with a budget was judged")
            return finish(figure, title, subject(results))
        across = min(COLUMNS, len(chosen))
        down = -(-len(chosen) // across)
        figure = Picture(figsize=(0.6 + 2.4 * across, 1.0 + 1.9 * down), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes, name in zip(panels.flat, chosen, strict=False):
            draw_tokens(axes, found.rules[name], found.positions, found.dips)
            axes.set_title(name)
        for axes in panels.flat[len(chosen) :]:
            axes.set_axis_off()
        for axes in panels[-1]:
            axes.set_xlabel("history tokens kept")
        for axes in panels[:, 0]:
            axes.set_ylabel(departure_words(results.policy.output).axis)
        panels.flat[0].set_ylim(bottom=0)
        panels.flat[0].legend(title="tokens stand")
        return finish(figure, title, subject(results))
