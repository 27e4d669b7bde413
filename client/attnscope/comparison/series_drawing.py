"""Figure over training steps: returns, attention, and departures under rules, checkpoint by checkpoint."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.comparison.series import Line, Series
from attnscope.figures.look import COLUMN_INCHES, PAPER, Picture, is_in_a_paper, styled
from attnscope.figures.style import BAND, COLOURS, SERIES, finish, fold, refuse

COLUMNS = 3
"""Panels side by side."""


TITLE_INCHES = 1.25
"""Width of a panel's title in a paper."""


def draw_line(axes: Axes, steps: tuple[int, ...], line: Line, colour: str, label: str | None = None) -> Axes:
    """Draw a quantity over training with its interval, beside uniform attention (dashes)."""
    value, low, high = np.array([[one.value, one.low, one.high] for one in line.points]).T
    axes.plot(steps, value, "o-", color=colour, markersize=3, linewidth=1.1, label=label or line.name, gid=line.name)
    axes.fill_between(steps, low, high, color=colour, alpha=BAND, linewidth=0)
    even = np.array([np.nan if one.uniform is None else one.uniform for one in line.points])
    if np.isfinite(even).any():
        axes.plot(steps, even, "--", color=COLOURS["uniform"], linewidth=0.8)
    return axes


def training_series(series: Series) -> Figure:
    """Return the figure of a run: the late return, each measure of attention, and departures of an episode by rule."""
    single = [*series.of("return"), *series.of("attention")]
    departures = series.of("departures")
    panels = len(single) + 1
    columns = 2 if is_in_a_paper() else COLUMNS
    rows = -(-panels // columns)
    size = (COLUMN_INCHES, 0.95 * rows + 0.75) if is_in_a_paper() else (9.2, 1.95 * rows + 0.9)
    with styled():
        figure = Picture(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes in grid.flat[panels:]:
            axes.set_visible(False)
        for axes, line in zip(grid.flat, single, strict=False):
            colour = COLOURS["third"] if line.kind == "return" else SERIES[0]
            draw_line(axes, series.steps, line, colour).set_title(_titled(line.name))
        last = grid.flat[panels - 1]
        last.set_title(_titled("departures an episode, by rule"))
        if departures:
            colours = [mpl.colormaps["viridis"](at) for at in np.linspace(0.05, 0.9, len(departures))]
            for line, colour in zip(departures, colours, strict=True):
                draw_line(last, series.steps, line, colour)
            place = {"loc": "outside lower center", "ncols": 2} if is_in_a_paper() else {"loc": "outside right center"}
            figure.legend(*last.get_legend_handles_labels(), **place, fontsize=5.5 if is_in_a_paper() else 6)
        else:
            refuse(last, "no rule was screened of every checkpoint")
        for number, axes in enumerate(grid.flat[:panels]):
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.tick_params(labelbottom=number + columns >= panels)
            if number + columns >= panels:
                axes.set_xlabel("Training step")
        title = f"Over the training of {series.run}: {len(series.steps)} checkpoints (dashes: uniform attention)"
        return finish(figure, title, series.caption)


def _titled(text: str) -> str:
    """Return a panel's title, folded where the panel is narrow."""
    return fold(text, TITLE_INCHES, PAPER["axes.titlesize"]) if is_in_a_paper() else text
