"""Small multiples on shared scales, a column a capture, and the measures side by side."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.comparison.numbers import MEASURES
from attnscope.figures.comprehensive import by_age, potential
from attnscope.figures.layer_head import draw_matrix
from attnscope.figures.look import RC, Picture, styled
from attnscope.figures.provenance import progress_of, source_of
from attnscope.figures.style import COLOURS, SERIES, finish, fold, refuse
from attnscope.figures.trials.learning import bounds, draw_returns
from attnscope.study import Study

COLUMN_INCHES, ASIDE_INCHES = 2.9, 0.75
"""Of a capture's column, and of it beside the panels."""

TICKS = 3
"""Intervals between ticks of a measure, at most: small shares that hardly differ have labels of seven characters."""

ROWS = ("return", "age", "potential", "entropy")


def draw_values(
    axes: Axes,
    names: list[str],
    values: Float[np.ndarray, " capture"],
    low: Float[np.ndarray, " capture"],
    high: Float[np.ndarray, " capture"],
    uniform: Float[np.ndarray, " capture"],
) -> Axes:
    """Draw one measure of every capture with its interval, beside uniform attention (dashes)."""
    for index, name in enumerate(names):
        colour = SERIES[index % len(SERIES)]
        axes.plot([low[index], high[index]], [index, index], color=colour, linewidth=2, alpha=0.5)
        axes.plot([values[index]], [index], "o", color=colour, markersize=4, gid=name)
        axes.plot([uniform[index]], [index], "|", color=COLOURS["uniform"], markersize=9, gid=f"{name}-uniform")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(TICKS))
    return axes


def measures_figure(studies: list[Study], names: list[str]) -> Figure:
    """Return every measure of every capture."""
    with styled():
        figure = Picture(figsize=(9.0, 1.6 + 0.42 * len(studies) * 2), layout="constrained")
        grid = figure.subplots(2, (len(MEASURES) + 1) // 2, sharey=True)
        for axes, measure in zip(grid.flat, MEASURES, strict=True):
            found = [measure.of(study).estimate for study in studies]
            value, low, high = np.array([[one.value, one.low, one.high] for one in found]).T
            even = np.array([np.nan if one.baseline is None else one.baseline for one in found])
            draw_values(axes, names, value, low, high, even)
            axes.set_title(measure.name, fontsize=7)
        return finish(figure, "Measures side by side (| uniform attention; bars: 95 %)", _captions(studies, names))


def multiples(studies: list[Study], names: list[str]) -> Figure:
    """Return a column a capture: returns, attention by age, potential, entropy; scales are shared along a row."""
    with styled():
        count = len(studies)
        figure = Picture(figsize=(max(5.0, COLUMN_INCHES * count + 0.6), 9.5), layout="constrained")
        grid = figure.subplots(len(ROWS), count, squeeze=False)
        for column, study in enumerate(studies):
            _returns(grid[0, column], study)
            by_age(grid[1, column], study)
            potential(grid[2, column], study)
            if "normalised_entropy" in study.statistics:
                spread = study.mean(study.statistics["normalised_entropy"])
                draw_matrix(grid[3, column], spread, "Normalised entropy")
            else:
                refuse(grid[3, column], "entropy was not captured")
            for axes in grid[1:, column]:
                axes.set_title(fold(axes.get_title(loc="left"), COLUMN_INCHES - ASIDE_INCHES, RC["axes.titlesize"]))
            title = fold(names[column], 0.85 * (COLUMN_INCHES - ASIDE_INCHES), RC["axes.titlesize"])
            grid[0, column].set_title(title, fontweight="bold")
        for row in range(3):
            _share(grid[row], horizontal=row == 0)
        return finish(figure, "The same figures on shared scales", _captions(studies, names))


def _returns(axes: Axes, study: Study) -> Axes:
    if study.returns is None or study.returns.shape[1] == 0:
        return refuse(axes, "no episode ended within these steps, or rewards were not captured")
    return draw_returns(axes, study.interval(study.returns), *bounds(study))


def _share(row: np.ndarray, *, horizontal: bool) -> None:
    drawn = [axes for axes in row if axes.lines]
    ends = np.array([axes.get_ylim() for axes in drawn]) if drawn else np.zeros((1, 2))
    wide = np.array([axes.get_xlim() for axes in drawn]) if drawn else np.zeros((1, 2))
    for axes in drawn:
        axes.set_ylim(ends[:, 0].min(), ends[:, 1].max())
        if horizontal:
            axes.set_xlim(wide[:, 0].min(), wide[:, 1].max())


def _captions(studies: list[Study], names: list[str]) -> str:
    lines = (
        f"{name}: {source_of(s.capture)}; {progress_of(s.capture)}" for name, s in zip(names, studies, strict=True)
    )
    return "\n".join(lines)
