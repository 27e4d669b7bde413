"""Figure over training steps: returns, attention, and departures under rules, checkpoint by checkpoint."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.comparison.series import Line, Series
from attnscope.figures.look import Picture, styled
from attnscope.figures.style import BAND, COLOURS, SERIES, finish, refuse

COLUMNS = 3
"""Panels side by side."""


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
    rows = -(-panels // COLUMNS)
    with styled():
        figure = Picture(figsize=(9.2, 1.95 * rows + 0.9), layout="constrained")
        grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for axes in grid.flat[panels:]:
            axes.set_visible(False)
        for axes, line in zip(grid.flat, single, strict=False):
            colour = COLOURS["third"] if line.kind == "return" else SERIES[0]
            draw_line(axes, series.steps, line, colour).set_title(line.name)
        last = grid.flat[panels - 1]
        last.set_title("departures an episode, by rule")
        if departures:
            colours = [mpl.colormaps["viridis"](at) for at in np.linspace(0.05, 0.9, len(departures))]
            for line, colour in zip(departures, colours, strict=True):
                draw_line(last, series.steps, line, colour)
            figure.legend(*last.get_legend_handles_labels(), loc="outside right center", fontsize=6)
        else:
            refuse(last, "no rule was screened of every checkpoint")
        for number, axes in enumerate(grid.flat[:panels]):
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.tick_params(labelbottom=number + COLUMNS >= panels)
            if number + COLUMNS >= panels:
                axes.set_xlabel("Training step")
        title = f"Over the training of {series.run}: {len(series.steps)} checkpoints (dashes: uniform attention)"
        return finish(figure, title, series.caption)
