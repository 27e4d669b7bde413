"""In-context learning above, what attention did meanwhile below."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.figures.look import Picture, styled
from attnscope.figures.profile import draw_profile
from attnscope.figures.style import BAND, COLOURS, finish, places, refuse
from attnscope.measures.intervals import Interval
from attnscope.measures.streaming import RolloutMean
from attnscope.study import Study
from attnscope.study.captions import caption_of_study, title_of

BY_EPISODE = {"first third of counted episodes": COLOURS["fifth"], "last third": COLOURS["first"]}
BY_RETURN = {"third of the lowest return": COLOURS["fifth"], "third of the highest": COLOURS["first"]}
"""Colours of the two ways to part episodes: what comes before learning has the same one in both."""


ALIKE = "no two phases can be compared: fewer than three episodes with contexts that count, or thirds of one return"


def draw_returns(axes: Axes, returns: Interval, optimal: float | None, random: float | None) -> Axes:
    """Draw the return of each episode with its interval, beside the optimum and uniform actions."""
    episode = np.arange(1, len(returns.value) + 1)
    axes.plot(episode, returns.value, color=COLOURS["first"], gid="return", marker="o", markersize=2)
    axes.fill_between(episode, returns.low, returns.high, color=COLOURS["first"], alpha=BAND, linewidth=0)
    for value, name, style in ((optimal, "optimum", "--"), (random, "uniform actions", ":")):
        if value is not None:
            axes.axhline(value, linestyle=style, color=COLOURS["uniform"], linewidth=0.8, label=name, gid=name)
    axes.set(xlabel="Episode", ylabel="Return", title="Return by episode")
    axes.set_ylim(bottom=min(0.0, float(np.nanmin(returns.value))))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center right")
    return axes


def learning(study: Study) -> Figure:
    """Return the learning-phase figure: returns, and attention by age before and after, at counting contexts only."""
    with styled():
        figure = Picture(figsize=(7.2, 5.6))
        grid = figure.subplot_mosaic(
            [["returns", "returns"], ["episode", "return"]],
            gridspec_kw=places(figure, 2, 2, left=0.55, right=0.12, across=0.3, down=0.65),
        )
        above = grid["returns"]
        if study.returns is None or study.returns.shape[1] == 0:
            refuse(above, "no episode ended within these steps, or rewards were not captured")
        else:
            draw_returns(above, study.interval(study.returns), *bounds(study))
        tally = study.tally
        if tally is None:
            for name in ("episode", "return"):
                refuse(grid[name], "decision rows were not captured")
        else:
            _phases(grid["episode"], study, (tally.early, tally.late), BY_EPISODE, "Attention early and late")
            _phases(grid["return"], study, (tally.low, tally.high), BY_RETURN, "Attention by the episodes' return")
            _align(grid["episode"], grid["return"])
        return finish(figure, title_of(study, "Learning in context"), caption_of_study(study))


def _phases(
    axes: Axes, study: Study, pair: tuple[RolloutMean, RolloutMean], colours: dict[str, str], title: str
) -> Axes:
    """Draw the profiles of two phases over the rollouts that have both."""
    means = [phase.mean for phase in pair]
    both = np.asarray(np.isfinite(means[0]).any(axis=1) & np.isfinite(means[1]).any(axis=1), np.bool_)
    if not both.any():
        axes.set_title(title)
        return refuse(axes, ALIKE)
    tally = study.tally
    assert tally is not None  # noqa: S101 - the caller looked
    intervals = [
        tally.resampling.interval(np.where(both[:, None], mean, np.nan), tally.error(phase))
        for mean, phase in zip(means, pair, strict=True)
    ]
    draw_profile(axes, dict(zip(colours, intervals, strict=True)), study.tokens, colours)
    axes.set_title(title)
    return axes


def _align(one: Axes, other: Axes) -> None:
    """Give two panels one range, whose numbers stand at the left one; each keeps its own where one is refused."""
    if not (one.lines and other.lines):
        return
    ends = [axes.get_ylim() for axes in (one, other)]
    for axes in (one, other):
        axes.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    other.set_ylabel("")
    other.tick_params(labelleft=False)


def bounds(study: Study) -> tuple[float | None, float | None]:
    """Return the mean optimal return and that of uniform actions over the study's tasks, where known."""
    if "env/task" not in study.capture.names():
        return None, None
    taken = {int(task) for task in study.resampling.task}
    cells = [cell for cell in study.capture.resolved.tasks if cell.index in taken]
    pairs = ([cell.optimal_return for cell in cells], [cell.random_return for cell in cells])
    optimal, random = ([value for value in values if value is not None] for values in pairs)
    return (float(np.mean(optimal)) if optimal else None, float(np.mean(random)) if random else None)
