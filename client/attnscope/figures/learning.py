"""In-context learning above, what attention did meanwhile below."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnscope.figures.profile import draw_profile
from attnscope.figures.provenance import caption_of_study, title_of
from attnscope.figures.style import BAND, COLOURS, finish, refuse, styled
from attnscope.measures.intervals import Interval
from attnscope.study import Study

PHASES = {"first third of the episodes": COLOURS["fifth"], "last third": COLOURS["first"]}


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
    """Return the learning-phase figure: returns, and attention by age early and late, at counting contexts only."""
    with styled():
        figure = Figure(figsize=(6.0, 5.6), layout="constrained")
        above, below = figure.subplots(2, 1)
        if study.returns is None or study.returns.shape[1] == 0:
            refuse(above, "no episode has ended yet, or rewards were not captured")
        else:
            draw_returns(above, study.interval(study.returns), *bounds(study))
        _phases(below, study)
        return finish(figure, title_of(study, "Learning in context"), caption_of_study(study))


def _phases(axes: Axes, study: Study) -> Axes:
    if study.tally is None:
        return refuse(axes, "decision rows were not captured")
    means = [study.tally.early.mean, study.tally.late.mean]
    if not all(np.isfinite(mean).any() for mean in means):
        return refuse(
            axes, "no two phases can be compared: fewer than three episodes, or no context long enough in both"
        )
    both = np.asarray(np.isfinite(means[0]).any(axis=1) & np.isfinite(means[1]).any(axis=1))
    intervals = [study.interval(np.where(both[:, None], mean, np.nan)) for mean in means]
    draw_profile(axes, dict(zip(PHASES, intervals, strict=True)), study.tokens, PHASES)
    return axes


def bounds(study: Study) -> tuple[float | None, float | None]:
    """Return the mean optimal return and that of uniform actions over the study's tasks, where known."""
    if "env/task" not in study.capture.names():
        return None, None
    taken = {int(task) for task in study.resampling.task}
    cells = [cell for cell in study.capture.resolved.tasks if cell.index in taken]
    pairs = ([cell.optimal_return for cell in cells], [cell.random_return for cell in cells])
    optimal, random = ([value for value in values if value is not None] for values in pairs)
    return (float(np.mean(optimal)) if optimal else None, float(np.mean(random)) if random else None)
